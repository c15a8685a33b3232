"""Watching many messages or profiles until each is where it is wanted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.core.flow import Api, Emit, Flow
from airflow_provider_messaging.core.http import Reply
from airflow_provider_messaging.vendors.marigold import tracking
from airflow_provider_messaging.vendors.marigold.api import track
from airflow_provider_messaging.vendors.marigold.archive import iter_archive
from airflow_provider_messaging.vendors.marigold.endpoints import VENDOR
from airflow_provider_messaging.vendors.marigold.tracking import State

MOST_NAMED = 1000
"""Items that an outcome names of each state; its counts are always complete."""
MOST_WATCHED = 50_000
"""Each item costs a request a poll."""
ARCHIVED, WAITING = "archived", "waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """Which states are wanted, and from which of the others there is no way to them."""

    reached: frozenset[str]
    lost: frozenset[str] = frozenset()


_ARRIVED = frozenset({State.DELIVERED, State.UNSUBSCRIBED, State.COMPLAINED})
_FAILED = frozenset({State.FAILED, State.BOUNCED})
GOALS: Mapping[str, Goal] = {
    "delivered": Goal(reached=_ARRIVED, lost=_FAILED),
    # A message that was delivered may bounce later, one that somebody reacted to did arrive.
    "failed": Goal(reached=_FAILED, lost=_ARRIVED - {State.DELIVERED}),
    "final": Goal(reached=frozenset(state for state in State if state.is_final)),
}
ARCHIVE_GOAL = Goal(reached=frozenset({ARCHIVED}))


def goal_of(state: str) -> Goal:
    """:raises ConfigurationError: if messages can't be waited for in that state."""
    if state not in GOALS:
        raise ConfigurationError(
            f"state is {state!r}; it must be one of {', '.join(GOALS)}", vendor=VENDOR, setting="state"
        )
    return GOALS[state]


class Watch:
    """The states of many items. An item is open until it is where it is wanted, or can't get there any more.

    :param items: those to look at.
    :param settled: what an earlier watch found, by state; these are not looked at again.
    :param stop_when_lost: be done with the first item that can't get there any more.
    """

    def __init__(
        self,
        items: Iterable[str],
        goal: Goal,
        *,
        settled: Mapping[str, Sequence[str]] | None = None,
        stop_when_lost: bool = False,
    ) -> None:
        self._goal = goal
        self._stop_when_lost = stop_when_lost
        self._states = {item: state for state, known in (settled or {}).items() for item in known}
        self._open = {item: "" for item in items if item not in self._states}
        self._lost = sum(state in goal.lost for state in self._states.values())

    def note(self, item: str, state: str) -> bool:
        """Take down what a look found; tell whether it is news."""
        if self._open.get(item, state) == state:
            return False
        if state in self._goal.reached or state in self._goal.lost:
            del self._open[item]
            self._states[item] = state
            self._lost += state in self._goal.lost
        else:
            self._open[item] = state
        return True

    @property
    def open(self) -> list[str]:
        return list(self._open)

    @property
    def done(self) -> bool:
        return not self._open or bool(self._lost and self._stop_when_lost)

    @property
    def lost(self) -> int:
        return self._lost

    def settled(self) -> dict[str, list[str]]:
        """Return what need not be looked at again, for the watch that goes on."""
        return _grouped(self._states)

    def outcome(self, name: str = "references") -> dict[str, Any]:
        """Return counts by state, and under `name` the first items of each state."""
        groups = _grouped({**self._states, **{item: state or "unknown" for item, state in self._open.items()}})
        return {
            "total": len(self._states) + len(self._open),
            "reached": len(self._states) - self._lost,
            "lost": self._lost,
            "open": len(self._open),
            "states": {state: len(items) for state, items in groups.items()},
            name: {state: items[:MOST_NAMED] for state, items in groups.items()},
        }

    def __str__(self) -> str:
        states = self.outcome()["states"]
        return ", ".join(f"{count} {state}" for state, count in states.items()) or "nothing to wait for"


def delivery_state(api: Api, reference: str, *, since: datetime | None = None) -> Flow[str]:
    """Return how far a message is; ``unknown`` where tracking does not know it.

    :param since: events before then do not count: the reference may have been used before.
    """
    events = yield from track(api, reference)
    return str(tracking.state(_since(events or [], since)))


def archive_state(api: Api, reference: str, *, since: datetime | None = None) -> Flow[str]:
    """Return ``archived`` once tracking says so of the message; before, ``waiting``, or ``unknown`` to tracking."""
    events = yield from track(api, reference)
    if not events:
        return str(State.UNKNOWN)
    return ARCHIVED if any(map(tracking.is_archived, _since(events or [], since))) else WAITING


def profile_state(
    api: Api, profile_id: str, *, min_count: int, start: datetime | None = None, end: datetime | None = None
) -> Flow[str]:
    """Return ``archived`` once that many messages of the profile are listed, else ``waiting``."""
    found = 0
    reply: Reply | None = None
    flow = iter_archive(api, profile_id, start=start, end=end)
    try:
        while found < min_count:
            step = flow.send(reply)
            if isinstance(step, Emit):
                found += isinstance(step.value, dict)
                reply = None
            else:
                reply = yield step
    except StopIteration:
        return WAITING
    finally:
        flow.close()
    return ARCHIVED


def _since(events: Iterable[tracking.TrackingEvent], since: datetime | None) -> list[tracking.TrackingEvent]:
    return [event for event in events if since is None or event.timestamp is None or event.timestamp >= since]


def _grouped(states: Mapping[str, str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for item, state in states.items():
        groups.setdefault(str(state), []).append(item)
    return dict(sorted(groups.items()))
