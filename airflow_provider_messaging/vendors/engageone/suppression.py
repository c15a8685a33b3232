"""The blacklist and address verification: one address a request, of which a repeat does no harm."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any, ClassVar

import msgspec

from airflow_provider_messaging.core.batching import BatchLimits
from airflow_provider_messaging.core.channel import SendChannel
from airflow_provider_messaging.core.endpoint import Endpoint
from airflow_provider_messaging.core.errors import RowError, ValidationError, VendorError
from airflow_provider_messaging.core.flow import Api, Flow
from airflow_provider_messaging.core.http import Reply, Request, Response
from airflow_provider_messaging.core.messages import (
    Accepted,
    Ambiguous,
    Doubt,
    Message,
    NotTaken,
    Reject,
    RequestRejected,
    Verdict,
)
from airflow_provider_messaging.vendors.engageone.endpoints import BLACKLIST, UNBLACKLIST, VERIFY
from airflow_provider_messaging.vendors.engageone.rows import AddressRow, read_row

ONE = BatchLimits(max_messages=1, max_bytes=100_000)
LISTED, ALREADY_LISTED = "listed", "already_listed"
REMOVED, NOT_LISTED = "removed", "not_listed"
UNKNOWN = "unknown"
_WORD = re.compile(r"[\w .-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressChannel(SendChannel):
    """One address a request. An address given twice is sent once."""

    doubt: ClassVar[Doubt] = Doubt.REPEAT
    merges_duplicates: ClassVar[bool] = True
    limits: BatchLimits = ONE

    def prepare(
        self, rows: Sequence[tuple[int, object]], *, reference_of: Callable[[int], str], now: datetime
    ) -> Iterable[Message | Reject]:
        for number, row in rows:
            read = read_row(row)
            if isinstance(read, tuple):
                yield Reject(row=number, errors=read)
                continue
            message = self._message(number, read)
            size = len(message.data)
            fits = self.limits.fits_alone(size)
            yield message if fits else Reject.of(number, "", "MESSAGE_TOO_LARGE", self.limits.excess(size))

    def request(self, messages: Sequence[Message]) -> Request:
        return self.api.request(self.endpoint, body=messages[0].data)

    def _message(self, number: int, row: AddressRow) -> Message:
        data = msgspec.json.encode({"email": row.address})
        return Message(row=number, reference=row.address, recipient=row.address, data=data)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlacklistChannel(AddressChannel):
    """Puts addresses on the list; one that is there already is a success.

    :param category: for rows that have none of their own.
    :param reason: the same.
    """

    endpoint: Endpoint = BLACKLIST
    category: str | None = None
    reason: str | None = None

    def judge(self, reply: Reply, messages: Sequence[Message]) -> Verdict:
        if reply.status == 409:
            return Accepted(outcome=ALREADY_LISTED)
        return AddressChannel.judge(self, reply, messages)

    def accepted(self, response: Response, messages: Sequence[Message]) -> Verdict:
        return Accepted(outcome=ALREADY_LISTED if _says_already(response) else LISTED)

    def _message(self, number: int, row: AddressRow) -> Message:
        category = row.category or self.category
        reason = row.reason or self.reason
        fields = {"email": row.address, "category": category, "reason": reason}
        return Message(
            row=number,
            # One address in two categories is two entries.
            reference=row.address if category is None else f"{row.address} {category}",
            recipient=row.address,
            data=msgspec.json.encode({name: value for name, value in fields.items() if value is not None}),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UnblacklistChannel(AddressChannel):
    """Takes addresses off the list; one that is not there is a success.

    A wrong path answers 404 to every address. So a 404 means an address that is not there only if the answer speaks
    of it, or if the path is known to be right.

    :param verified: somebody has seen that it is.
    """

    endpoint: Endpoint = UNBLACKLIST
    verified: bool = False

    def request(self, messages: Sequence[Message]) -> Request:
        return self.api.request(self.endpoint, segments={"email": messages[0].recipient})

    def judge(self, reply: Reply, messages: Sequence[Message]) -> Verdict:
        if not isinstance(reply, Response) or reply.status not in {404, 410}:
            return AddressChannel.judge(self, reply, messages)
        if self.verified or self._says_absent(reply):
            return Accepted(outcome=NOT_LISTED)
        error = self.api.error(self.endpoint, reply)
        error.setting += ", or extra 'unblacklist_verified' if the path is right and the address was not on the list"
        return NotTaken(error)

    def accepted(self, response: Response, messages: Sequence[Message]) -> Verdict:
        return Accepted(outcome=REMOVED)

    def _says_absent(self, response: Response) -> bool:
        problem = self.api.read_problem(response)
        words = f"{problem.code} {problem.message}".lower()
        return any(word in words for word in _OF_THE_ADDRESS) and not any(word in words for word in _OF_THE_PATH)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyChannel(AddressChannel):
    """Asks about addresses. The answer is in the details of the verdict: ``status`` and the vendor's ``document``."""

    endpoint: Endpoint = VERIFY
    reads_answers: ClassVar[bool] = True

    def accepted(self, response: Response, messages: Sequence[Message]) -> Verdict:
        try:
            document = response.json()
        except ValueError:
            # Asked once more, rather than given up with all the others.
            return Ambiguous("the answer is not JSON")
        status = verification_status(document)
        return Accepted(outcome=status, details={"status": status, "document": document})


def verification_status(document: Any) -> str:
    """Return the vendor's word about an address in lower case, ``valid`` or ``invalid`` of a truth value.

    The answer's form is not published: ``status``, ``result``, ``state``, ``valid``, ``is_valid``, ``verified`` and
    ``deliverable`` are looked for; ``unknown`` where there is none of them.
    """
    if isinstance(document, Mapping):
        for name in ("status", "result", "state", "valid", "is_valid", "verified", "deliverable"):
            status = _word(document.get(name))
            if status:
                return status
        return UNKNOWN
    return _word(document) or UNKNOWN


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "valid" if value else "invalid"
    word = value.strip().lower() if isinstance(value, str) else ""
    # Words are counted and logged: a sentence that may name the address has no place there.
    return word if _WORD.fullmatch(word) else ""


def _says_already(response: Response) -> bool:
    """Tell whether a successful answer says that the address was there before."""
    document = response.json_or_none()
    if not isinstance(document, Mapping):
        return False
    words = " ".join(str(document.get(name, "")) for name in ("status", "result", "outcome", "message", "code"))
    return "already" in words.lower() or "exist" in words.lower()


_OF_THE_ADDRESS = ("address", "blacklist", "email", "e-mail", "listed", "recipient", "subscribe", "suppress")
_OF_THE_PATH = ("/", "endpoint", "method", "path", "route", "url")


def blacklist_channel(api: Api, *, category: str | None = None, reason: str | None = None) -> BlacklistChannel:
    """Return the putting of addresses on the blacklist; `api` is the Public API."""
    return BlacklistChannel(api=api, category=category, reason=reason)


def unblacklist_channel(api: Api, *, verified: bool = False) -> UnblacklistChannel:
    """Return the taking of addresses off the blacklist."""
    return UnblacklistChannel(api=api, verified=verified)


def verify_channel(api: Api) -> VerifyChannel:
    """Return the verification of addresses."""
    return VerifyChannel(api=api)


def apply(channel: AddressChannel, row: object) -> Flow[Accepted]:
    """Do one address.

    :param row: the address, or an object with one.
    :raises ValidationError: if it is none, or the vendor refuses it.
    :raises MessagingError: if the vendor does not do it.
    """
    api = channel.api
    where: dict[str, Any] = {"vendor": api.vendor, "operation": channel.endpoint.name, "connection": api.connection}
    verdict = yield from channel.send(channel.judged([row]))
    if isinstance(verdict, Accepted):
        return verdict
    if isinstance(verdict, NotTaken):
        raise verdict.error
    if isinstance(verdict, Ambiguous):
        raise VendorError(verdict.reason, retryable=True, **where)
    errors = (verdict.error,) if isinstance(verdict, RequestRejected) else tuple(chain(*verdict.errors.values()))
    rows = [RowError(row=0, errors=errors)]
    raise ValidationError("the vendor refuses the address: " + "; ".join(e.message for e in errors), rows=rows, **where)
