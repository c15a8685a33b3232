"""Creating wallet templates as the delivery engine needs it: a repeat would make another one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from airflow_provider_messaging.core.batching import BatchLimits
from airflow_provider_messaging.core.encoding import encode_json
from airflow_provider_messaging.core.errors import ValidationError
from airflow_provider_messaging.core.flow import Api
from airflow_provider_messaging.core.http import Request, Response
from airflow_provider_messaging.core.messages import (
    Accepted,
    Ambiguous,
    Doubt,
    Message,
    Reject,
    Verdict,
)
from airflow_provider_messaging.core.multipart import multipart
from airflow_provider_messaging.vendors.messangi.channel import MessangiChannel
from airflow_provider_messaging.vendors.messangi.endpoints import CREATE_WALLET_TEMPLATE
from airflow_provider_messaging.vendors.messangi.envelope import read_envelope

LIMITS = BatchLimits(max_messages=1, max_bytes=4_000_000)
"""One template a request. The size is ours: the vendor states none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletChannel(MessangiChannel):
    """Templates; the receipt of each is its id."""

    doubt: ClassVar[Doubt] = Doubt.REPORT
    receipt_name: ClassVar[str] = "template_id"
    reads_answers: ClassVar[bool] = True

    def prepare(
        self, rows: Sequence[tuple[int, object]], *, reference_of: Callable[[int], str], now: datetime
    ) -> Iterable[Message | Reject]:
        for row, given in rows:
            if not isinstance(given, dict) or not given:
                yield Reject.of(row, "", "INVALID_TYPE", "must be an object with members")
                continue
            try:
                data = encode_json(given)
            except ValidationError as error:
                yield Reject.of(row, "", "INVALID_TYPE", error.message)
                continue
            if not LIMITS.fits_alone(len(data)):
                yield Reject.of(row, "", "MESSAGE_TOO_LARGE", LIMITS.excess(len(data)))
                continue
            yield Message(row=row, reference=reference_of(row), recipient=str(given.get("name") or ""), data=data)

    def request(self, messages: Sequence[Message]) -> Request:
        [message] = messages
        return wallet_request(self.api, message.data)

    def accepted(self, response: Response, messages: Sequence[Message]) -> Verdict:
        try:
            envelope = read_envelope(response)
        except ValueError:
            return Ambiguous(f"HTTP {response.status} with an answer that is not JSON")
        if envelope.is_rejection:
            return self.rejected(envelope)
        return Accepted(receipt=str(envelope.data.get("serial") or envelope.data.get("id") or ""))


def wallet_channel(api: Api) -> WalletChannel:
    """Return the creation of wallet templates."""
    return WalletChannel(api=api, endpoint=CREATE_WALLET_TEMPLATE, limits=LIMITS)


def wallet_request(api: Api, template: bytes) -> Request:
    """Return the request that creates a template: its JSON is the form's only field."""
    content_type, body = multipart({"template": template})
    parts: dict[str, Any] = {"body": body, "headers": {"Content-Type": content_type}}
    return api.request(CREATE_WALLET_TEMPLATE, **parts)
