"""What becomes of an accepted message: decided by the local part of its address, the same each time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["bounces", "complaints", "list_unsubscribes"]
Mode = Literal["direct", "indirect"]
MAILBOXES: Mapping[Kind, str] = {
    "bounces": "bounces@sandbox.slgnt.eu",
    "complaints": "complaints@sandbox.slgnt.eu",
    "list_unsubscribes": "unsubscribe@sandbox.slgnt.eu",
}


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What happens to a message after it was accepted."""

    deliveries: tuple[str, ...] = ("sent",)
    """Its delivery events."""
    kind: Kind | None = None
    """The feedback it brings."""
    mode: Mode | None = None
    event: str | None = None
    """The tracking event of the feedback. A direct bounce has none: it is the failed delivery itself."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """What its feedback row holds apart from the message's own data."""


def _direct_bounce(deliveries: tuple[str, ...], mapping: str, reason: str, outcome: str, category: str) -> Outcome:
    fields = {
        "mapping": mapping,
        "mode": "direct",
        "finalize_reason": reason,
        "outcome": outcome,
        "outcome_category": category,
    }
    return Outcome(deliveries, "bounces", "direct", None, fields)


def _indirect_bounce(mapping: str) -> Outcome:
    fields = {"mapping": mapping, "mode": "indirect", "mailbox": MAILBOXES["bounces"]}
    return Outcome(("sent",), "bounces", "indirect", "bounced", fields)


def _feedback(kind: Kind, event: str) -> Outcome:
    return Outcome(("sent",), kind, None, event, {"mailbox": MAILBOXES[kind]})


DELIVERED = Outcome()
UNSUBSCRIBE = _feedback("list_unsubscribes", "listunsubscribed")
COMPLAINT = _feedback("complaints", "complaintfiled")
DIRECT_BOUNCES = (
    _direct_bounce(("failed",), "hard", "hardBounce", "550 5.1.1 No such user here", "badUser"),
    _direct_bounce(("deferred", "failed"), "soft", "tooManyRetries", "452 4.2.2 The mailbox is full", "mailboxFull"),
)
INDIRECT_BOUNCES = (_indirect_bounce("spam"), _indirect_bounce("hard"))
OUTCOMES = {
    "hard-bounce": DIRECT_BOUNCES[0],
    "soft-bounce": DIRECT_BOUNCES[1],
    "spam-bounce": INDIRECT_BOUNCES[0],
    "indirect-bounce": INDIRECT_BOUNCES[1],
    "complaint": COMPLAINT,
    "unsubscribe": UNSUBSCRIBE,
    "failed": Outcome(("failed",)),
    "deferred": Outcome(("deferred",)),
}


def outcome_of(recipient: str) -> Outcome:
    """``hard-bounce+anything@…``, ``hard-bounce-17@…`` and ``hard-bounce.17@…`` are all ``hard-bounce@…``."""
    local = recipient.partition("@")[0].partition("+")[0]
    stem = local.rstrip("0123456789")
    numbered = stem != local and stem.endswith(("-", "."))
    return OUTCOMES.get(stem[:-1] if numbered else local, DELIVERED)
