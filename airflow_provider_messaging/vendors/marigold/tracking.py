"""What the vendor's tracking tells about one message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import msgspec

from airflow_provider_messaging.core.errors import AmbiguousDeliveryError, VendorError
from airflow_provider_messaging.core.times import parse_timestamp

_PREFIX = "com."
_NAMESPACE = "sdc."


class State(StrEnum):
    """How far a message is, the furthest step that tracking shows."""

    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    DEFERRED = "deferred"
    DELIVERED = "delivered"
    FAILED = "failed"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"

    @property
    def is_final(self) -> bool:
        """Tell whether the vendor is done with the message, feedback aside."""
        return self not in {State.UNKNOWN, State.ACCEPTED, State.DEFERRED}


class TrackingEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One processing event.

    :param type: without a leading ``com.``, for instance ``sdc.deliveries.email.sent``.
    :param timestamp: aware, UTC; None where it can't be read.
    :param raw: the event as it came.
    """

    id: str
    reference: str
    type: str
    timestamp: datetime | None
    description: str
    raw: Mapping[str, Any]


def parse_events(document: object) -> list[TrackingEvent]:
    """Return the events of ``{"value": […]}``, of an archived message's ``tracking``, or of a bare list.

    Unknown fields are ignored and missing ones are empty.

    :raises VendorError: for everything else: taken for "no events", it would let a message be sent twice.
    """
    values = document.get("value", document.get("tracking")) if isinstance(document, Mapping) else document
    if not isinstance(values, list) or not all(isinstance(value, Mapping) for value in values):
        raise VendorError("the answer is not a list of tracking events", vendor="marigold", operation="track")
    return [_event(value) for value in values]


def accepted_since(events: Iterable[TrackingEvent], reference: str, since: datetime, *, reused: bool = False) -> bool:
    """Tell whether the vendor took a message of this reference at or after `since` (naive means UTC).

    References may be used again, so an older event says nothing about this message. An event without a
    reference belongs to the message that was asked for.

    :param reused: an earlier send used the reference: only events of acceptance count, since a delivery or a
        bounce may be a late one of that earlier send.
    :raises AmbiguousDeliveryError: if only events without a readable timestamp show it.
    """
    since = since if since.tzinfo else since.replace(tzinfo=UTC)
    undated = False
    for event in events:
        if event.reference not in {reference, ""} or not _shows_acceptance(event.type, reused):
            continue
        if event.timestamp is None:
            undated = True
        elif event.timestamp >= since:
            return True
    if undated:
        raise AmbiguousDeliveryError(
            "tracking knows the message, but not when: its timestamps can't be read",
            vendor="marigold",
            operation="track",
            references=(reference,),
            retryable=True,
        )
    return False


def state(events: Iterable[TrackingEvent]) -> State:
    """Return the furthest state that the events of one message show; their order does not matter."""
    return max((_state_of(event.type) for event in events), key=_ORDER.__getitem__, default=State.UNKNOWN)


def is_archived(event: TrackingEvent) -> bool:
    """Tell whether the event says that the message can be read from the archive."""
    return _steps(event.type) == ("archive", "archived")


def _event(value: Mapping[str, Any]) -> TrackingEvent:
    return TrackingEvent(
        id=_text(value.get("id")),
        reference=_text(value.get("external_reference")),
        type=_text(value.get("type")).removeprefix(_PREFIX),
        timestamp=_moment(value.get("timestamp")),
        description=_text(value.get("description")),
        raw=value,
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _moment(value: object) -> datetime | None:
    try:
        return parse_timestamp(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _steps(event_type: str) -> tuple[str, str]:
    """Return area and step: ``deliveries`` and ``sent`` of ``sdc.deliveries.email.sent``."""
    parts = event_type.lower().removeprefix(_NAMESPACE).split(".")
    return parts[0], parts[-1]


def _shows_acceptance(event_type: str, reused: bool) -> bool:
    area, step = _steps(event_type)
    if area == "imports" or (area == "api" and step == "accepted"):
        return True
    return not reused and area in {"deliveries", "bounces", "archive"}


def _state_of(event_type: str) -> State:
    area, step = _steps(event_type)
    known = _STATES.get((area, step))
    if known is not None:
        return known
    return State.ACCEPTED if _shows_acceptance(event_type, reused=False) else State.UNKNOWN


_STATES = {
    ("deliveries", "deferred"): State.DEFERRED,
    ("deliveries", "sent"): State.DELIVERED,
    ("deliveries", "failed"): State.FAILED,
    ("bounces", "bounced"): State.BOUNCED,
    ("bounces", "complaintfiled"): State.COMPLAINED,
    ("bounces", "listunsubscribed"): State.UNSUBSCRIBED,
}
_ORDER = {
    State.UNKNOWN: 0,
    State.ACCEPTED: 1,
    State.DEFERRED: 2,
    State.DELIVERED: 3,
    State.FAILED: 4,
    State.BOUNCED: 5,
    State.UNSUBSCRIBED: 6,
    State.COMPLAINED: 7,
}
