"""The CloudEvents of e-mails, in the shapes of the vendor's page, and in step with the feedback it lists."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from airflow_provider_messaging.sandbox import ticks
from airflow_provider_messaging.sandbox.deliveries import Delivery
from airflow_provider_messaging.sandbox.marigold.events import due
from airflow_provider_messaging.sandbox.marigold.outcomes import Outcome, outcome_of

TYPES = tuple(
    f"com.sdc.{name}"
    for name in (
        "deliveries.email.sent",
        "deliveries.email.failed",
        "bounces.email.bounced",
        "bounces.email.complaintfiled",
        "bounces.email.listunsubscribed",
    )
)
SENT, FAILED = TYPES[:2]
_SENT = {"result": "success", "outcome": "250 Ok", "outcome_category": "ok"}
_FAILED = {
    "outcome": "451 4.3.0 Try again later",
    "outcome_category": "receiverProblem",
    "finalize_reason": "tooManyRetries",
}
"""Of a failed delivery that no bounce is listed of."""


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened to the message at `position`, at ``at``: ticks of the true clock."""

    position: int
    type: str
    at: int


def happenings(position: int, delivery: Delivery, outcome: Outcome, feedback_delay: int) -> Iterator[Happening]:
    """What the vendor tells of a message: its delivery, and the feedback at the moment that its row has."""
    if delivery.channel != "email":
        return
    at = due(delivery)
    if "sent" in outcome.deliveries:
        yield Happening(position, SENT, at)
    elif "failed" in outcome.deliveries:
        yield Happening(position, FAILED, at + (feedback_delay if outcome.kind else 0))
    if outcome.event is not None:
        yield Happening(position, f"com.sdc.bounces.email.{outcome.event}", at + feedback_delay)


def identity(happening: Happening) -> str:
    """The id of its event: always the same one."""
    return hashlib.blake2b(f"{happening.position}:{happening.type}".encode(), digest_size=16).hexdigest()


def document(happening: Happening, delivery: Delivery, skew: int, delay: int) -> dict[str, Any]:
    """The event as the vendor posts it; ``time`` is when it was made, ``data.timestamp`` when it happened."""
    number = identity(happening)
    at = happening.at + skew
    is_delivery = happening.type in (SENT, FAILED)
    return {
        "id": number,
        "source": "/sdc",
        "type": happening.type,
        "time": ticks.text(at + delay),
        "specversion": "1.0",
        "datacontenttype": "application/json",
        # As in the page's samples: of a bounce it is not the reference.
        "subject": delivery.reference if is_delivery else str(uuid.UUID(number)),
        "data": _delivered(happening, delivery, at) if is_delivery else _returned(happening, delivery, at),
    }


def _delivered(happening: Happening, delivery: Delivery, at: int) -> dict[str, Any]:
    if happening.type == SENT:
        what: dict[str, Any] = dict(_SENT)
    else:
        fields = outcome_of(delivery.recipient).fields
        what = {"result": "undeliverable", **{name: fields.get(name, text) for name, text in _FAILED.items()}}
    given = {"profile": delivery.profile, "tags": delivery.tags, "metadata": delivery.metadata}
    return {
        **what,
        "context": {name: value for name, value in given.items() if value is not None},
        "recipient": delivery.recipient,
        "external_reference": delivery.reference,
        "timestamp": ticks.text(at, ""),
        "account_id": delivery.account,
    }


def _returned(happening: Happening, delivery: Delivery, at: int) -> dict[str, Any]:
    """No recipient, no type of bounce: the page has neither."""
    return {
        "account_id": delivery.account,
        "external_reference": delivery.reference,
        "subject": (delivery.extra or {}).get("subject"),
        "mailbox": outcome_of(delivery.recipient).fields["mailbox"],
        "timestamp": ticks.text(at, "+00:00"),
    }
