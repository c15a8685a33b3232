"""Sending messages, one a request, as the delivery engine needs it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, get_args

from airflow_provider_messaging.core.endpoint import Endpoint
from airflow_provider_messaging.core.errors import AmbiguousDeliveryError
from airflow_provider_messaging.core.flow import Api, Flow
from airflow_provider_messaging.core.http import Request, Response
from airflow_provider_messaging.core.messages import (
    Accepted,
    Ambiguous,
    Doubt,
    Message,
    Reject,
    Sighting,
    Verdict,
)
from airflow_provider_messaging.core.times import parse_timestamp
from airflow_provider_messaging.vendors.messangi import rows
from airflow_provider_messaging.vendors.messangi.api import read
from airflow_provider_messaging.vendors.messangi.channel import MessangiChannel
from airflow_provider_messaging.vendors.messangi.endpoints import (
    GET_MESSAGE,
    SEND_EMAIL,
    SEND_NOTIFICATION,
    SEND_SMS,
    SEND_WHATSAPP,
    ChannelName,
)
from airflow_provider_messaging.vendors.messangi.envelope import REJECTED, TAKEN, read_envelope

ENDPOINT_OF: dict[ChannelName, Endpoint] = {
    "sms": SEND_SMS,
    "email": SEND_EMAIL,
    "whatsapp": SEND_WHATSAPP,
    "notification": SEND_NOTIFICATION,
}
CHANNELS: tuple[ChannelName, ...] = get_args(ChannelName)

_MADE = re.compile(r"[0-9a-f]{32}")
"""References that are made for rows without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageChannel(MessangiChannel):
    """One of the vendor's four sends. It publishes no look-up: what may have been taken is reported, never repeated."""

    doubt: ClassVar[Doubt] = Doubt.REPORT
    reads_answers: ClassVar[bool] = True

    compose: rows.Compose
    defaults: rows.Defaults

    def prepare(
        self, rows_: Sequence[tuple[int, object]], *, reference_of: Callable[[int], str], now: datetime
    ) -> Iterable[Message | Reject]:
        for row, given in rows_:
            yield rows.prepare(self.compose, row, given, reference_of=reference_of, defaults=self.defaults)

    def request(self, messages: Sequence[Message]) -> Request:
        [message] = messages
        return self.api.request(self.endpoint, body=message.data)

    def accepted(self, response: Response, messages: Sequence[Message]) -> Verdict:
        """Read the answer's own status: a rejection comes with HTTP 200, too."""
        try:
            envelope = read_envelope(response)
        except ValueError:
            return Ambiguous(f"HTTP {response.status} with an answer that is not JSON")
        if envelope.status == REJECTED:
            return self.rejected(envelope)
        if envelope.status in TAKEN or not (envelope.status or envelope.errors.reason):
            return Accepted(details={"message_id": envelope.message_id} if envelope.message_id else {})
        what = f"the status {envelope.status!r}" if envelope.status else "an error"
        call = envelope.meta.transaction_id
        reason = self.api.redact(envelope.reason) or "no reason given"
        return Ambiguous(f"HTTP {response.status} with {what}: {reason}" + (f" (trace id {call})" if call else ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedSmsChannel(MessageChannel):
    """SMS that carry our reference as ``externalId``, for accounts whose messages can be looked up by that."""

    doubt: ClassVar[Doubt] = Doubt.LOOK_UP
    look_up_doubts: ClassVar[str] = (
        "messages can't be looked up by their external id there (extra 'lookup_by_reference'), or the path is another "
        "(extra 'endpoints' → 'get_message')"
    )

    def look_up(self, reference: str, *, since: datetime, reused: bool) -> Flow[Sighting]:
        response = yield from self.api.call_or_none(GET_MESSAGE, segments={"message_id": reference})
        if response is None:
            return Sighting.NOT_FOUND
        envelope = read(self.api, GET_MESSAGE, response)
        message = envelope.data or (envelope.raw if isinstance(envelope.raw, dict) else {})
        if not message or str(message.get(rows.EXTERNAL_ID, reference)) != reference:
            return Sighting.NOT_FOUND
        if envelope.status == REJECTED:
            return Sighting.NOT_SEEN
        at = _moment(message.get("date"))
        if at is None and _MADE.fullmatch(reference) and not reused:
            # No other send ever had a reference that was made for this one.
            return Sighting.SEEN
        if at is None:
            raise AmbiguousDeliveryError(
                "the vendor knows the message, but its answer does not say since when",
                vendor=self.api.vendor,
                operation=GET_MESSAGE.name,
                connection=self.api.connection,
                references=(reference,),
                retryable=True,
                trace_id=envelope.meta.transaction_id,
            )
        vendors_since = since + response.clock_offset(datetime.now(UTC))
        return Sighting.SEEN if at >= vendors_since else Sighting.NOT_SEEN


def message_channel(
    api: Api, name: ChannelName, *, defaults: rows.Defaults, lookup_by_reference: bool = False
) -> MessageChannel:
    """Return the sending of one kind of message.

    :param lookup_by_reference: SMS can be looked up by their ``externalId`` in this account.
    """
    tracked = name == "sms" and lookup_by_reference
    make = TrackedSmsChannel if tracked else MessageChannel
    return make(
        api=api,
        endpoint=ENDPOINT_OF[name],
        limits=rows.LIMITS,
        compose=rows.tracked_sms if tracked else rows.COMPOSERS[name],
        defaults=defaults,
    )


def _moment(value: object) -> datetime | None:
    """Return a moment given as ISO 8601 text (no offset means UTC) or in milliseconds."""
    try:
        if isinstance(value, int):
            return datetime.fromtimestamp(value / 1000, UTC)
        return parse_timestamp(value) if isinstance(value, str) else None
    except (ValueError, OverflowError, OSError):
        return None
