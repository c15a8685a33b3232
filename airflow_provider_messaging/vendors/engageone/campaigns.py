"""Campaigns: sending one to records, asking what became of a send, creating one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal

from airflow_provider_messaging.core.addresses import normalise
from airflow_provider_messaging.core.batching import BatchLimits, join, pack
from airflow_provider_messaging.core.channel import SendChannel
from airflow_provider_messaging.core.encoding import encode_json
from airflow_provider_messaging.core.errors import ConfigurationError, ValidationError, VendorError
from airflow_provider_messaging.core.flow import Api, Flow
from airflow_provider_messaging.core.http import Failure, Reply, Request, Response
from airflow_provider_messaging.core.messages import Accepted, Doubt, Message, Reject, Verdict
from airflow_provider_messaging.vendors.engageone.endpoints import (
    CREATE_CAMPAIGN,
    SEND_CAMPAIGN,
    SEND_CAMPAIGN_V1,
    SEND_STATUS,
    VENDOR,
)
from airflow_provider_messaging.vendors.engageone.jsonpath import JsonPath
from airflow_provider_messaging.vendors.engageone.problems import read_object

Version = Literal["v2", "v1"]

CHUNK_SIZE = 1_000
MAX_BYTES = 4_000_000
"""The vendor publishes no limits of a request: these are ours."""
WITHOUT_SEND_ID = "without_send_id"
_ENDPOINTS = {"v2": SEND_CAMPAIGN, "v1": SEND_CAMPAIGN_V1}
_OPEN = b'{"dataset":'


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """What a send says beside its records. Members that are None are left out of the request.

    :param campaign: the campaign's name, as it stands in the path.
    :param email_json_path: where a record has the recipient's address: ``customer_email``, ``$.customer.email``,
        ``$[*].email``.
    """

    campaign: str
    communication: str
    email_json_path: str
    sender: str | None = None
    sender_name: str | None = None
    reply_to: str | None = None
    subject: str | None = None
    project: str | None = None
    ignore_missing_fields: bool | None = None

    def members(self) -> dict[str, Any]:
        """Return the members of the request beside ``dataset``."""
        members = asdict(self)
        del members["campaign"]
        return {name: value for name, value in members.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignChannel(SendChannel):
    """Sends a campaign to records, many a request. The vendor calls each request by a ``send_id``.

    A send can't be looked up without its ``send_id``: one whose answer was lost stays ambiguous.
    """

    doubt: ClassVar[Doubt] = Doubt.REPORT
    receipt_name: ClassVar[str] = "send_id"

    campaign: str
    path: JsonPath
    tail: bytes = field(repr=False)
    """The request behind the records."""

    @property
    def common(self) -> bytes:
        return self.campaign.encode() + self.tail

    def prepare(
        self, rows: Sequence[tuple[int, object]], *, reference_of: Callable[[int], str], now: datetime
    ) -> Iterable[Message | Reject]:
        for number, row in rows:
            yield self._judge_row(number, row, reference_of)

    def request(self, messages: Sequence[Message]) -> Request:
        body = _OPEN + join(messages) + self.tail
        return self.api.request(self.endpoint, segments={"campaign": self.campaign}, body=body)

    def judge(self, reply: Reply, messages: Sequence[Message]) -> Verdict:
        if isinstance(reply, Failure) and reply.status is not None and 200 <= reply.status < 300:
            return Accepted(outcome=WITHOUT_SEND_ID)
        return SendChannel.judge(self, reply, messages)

    def accepted(self, response: Response, messages: Sequence[Message]) -> Verdict:
        send_id = read_send_id(response)
        if not send_id:
            return Accepted(outcome=WITHOUT_SEND_ID)
        return Accepted(receipt=send_id, details={"send_id": send_id})

    def _judge_row(self, number: int, row: object, reference_of: Callable[[int], str]) -> Message | Reject:
        if not isinstance(row, Mapping):
            return Reject.of(number, "", "INVALID_TYPE", "a record is an object")
        given = row.get("reference")
        reference = given if isinstance(given, str) and given else None
        value = self.path.find(row)
        if not isinstance(value, str):
            what = "the record has no address there" if value is None else "an address is text"
            code = "REQUIRED_PROPERTY" if value is None else "INVALID_TYPE"
            return Reject.of(number, self.path.text, code, what, reference)
        try:
            address = normalise(value)
        except ValueError as error:
            return Reject.of(number, self.path.text, "INVALID_EMAIL", str(error), reference)
        try:
            data = encode_json({name: item for name, item in row.items() if name != "_rejected"})
        except ValidationError as error:
            return Reject.of(number, "", "INVALID_TYPE", error.message, reference)
        if not self.limits.fits_alone(len(data)):
            return Reject.of(number, "", "MESSAGE_TOO_LARGE", self.limits.excess(len(data)), reference)
        return Message(row=number, reference=reference or reference_of(number), recipient=address, data=data)


def campaign_channel(
    api: Api,
    campaign: Campaign,
    *,
    version: Version = "v2",
    chunk_size: int = CHUNK_SIZE,
    max_bytes: int = MAX_BYTES,
) -> CampaignChannel:
    """Return the sending of a campaign.

    :param chunk_size: records a request at most.
    :param max_bytes: bytes a request at most.
    :raises ConfigurationError: naming the argument that can't work.
    """
    if version not in _ENDPOINTS:
        raise _wrong("version", f"is {version!r}; it must be v2 or v1")
    if chunk_size < 1:
        raise _wrong("chunk_size", "must be at least 1")
    for name in ("campaign", "communication", "email_json_path"):
        if not isinstance(getattr(campaign, name), str) or not getattr(campaign, name).strip():
            raise _wrong(name, "must be a text that is not empty")
    for name in ("sender", "reply_to"):
        address = getattr(campaign, name)
        try:
            _ = address and normalise(address)
        except ValueError as error:
            raise _wrong(name, f"is not an e-mail address: {error}") from None
    try:
        path = JsonPath.parse(campaign.email_json_path)
    except ValueError as error:
        raise _wrong("email_json_path", str(error)) from None
    tail = b"," + encode_json(campaign.members())[1:]
    room = max_bytes - len(_OPEN) - len(tail)
    if room < 1_000:
        raise _wrong("max_bytes", f"leaves {max(room, 0)} bytes for the records")
    return CampaignChannel(
        api=api,
        endpoint=_ENDPOINTS[version],
        limits=BatchLimits(max_messages=chunk_size, max_bytes=room),
        campaign=campaign.campaign,
        path=path,
        tail=tail,
    )


def send_once(channel: CampaignChannel, dataset: Sequence[Mapping[str, Any]]) -> Flow[str]:
    """Send to a few records, in one request, and return its ``send_id``.

    :raises ValidationError: if a record has no address, or they are too many for a request; nothing was sent then.
    :raises AmbiguousDeliveryError: if the request may or may not have been taken.
    :raises VendorError: also if it was taken without a ``send_id``; it is not retryable then.
    """
    api = channel.api
    where: dict[str, Any] = {"vendor": VENDOR, "operation": channel.endpoint.name, "connection": api.connection}
    requests = list(pack(channel.judged(dataset, reference_of=str), channel.limits))
    if len(requests) != 1:
        problem = "are too many for one request" if requests else "are none"
        raise ValidationError(f"the {len(dataset)} records {problem}; nothing was sent", setting="dataset", **where)
    accepted = yield from channel.send_or_raise(requests[0])
    if not accepted.receipt:
        raise VendorError("the vendor took the request, but its answer has no send_id: do not repeat it", **where)
    return accepted.receipt


def read_send_id(response: Response) -> str:
    """Return the ``send_id`` of an answer, empty where there is none."""
    document = response.json_or_none()
    if isinstance(document, Mapping):
        document = document.get("send_id") or document.get("sendId")
    return str(document) if isinstance(document, str | int) and not isinstance(document, bool) else ""


def send_status(api: Api, send_id: str) -> Flow[dict[str, Any]]:
    """Return what the vendor says of a send.

    :raises VendorError: with status 404 if it does not know it, or if the path is wrong.
    """
    response = yield from api.call(SEND_STATUS, segments={"send_id": send_id})
    return read_object(api, SEND_STATUS, response)


def create_campaign(api: Api, campaign: Mapping[str, Any]) -> Flow[dict[str, Any]]:
    """Create a campaign and return the vendor's answer.

    :raises AmbiguousDeliveryError: if it may have been created all the same.
    """
    response = yield from api.call(CREATE_CAMPAIGN, body=encode_json(campaign))
    return read_object(api, CREATE_CAMPAIGN, response)


def _wrong(name: str, message: str) -> ConfigurationError:
    return ConfigurationError(f"{name} {message}", vendor=VENDOR, setting=name)
