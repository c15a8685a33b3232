"""Writing and removing many subscribers of a list, one a request, as the delivery engine needs it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

import msgspec

from airflow_provider_messaging.core.batching import BatchLimits
from airflow_provider_messaging.core.encoding import encode_json
from airflow_provider_messaging.core.errors import MessagingError, ValidationError
from airflow_provider_messaging.core.flow import Api, Flow
from airflow_provider_messaging.core.http import Request, Response
from airflow_provider_messaging.core.messages import (
    Accepted,
    Doubt,
    Message,
    NotTaken,
    Reject,
    Verdict,
)
from airflow_provider_messaging.vendors.messangi.api import check_list
from airflow_provider_messaging.vendors.messangi.channel import MessangiChannel
from airflow_provider_messaging.vendors.messangi.endpoints import DELETE_SUBSCRIBER, UPSERT_SUBSCRIBER
from airflow_provider_messaging.vendors.messangi.envelope import Envelope, read_envelope
from airflow_provider_messaging.vendors.messangi.rows import REJECTED as REJECTED_KEY

LIMITS = BatchLimits(max_messages=1, max_bytes=1_000_000)
"""One subscriber a request. The size is ours: the vendor states none."""
LONGEST_ID = 256
_ADDRESSES = ("email", "mobile", "phone")


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriberChannel(MessangiChannel):
    """Requests about the subscribers of one list. A repeat leads to the same state."""

    doubt: ClassVar[Doubt] = Doubt.REPEAT

    list_id: str
    id_field: str = "id"

    def prepare(
        self, rows: Sequence[tuple[int, object]], *, reference_of: Callable[[int], str], now: datetime
    ) -> Iterable[Message | Reject]:
        for row, given in rows:
            yield self._prepare(row, given)

    def request(self, messages: Sequence[Message]) -> Request:
        [message] = messages
        segments = {"list_id": self.list_id, "subscriber_id": message.reference}
        return self.api.request(self.endpoint, segments=segments, body=self.body(message))

    def body(self, message: Message) -> bytes | None:
        return message.data

    def _prepare(self, row: int, given: object) -> Message | Reject:
        if not isinstance(given, dict):
            return Reject.of(row, "", "INVALID_TYPE", "must be an object")
        subscriber_id = _identifier(given.get(self.id_field))
        if subscriber_id is None:
            known = given.get(self.id_field) not in (None, "")
            message = f"must be 1 to {LONGEST_ID} printable characters, or a number" if known else "is required"
            return Reject.of(row, self.id_field, "INVALID_ID" if known else "REQUIRED_PROPERTY", message)
        try:
            data = encode_json({name: value for name, value in given.items() if name != REJECTED_KEY})
        except ValidationError as error:
            return Reject.of(row, "", "INVALID_TYPE", error.message, subscriber_id)
        if not LIMITS.fits_alone(len(data)):
            return Reject.of(row, "", "MESSAGE_TOO_LARGE", LIMITS.excess(len(data)), subscriber_id)
        recipient = next((given[name] for name in _ADDRESSES if isinstance(given.get(name), str)), "")
        return Message(row=row, reference=subscriber_id, recipient=recipient or subscriber_id, data=data)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpsertChannel(SubscriberChannel):
    """Writes subscribers: created where there is none of the id, else replaced."""

    def accepted(self, response: Response, messages: Sequence[Message]) -> Verdict:
        try:
            envelope = read_envelope(response)
        except ValueError:
            envelope = Envelope()
        if envelope.is_rejection:
            return self.rejected(envelope)
        return Accepted(outcome="created" if response.status == 201 else "updated")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteChannel(SubscriberChannel):
    """Removes subscribers; one that is not there any more is as good as removed."""

    checked: list[str] = field(default_factory=list, repr=False)
    """The list, once it is known that it can be read."""

    def body(self, message: Message) -> bytes | None:
        return None

    def send(self, messages: Sequence[Message]) -> Flow[Verdict]:
        reply = yield from self.api.exchange(self.endpoint, self.request(messages))
        if reply.status != 404:
            return self.judge(reply, messages)
        if not self.checked:
            # A wrong prefix or list answers 404 to everything, and nothing would have been removed.
            try:
                yield from check_list(self.api, self.list_id)
            except MessagingError as error:
                return NotTaken(error)
            self.checked.append(self.list_id)
        return Accepted(outcome="absent")

    def accepted(self, response: Response, messages: Sequence[Message]) -> Verdict:
        return Accepted(outcome="deleted")

    def _prepare(self, row: int, given: object) -> Message | Reject:
        named = given if isinstance(given, dict) else {self.id_field: given}
        result = SubscriberChannel._prepare(self, row, named)
        if isinstance(result, Reject):
            return result
        return msgspec.structs.replace(result, data=encode_json(result.reference))


def upsert_channel(api: Api, list_id: str, *, id_field: str = "id") -> UpsertChannel:
    """Return the writing of subscribers of a list.

    :param id_field: the field of a row that holds the subscriber's id.
    """
    return UpsertChannel(api=api, endpoint=UPSERT_SUBSCRIBER, limits=LIMITS, list_id=list_id, id_field=id_field)


def delete_channel(api: Api, list_id: str, *, id_field: str = "id") -> DeleteChannel:
    """Return the removal of subscribers from a list."""
    return DeleteChannel(api=api, endpoint=DELETE_SUBSCRIBER, limits=LIMITS, list_id=list_id, id_field=id_field)


def _identifier(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_ID or value in {".", ".."}:
        return None
    # Whatever has no UTF-8 is not printable.
    if not value.isprintable():
        return None
    return str.__str__(value)
