"""What messages and profiles are watched for, and the looks that tell how far they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.core.flow import Api, Emit, Flow
from airflow_provider_messaging.core.http import Reply
from airflow_provider_messaging.core.watch import Goal
from airflow_provider_messaging.vendors.marigold import tracking
from airflow_provider_messaging.vendors.marigold.api import track
from airflow_provider_messaging.vendors.marigold.archive import iter_archive
from airflow_provider_messaging.vendors.marigold.endpoints import VENDOR
from airflow_provider_messaging.vendors.marigold.tracking import State

ARCHIVED, WAITING = "archived", "waiting"

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
