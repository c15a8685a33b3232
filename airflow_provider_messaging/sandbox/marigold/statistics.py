"""Events counted per minute."""

from __future__ import annotations

from collections import Counter
from typing import Any

from airflow_provider_messaging.sandbox import ticks
from airflow_provider_messaging.sandbox.deliveries import Delivery
from airflow_provider_messaging.sandbox.marigold.events import due, steps
from airflow_provider_messaging.sandbox.marigold.outcomes import Outcome

MAX_WINDOWS = 100
MINUTE = 60 * ticks.SECOND


class Statistics:
    """Messages by account, the minute in which they left, and what becomes of them.

    The page names no counters; here they are the event types, all counted in that minute.
    """

    def __init__(self) -> None:
        self._windows: dict[tuple[str, int], dict[tuple[str, Outcome, bool], int]] = {}

    def add(self, delivery: Delivery, outcome: Outcome) -> None:
        place = (delivery.account, due(delivery) // MINUTE)
        window = self._windows.get(place)
        if window is None:
            window = self._windows[place] = {}
        key = (delivery.channel, outcome, delivery.archived)
        window[key] = window.get(key, 0) + 1

    def windows(self, account: str, low: int | None, high: int | None, now: int, skew: int) -> list[dict[str, Any]]:
        """The oldest windows that begin in the range and have begun, at most 100."""
        wanted = []
        for owner, minute in self._windows:
            start = minute * MINUTE
            if owner == account and start <= now and _within(start + skew, low, high):
                wanted.append(minute)
        return [
            {
                "window": ticks.text(minute * MINUTE + skew, "").partition(".")[0] + "+00:00",
                "counters": self._counters(account, minute),
            }
            for minute in sorted(wanted)[:MAX_WINDOWS]
        ]

    def _counters(self, account: str, minute: int) -> Counter[str]:
        counters: Counter[str] = Counter()
        for (channel, outcome, archived), count in self._windows[account, minute].items():
            counters.update({kind: count for kind, _ in steps(channel, outcome, archived)})
        return counters


def _within(moment: int, low: int | None, high: int | None) -> bool:
    return (low is None or moment >= low) and (high is None or moment < high)
