"""The vendor's webhooks: its CloudEvents, typed, and the one event of the data contract that they become.

By the vendor's page ("Webhook Events" of the Delivery Cloud API) a request has one event in structured mode, as
``application/json``. The other modes of CloudEvents over HTTP are read as well: see `cloudevents_http`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from airflow_provider_messaging.core.feedback import HARD, SOFT, SPAM, FeedbackEvent
from airflow_provider_messaging.vendors.marigold.feedback import Kind, normalise
from airflow_provider_messaging.vendors.marigold.times import parse_timestamp

__all__ = [
    "Bounced",
    "ComplaintFiled",
    "DeliveryFailed",
    "DeliverySent",
    "ListUnsubscribed",
    "UnknownEvent",
    "WebhookEvent",
    "canonical_type",
    "derived_bounce_type",
    "match_key",
    "normalise_event",
    "read_event",
]

SENT = "sdc.deliveries.email.sent"
FAILED = "sdc.deliveries.email.failed"
BOUNCED = "sdc.bounces.email.bounced"
COMPLAINT_FILED = "sdc.bounces.email.complaintfiled"
LIST_UNSUBSCRIBED = "sdc.bounces.email.listunsubscribed"

RECEIVED_AT = "receivedat"
"""The extension attribute that the receiver adds."""

_DIRECT = "direct"
_INDIRECT = "indirect"


class WebhookEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What every event has. Empty strings and other types than the documented ones read as None.

    :param type: lower case, without a leading ``com.``.
    :param time: when the vendor made the event, aware, UTC.
    :param timestamp: when it happened, aware, UTC; `time` where the payload does not say.
    :param reference: the message's reference, as it was sent.
    :param raw: the event as it came.
    """

    id: str
    source: str
    type: str
    subject: str | None
    time: datetime | None
    timestamp: datetime | None
    account_id: str | None
    reference: str | None
    raw: Mapping[str, Any]


class Delivery(WebhookEvent, frozen=True, kw_only=True):
    """What became of the attempt to hand a message to the recipient's mail server.

    :param context: ``profile``, ``tags`` and ``metadata`` as they were sent.
    """

    recipient: str | None
    result: str | None
    outcome: str | None
    outcome_category: str | None
    context: Mapping[str, Any] | None


class DeliverySent(Delivery, frozen=True, kw_only=True):
    """The mail server took the message."""


class DeliveryFailed(Delivery, frozen=True, kw_only=True):
    """The vendor gave up: a direct bounce, and the only one that tells the recipient."""

    finalize_reason: str | None


class Returned(WebhookEvent, frozen=True, kw_only=True):
    """A mail that came to the mailbox for replies."""

    mailbox: str | None


class Bounced(Returned, frozen=True, kw_only=True):
    """A bounce that came later, as a mail: an indirect one."""


class ComplaintFiled(Returned, frozen=True, kw_only=True):
    """A recipient called a message spam."""


class ListUnsubscribed(Returned, frozen=True, kw_only=True):
    """A recipient used a message's ``List-Unsubscribe`` header."""


class UnknownEvent(WebhookEvent, frozen=True, kw_only=True):
    """An event of a type that the page does not name. All of it is in `raw`."""


def canonical_type(event_type: object) -> str:
    """Return an event's type in lower case, without the leading ``com.`` that it has or has not."""
    return event_type.lower().removeprefix("com.") if isinstance(event_type, str) else ""


def read_event(event: Mapping[str, Any]) -> WebhookEvent:
    """Return the typed event. Never fails on what the vendor sends: unknown fields are in `raw` only."""
    found = canonical_type(event.get("type"))
    data = _data(event)
    time = _moment(event.get("time"))
    common: dict[str, Any] = {
        "id": _text(event.get("id")) or "",
        "source": _text(event.get("source")) or "",
        "type": found,
        "subject": _text(event.get("subject")),
        "time": time,
        "timestamp": _moment(data.get("timestamp")) or time,
        "account_id": _text(data.get("account_id")),
        "reference": _reference(found, event, data),
        "raw": event,
    }
    if found in _RETURNED:
        return _RETURNED[found](mailbox=_text(data.get("mailbox")), **common)
    if found not in {SENT, FAILED}:
        return UnknownEvent(**common)
    context = data.get("context")
    common |= {
        "recipient": _text(data.get("recipient")),
        "result": _text(data.get("result")),
        "outcome": _text(data.get("outcome")),
        "outcome_category": _text(data.get("outcome_category")),
        "context": context if isinstance(context, Mapping) else None,
    }
    if found == SENT:
        return DeliverySent(**common)
    return DeliveryFailed(finalize_reason=_text(data.get("finalize_reason")), **common)


def normalise_event(event: Mapping[str, Any]) -> FeedbackEvent | None:
    """Return the event of the data contract, None for what is no feedback: messages sent, and unknown types.

    :param event: a CloudEvent in structured form. Never fails on what it holds.

    The pull reads tell more of the same event (``domain``, ``mapping``), and that is part of its `event_id`. So a
    webhook's event has an `event_id` of its own, equal for all its copies; `match_key` brings the two together.
    """
    found = canonical_type(event.get("type"))
    kind = _KINDS.get(found)
    if kind is None:
        return None
    data = _data(event)
    recipient = _text(data.get("recipient"))
    row = {
        **data,
        "external_reference": _reference(found, event, data),
        "timestamp": data.get("timestamp") or event.get("time"),
        "domain": data.get("domain") or _domain(recipient),
    }
    if kind is Kind.BOUNCES:
        row["mode"] = data.get("mode") or (_DIRECT if found == FAILED else _INDIRECT)
    raw = {name: value for name, value in event.items() if name != RECEIVED_AT}
    normal = normalise(kind, row, raw=_ENCODER.encode(raw).decode())
    normal["recipient"] = recipient
    if kind is Kind.BOUNCES and normal["bounce_type"] is None:
        normal["bounce_type"] = derived_bounce_type(normal["reason"], normal["category"])
    return normal


def match_key(event: FeedbackEvent) -> tuple[str, ...]:
    """Return what an event has in common whether it was pulled or came by webhook: kind, reference, and the second.

    Neither account (the webhook's samples lack it), nor mode, domain and bounce type (one side lacks them) are part of
    it. A message has one recipient, and does not bounce twice within a second. An event without reference or moment
    matches none but its own copies.
    """
    reference, moment = event["reference"], event["occurred_at"]
    if reference is None or moment is None:
        return (event["vendor"], event["kind"], "", event["event_id"])
    return (event["vendor"], event["kind"], reference, moment.isoformat(timespec="seconds"))


def derived_bounce_type(reason: str | None, category: str | None) -> str | None:
    """Return the bounce type that reason and category leave no doubt about, None otherwise.

    The webhook does not tell the type. The vendor's samples have soft bounces with the reason ``hardBounce``, so the
    reason alone makes none hard: the category has to say that it is the address.
    """
    if reason == "nonExistingDomainName" or (reason == "hardBounce" and category in _DEAD_ADDRESS):
        return HARD
    if category == "spam":
        return SPAM
    if category == "mailboxFull" or reason in _GAVE_UP:
        return SOFT
    return None


def _data(event: Mapping[str, Any]) -> Mapping[str, Any]:
    data = event.get("data")
    return data if isinstance(data, Mapping) else {}


def _reference(found: str, event: Mapping[str, Any], data: Mapping[str, Any]) -> str | None:
    """Return the reference; a delivery's payload may be null, and in the page's samples its subject is the same."""
    reference = _text(data.get("external_reference"))
    return reference or (_text(event.get("subject")) if found in {SENT, FAILED} else None)


def _domain(recipient: str | None) -> str | None:
    return recipient.rpartition("@")[2].lower() if recipient and "@" in recipient else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _moment(value: object) -> datetime | None:
    try:
        return parse_timestamp(value) if isinstance(value, str) else None
    except ValueError:
        return None


_KINDS = {
    FAILED: Kind.BOUNCES,
    BOUNCED: Kind.BOUNCES,
    COMPLAINT_FILED: Kind.COMPLAINTS,
    LIST_UNSUBSCRIBED: Kind.LIST_UNSUBSCRIBES,
}
_RETURNED: Mapping[str, type[Returned]] = {
    BOUNCED: Bounced,
    COMPLAINT_FILED: ComplaintFiled,
    LIST_UNSUBSCRIBED: ListUnsubscribed,
}
_ENCODER = msgspec.json.Encoder()
_DEAD_ADDRESS = frozenset({"badUser", "unavailable"})
_GAVE_UP = frozenset({"tooManyRetries", "tooManyDeferrals", "expired"})
