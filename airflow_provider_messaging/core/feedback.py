"""The data contract of feedback: the one event that every vendor's bounces, complaints and unsubscribes become.

Files and tables of years hold it, so it is versioned: docs/feedback.md says what a version promises.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypedDict

SCHEMA_VERSION = 1
"""Raised whenever a column is added or the meaning of one changes; none is taken away."""

BOUNCE = "bounce"
COMPLAINT = "complaint"
LIST_UNSUBSCRIBE = "list_unsubscribe"
EVENT_KINDS = (BOUNCE, COMPLAINT, LIST_UNSUBSCRIBE)

HARD = "hard"
SOFT = "soft"
SPAM = "spam"
BOUNCE_TYPES = (HARD, SOFT, SPAM)


class FeedbackEvent(TypedDict):
    """One event, flat. `FEEDBACK` says what its members mean."""

    event_id: str
    schema_version: int
    vendor: str
    kind: str
    bounce_type: str | None
    mode: str | None
    category: str | None
    reason: str | None
    outcome: str | None
    reference: str | None
    recipient: str | None
    domain: str | None
    mailbox: str | None
    account_id: str | None
    occurred_at: datetime | None
    raw: str


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a contract.

    :param type: ``text``, ``integer`` (64 bits) or ``timestamp`` (microseconds, UTC).
    :param meaning: for people.
    :param required: it is never empty.
    :param length: characters of a text at most, where tables cut longer ones; None for any length.
    """

    name: str
    type: Literal["text", "integer", "timestamp"]
    meaning: str
    required: bool = False
    length: int | None = None


def _text(name: str, length: int | None, meaning: str, *, required: bool = False) -> Column:
    return Column(name, "text", meaning, required=required, length=length)


FEEDBACK: tuple[Column, ...] = (
    _text("event_id", 32, "digest of what identifies the event; equal for all copies of it", required=True),
    Column("schema_version", "integer", "version of this contract", required=True),
    _text("vendor", 32, "`marigold`", required=True),
    _text("kind", 32, "`bounce`, `complaint`, `list_unsubscribe`", required=True),
    _text("bounce_type", 32, "`hard`, `soft`, `spam`; bounces only"),
    _text("mode", 32, "`direct` (while sending), `indirect` (a mail that came later); bounces only"),
    _text("category", 64, "the vendor's class of the outcome, such as `badUser`"),
    _text("reason", 64, "why the vendor gave up, such as `hardBounce`"),
    _text("outcome", None, "the mail server's words"),
    _text("reference", 255, "the message's reference, as it was sent"),
    _text("recipient", 320, "the address, where the vendor tells it"),
    _text("domain", 255, "the recipient's domain"),
    _text("mailbox", 320, "the mailbox, as the vendor gives it"),
    _text("account_id", 255, "the vendor's account"),
    Column("occurred_at", "timestamp", "when it happened"),
    _text("raw", None, "the vendor's row, JSON", required=True),
)
"""The columns of the event, in order: of Parquet files, and of tables before their own columns."""
