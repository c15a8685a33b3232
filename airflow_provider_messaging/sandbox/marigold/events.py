"""The tracking events of accepted messages."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from airflow_provider_messaging.sandbox import ticks
from airflow_provider_messaging.sandbox.deliveries import Delivery
from airflow_provider_messaging.sandbox.marigold.outcomes import DELIVERED, Outcome, outcome_of

ZONES = ("Z", "+00:00", "")
DESCRIPTIONS = {
    "accepted": "Message accepted by the API",
    "imports": "Message imported",
    "deferred": "Message deferred, it will be tried again",
    "sent": "Message accepted for delivery",
    "failed": "Message could not be delivered",
    "archived": "Message archived",
    "bounced": "Bounce received",
    "complaintfiled": "Complaint received",
    "listunsubscribed": "Unsubscribe request received",
}
_FEEDBACK = ("bounced", "complaintfiled", "listunsubscribed")


@dataclass(frozen=True, slots=True)
class Event:
    """One tracking event at ``at``, ticks of the true clock."""

    type: str
    at: int
    description: str


def due(delivery: Delivery) -> int:
    """When the message leaves: at once, or at its custom send time."""
    if delivery.extra is None:
        return delivery.accepted_at
    send_at: int = delivery.extra.get("send_at", 0)
    return max(delivery.accepted_at, send_at)


def destiny(delivery: Delivery) -> Outcome:
    """The outcome of a message; a push message always arrives."""
    return outcome_of(delivery.recipient) if delivery.channel == "email" else DELIVERED


def steps(channel: str, outcome: Outcome, archived: bool) -> list[tuple[str, str]]:
    """Type and short name of every event of a message, in order."""
    planned = [(f"sdc.api.{channel}.accepted", "accepted"), (f"sdc.imports.{channel}", "imports")]
    planned += [(f"sdc.deliveries.{channel}.{name}", name) for name in outcome.deliveries]
    if archived:
        planned.append((f"sdc.archive.{channel}.archived", "archived"))
    if outcome.event is not None:
        planned.append((f"sdc.bounces.{channel}.{outcome.event}", outcome.event))
    return planned


def events(delivery: Delivery, feedback_delay: int, archive_delay: int) -> Iterator[Event]:
    """All events of one acceptance, those to come included; a tick apart so that their order shows."""
    leaves = due(delivery)
    for number, (kind, name) in enumerate(steps(delivery.channel, destiny(delivery), delivery.archived)):
        at = number + (delivery.accepted_at if name in ("accepted", "imports") else leaves)
        if name == "archived":
            at += archive_delay
        elif name in _FEEDBACK:
            at += feedback_delay
        yield Event(kind, at, DESCRIPTIONS[name])


def event_row(delivery: Delivery, position: int, event: Event, skew: int) -> dict[str, Any]:
    """The event in the vendor's form, its type with or without ``com.``."""
    digest = hashlib.blake2b(f"{position}:{event.type}".encode(), digest_size=16).hexdigest()
    return {
        "id": digest,
        "external_reference": delivery.reference,
        "type": "com." + event.type if digest[0] in "13579bdf" else event.type,
        "timestamp": ticks.text(event.at + skew, zone_of(digest)),
        "description": event.description,
    }


def zone_of(key: str) -> str:
    """One of the three spellings of UTC, always the same one for the same ``key``."""
    return ZONES[crc32(key.encode()) % 3]
