"""Figures of one process: in Prometheus' text format, and in Airflow's metrics."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

from airflow_provider_messaging.webhooks.inbox import Inbox, microseconds

PREFIX = "messaging_webhooks_"
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_HELP = {
    "received_total": "Events that were stored, by kind.",
    "duplicates_total": "Events that had been stored before.",
    "refused_total": "Requests that were refused, by reason.",
    "segments_total": "Segments landed by this process, by kind.",
    "landed_total": "Events landed by this process, by kind.",
    "seal_errors_total": "Times that sealing or landing failed.",
}


class Metrics:
    """Counts what happens. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._seconds: Counter[float] = Counter()
        self._answered = 0
        self._answered_seconds = 0.0
        self._stats = _airflow_stats()

    def add(self, name: str, label: str = "", count: int = 1) -> None:
        """Add to a counter.

        :param label: the value of its only label, a kind or a reason.
        """
        if not count:
            return
        with self._lock:
            self._counts[name, label] += count
        if self._stats is not None:
            suffix = f".{label}" if label else ""
            self._stats.incr(f"messaging.webhooks.{name.removesuffix('_total')}{suffix}", count)

    def answered(self, seconds: float) -> None:
        """Take down how long an acknowledgement took."""
        with self._lock:
            self._answered += 1
            self._answered_seconds += seconds
            for bound in _BUCKETS:
                if seconds <= bound:
                    self._seconds[bound] += 1
                    break

    def count(self, name: str) -> int:
        """Return a counter, the sum of all its labels."""
        with self._lock:
            return sum(count for (each, _), count in self._counts.items() if each == name)

    def gauge(self, name: str, value: float) -> None:
        """Hand a figure on to Airflow's metrics."""
        if self._stats is not None:
            self._stats.gauge(f"messaging.webhooks.{name}", value)

    def text(self, inbox: Inbox) -> str:
        """Return all figures. The inbox's are those of all receivers.

        :raises SQLAlchemyError: if the database does not answer.
        """
        events, oldest = inbox.depth()
        lag = max(0, microseconds() - oldest) / 1_000_000 if oldest is not None else 0.0
        return "\n".join((*self._own_lines(), *_inbox_lines(events, lag), ""))

    def _own_lines(self) -> Iterator[str]:
        with self._lock:
            counts, seconds = dict(self._counts), dict(self._seconds)
            answered, total = self._answered, self._answered_seconds
        for name, says in _HELP.items():
            yield f"# HELP {PREFIX}{name} {says}"
            yield f"# TYPE {PREFIX}{name} counter"
            label = "reason" if name == "refused_total" else "kind"
            found = sorted((value, count) for (each, value), count in counts.items() if each == name)
            if not found:
                yield f"{PREFIX}{name} 0"
            for value, count in found:
                labels = f'{{{label}="{value}"}}' if value else ""
                yield f"{PREFIX}{name}{labels} {count}"
        name = f"{PREFIX}ack_seconds"
        yield f"# HELP {name} Seconds from a request's headers to its acknowledgement."
        yield f"# TYPE {name} histogram"
        below = 0
        for bound in _BUCKETS:
            below += seconds.get(bound, 0)
            yield f'{name}_bucket{{le="{bound}"}} {below}'
        yield f'{name}_bucket{{le="+Inf"}} {answered}'
        yield f"{name}_sum {total:.6f}"
        yield f"{name}_count {answered}"


def _inbox_lines(events: int, lag: float) -> Iterator[str]:
    yield f"# HELP {PREFIX}inbox_events Events that are stored and not landed yet, of all receivers."
    yield f"# TYPE {PREFIX}inbox_events gauge"
    yield f"{PREFIX}inbox_events {events}"
    yield f"# HELP {PREFIX}lag_seconds Age of the oldest of them."
    yield f"# TYPE {PREFIX}lag_seconds gauge"
    yield f"{PREFIX}lag_seconds {lag:.3f}"


def _airflow_stats() -> Any:
    """Return Airflow's metrics, None where they can't be had: no reason not to receive."""
    try:
        from airflow.providers.common.compat.sdk import Stats
    except Exception:
        return None
    return Stats
