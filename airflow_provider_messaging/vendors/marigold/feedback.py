"""Bounces, complaints and list unsubscribes, and the one event that all three become.

The rows are `msgspec.Struct`s: feedback comes by the million, and pydantic takes four times as long.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from typing import Any

import msgspec

from airflow_provider_messaging.core.feedback import (
    BOUNCE,
    COMPLAINT,
    LIST_UNSUBSCRIBE,
    SCHEMA_VERSION,
    FeedbackEvent,
)
from airflow_provider_messaging.vendors.marigold.times import parse_timestamp

__all__ = [
    "Bounce",
    "Complaint",
    "Kind",
    "ListUnsubscribe",
    "event_id",
    "normalise",
    "parse_timestamp",
    "read_row",
]

VENDOR = "marigold"


class Kind(StrEnum):
    """The three feedback reads."""

    BOUNCES = "bounces"
    COMPLAINTS = "complaints"
    LIST_UNSUBSCRIBES = "list_unsubscribes"


class FeedbackRow(msgspec.Struct, frozen=True, kw_only=True):
    """What every feedback row has. Empty strings and other types than the documented ones read as None.

    :param timestamp: aware, UTC; None where it can't be read.
    :param raw: the row as it came.
    """

    account_id: str | None
    external_reference: str | None
    timestamp: datetime | None
    domain: str | None
    mailbox: str | None
    raw: Mapping[str, Any]


class Bounce(FeedbackRow, frozen=True, kw_only=True):
    """A message that came back. A known value has the documented spelling, an unknown one its own.

    :param mapping: ``hard``, ``soft`` or ``spam``.
    :param mode: ``direct`` (while sending) or ``indirect`` (a mail that came later).
    """

    mapping: str | None
    mode: str | None
    outcome: str | None
    outcome_category: str | None
    finalize_reason: str | None
    list_unsubscribe_header: str | None


class Complaint(FeedbackRow, frozen=True, kw_only=True):
    """A recipient who called a message spam."""


class ListUnsubscribe(FeedbackRow, frozen=True, kw_only=True):
    """A recipient who used a message's ``List-Unsubscribe`` header."""

    list_unsubscribe_header: str | None


def read_row(kind: str, row: Mapping[str, Any]) -> Bounce | Complaint | ListUnsubscribe:
    """Return the typed row. Never fails on what the vendor sends: unknown fields are in `raw` only.

    :raises ValueError: if there is no such kind.
    """
    common: dict[str, Any] = {
        "account_id": _text(row.get("account_id")),
        "external_reference": _text(row.get("external_reference")),
        "timestamp": _moment(row.get("timestamp")),
        "domain": _text(row.get("domain")),
        "mailbox": _text(row.get("mailbox")),
        "raw": row,
    }
    match Kind(kind):
        case Kind.BOUNCES:
            return Bounce(
                mapping=_known(row.get("mapping")),
                mode=_known(row.get("mode")),
                outcome=_text(row.get("outcome")),
                outcome_category=_known(row.get("outcome_category")),
                finalize_reason=_known(row.get("finalize_reason")),
                list_unsubscribe_header=_text(row.get("list_unsubscribe_header")),
                **common,
            )
        case Kind.COMPLAINTS:
            return Complaint(**common)
        case Kind.LIST_UNSUBSCRIBES:
            return ListUnsubscribe(list_unsubscribe_header=_text(row.get("list_unsubscribe_header")), **common)


def event_id(kind: str, row: Mapping[str, Any]) -> str:
    """Return 32 hexadecimal digits, the same for every copy of an event.

    Copies may differ in the spelling of the timestamp, in the case of enums, and in null against missing.

    :raises ValueError: if there is no such kind.
    """
    return _digest(Kind(kind), row, _moment(row.get("timestamp")))


def normalise(kind: str, row: Mapping[str, Any], *, raw: str | None = None) -> FeedbackEvent:
    """Return the event of the data contract: see `airflow_provider_messaging.core.feedback`.

    :param kind: see `Kind`.
    :param row: one element of the vendor's ``value``. Never fails on what it holds.
    :param raw: its JSON where that is at hand; it is encoded otherwise.
    :raises ValueError: if there is no such kind.
    """
    found = Kind(kind)
    get = row.get
    # Not through `read_row`: this is done for every row of years, and the class between costs as much as all the rest.
    moment = _moment(get("timestamp"))
    domain = _text(get("domain"))
    event: FeedbackEvent = {
        "event_id": _digest(found, row, moment),
        "schema_version": SCHEMA_VERSION,
        "vendor": VENDOR,
        "kind": _EVENT_KINDS[found],
        "bounce_type": None,
        "mode": None,
        "category": None,
        "reason": None,
        "outcome": None,
        "reference": _text(get("external_reference")),
        "recipient": None,
        "domain": domain and domain.lower(),
        "mailbox": _text(get("mailbox")),
        "account_id": _text(get("account_id")),
        "occurred_at": moment,
        "raw": _ENCODER.encode(row).decode() if raw is None else raw,
    }
    if found is Kind.BOUNCES:
        event["bounce_type"] = _known(get("mapping"))
        event["mode"] = _known(get("mode"))
        event["category"] = _known(get("outcome_category"))
        event["reason"] = _known(get("finalize_reason"))
        event["outcome"] = _text(get("outcome"))
    return event


def _digest(kind: Kind, row: Mapping[str, Any], moment: datetime | None) -> str:
    get = row.get
    identity = [kind.value, moment.isoformat() if moment else str(get("timestamp"))]
    identity += [str(get(name) or "") for name in _IDENTIFYING]
    identity += [str(get(name) or "").lower() for name in _IDENTIFYING_ENUMS]
    return blake2b("\x1f".join(identity).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _known(value: object) -> str | None:
    """Return an enum's value in its documented spelling, an unknown one as it came."""
    text = _text(value)
    return text and _SPELLINGS.get(text.lower(), text)


def _moment(value: object) -> datetime | None:
    try:
        return parse_timestamp(value) if isinstance(value, str) else None
    except ValueError:
        return None


_EVENT_KINDS = {
    Kind.BOUNCES: BOUNCE,
    Kind.COMPLAINTS: COMPLAINT,
    Kind.LIST_UNSUBSCRIBES: LIST_UNSUBSCRIBE,
}
_ENCODER = msgspec.json.Encoder()
_IDENTIFYING = ("account_id", "external_reference", "domain", "mailbox", "list_unsubscribe_header")
_IDENTIFYING_ENUMS = ("mapping", "mode")

_MAPPINGS = ("soft", "hard", "spam")
_MODES = ("direct", "indirect")
_CATEGORIES = (
    "none",
    "error",
    "ok",
    "greyListed",
    "blackListed",
    "badUser",
    "unavailable",
    "senderProblem",
    "mailboxFull",
    "spam",
    "receiverProblem",
    "exclusion",
)
_REASONS = (
    "tooManyRetries",
    "tooManyDeferrals",
    "importBlacklist",
    "importFailed",
    "expired",
    "restriction",
    "mxServersDenied",
    "noMxServersAssigned",
    "nonExistingDomainName",
    "hardBounce",
    "badTemplate",
    "cancelled",
    "clientCancelled",
    "greyListed",
)
_SPELLINGS = {name.lower(): name for name in (*_MAPPINGS, *_MODES, *_CATEGORIES, *_REASONS)}
