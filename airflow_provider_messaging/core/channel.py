"""One kind of message of one vendor, as whoever sends many of them needs it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import ClassVar

from airflow_provider_messaging.core.batching import BatchLimits, join
from airflow_provider_messaging.core.endpoint import Endpoint
from airflow_provider_messaging.core.errors import AmbiguousDeliveryError, FieldError, RowError, ValidationError
from airflow_provider_messaging.core.flow import Api, Flow, describe, may_have_been_taken
from airflow_provider_messaging.core.http import Failure, Reply, Request, Response
from airflow_provider_messaging.core.messages import (
    Accepted,
    Ambiguous,
    Doubt,
    Message,
    NotTaken,
    Reject,
    RequestRejected,
    RowsRejected,
    Sighting,
    Verdict,
)

_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SendChannel(ABC):
    """Judges rows, sends messages, and reads what the vendor says to them."""

    api: Api
    endpoint: Endpoint
    limits: BatchLimits

    doubt: ClassVar[Doubt]
    look_up_doubts: ClassVar[str] = ""
    """What a 404 to every look-up may mean beside that nothing arrived, and what to change then."""
    receipt_name: ClassVar[str] = ""
    """What a receipt is called in manifests, where receipts of accepted requests are to be kept in the ledger: few
    requests, each worth asking about."""
    merges_duplicates: ClassVar[bool] = False
    """A row with the reference of an earlier one adds nothing, instead of being a reject."""
    reads_answers: ClassVar[bool] = False
    """An answer with a status of success has to be read; otherwise its status alone is acceptance."""
    rejecting: ClassVar[frozenset[int]] = frozenset({400, 413, 422})
    """Statuses that refuse the messages of a request, none of which was taken, rather than the request."""

    @property
    def operation(self) -> str:
        return self.endpoint.operation

    @property
    def common(self) -> bytes:
        """What all requests have in common beside the messages: a retry must not go on with something else."""
        return b""

    @abstractmethod
    def prepare(
        self, rows: Sequence[tuple[int, object]], *, reference_of: Callable[[int], str], now: datetime
    ) -> Iterable[Message | Reject]:
        """Judge and encode rows, in their order. The same rows with the same `now` give the same result."""

    def request(self, messages: Sequence[Message]) -> Request:
        """Return the request that carries the messages: a JSON array of them."""
        return self.api.request(self.endpoint, body=join(messages))

    def accepted(self, response: Response, messages: Sequence[Message]) -> Verdict:
        """Read an answer with a status of success: acceptance, unless a channel that `reads_answers` differs.

        What it can't read is `Ambiguous`, or `NotTaken` where a repeat does no harm.
        """
        return Accepted()

    def judged(self, rows: Sequence[object], *, reference_of: Callable[[int], str] = lambda _: "") -> list[Message]:
        """Return the messages of a few rows, ready to be sent.

        :raises ValidationError: if a row breaks a rule.
        """
        results = list(self.prepare(list(enumerate(rows)), reference_of=reference_of, now=datetime.now(UTC)))
        rejects = [result.as_row_error() for result in results if isinstance(result, Reject)]
        if rejects:
            shown = "; ".join(map(str, rejects[:_SHOWN]))
            raise ValidationError(
                f"{len(rejects)} of {len(results)} rows break the rules; nothing was sent. The first: {shown}",
                rows=rejects,
                vendor=self.api.vendor,
                operation=self.endpoint.name,
                connection=self.api.connection,
            )
        return [result for result in results if isinstance(result, Message)]

    def send(self, messages: Sequence[Message]) -> Flow[Verdict]:
        """Send one request of messages."""
        reply = yield from self.api.exchange(self.endpoint, self.request(messages))
        return self.judge(reply, messages)

    def send_or_raise(self, messages: Sequence[Message]) -> Flow[Accepted]:
        """Send one request of messages.

        :raises AmbiguousDeliveryError: if it may have been taken.
        :raises ValidationError: if the vendor refused it with status 200.
        :raises MessagingError: if it was not taken for another reason.
        """
        response = yield from self.api.perform(self.endpoint, self.request(messages))
        verdict = self.accepted(response, messages)
        if isinstance(verdict, Accepted):
            return verdict
        if isinstance(verdict, NotTaken):
            raise verdict.error
        if isinstance(verdict, Ambiguous):
            raise AmbiguousDeliveryError(
                f"{verdict.reason}: the request may have been taken; it was not repeated",
                vendor=self.api.vendor,
                operation=self.endpoint.name,
                connection=self.api.connection,
            )
        rows = _refused_rows(verdict, messages)
        problem = self.api.read_problem(response)
        raise ValidationError(
            "the vendor refused " + "; ".join(str(row) for row in rows),
            rows=rows,
            vendor=self.api.vendor,
            operation=self.endpoint.name,
            connection=self.api.connection,
            trace_id=problem.trace_id,
        )

    def look_up(self, reference: str, *, since: datetime, reused: bool) -> Flow[Sighting]:
        """Tell whether the vendor accepted `reference` at or after `since`: where `doubt` is ``LOOK_UP``."""
        raise NotImplementedError(f"{self.operation} has no look-up")

    def judge(self, reply: Reply, messages: Sequence[Message]) -> Verdict:
        """Read a reply. A 4xx means that nothing was taken."""
        if isinstance(reply, Response) and reply.ok:
            return self.accepted(reply, messages)
        if not self.reads_answers and reply.status is not None and 200 <= reply.status < 300:
            return Accepted()
        if may_have_been_taken(reply, self.endpoint.safety):
            return Ambiguous(describe(reply))
        if reply.status not in self.rejecting:
            return NotTaken(self.api.error(self.endpoint, reply))
        if isinstance(reply, Failure):
            return RequestRejected(FieldError(field="", code="VENDOR_REJECTED", message=str(reply)))
        return self._read_rejection(reply, len(messages))

    def _read_rejection(self, response: Response, count: int) -> Verdict:
        problem = self.api.read_problem(response)
        by_index: dict[int, tuple[FieldError, ...]] = {}
        for index, error in problem.errors:
            if index is not None and 0 <= index < count:
                by_index[index] = (*by_index.get(index, ()), self._redacted(error))
        if by_index:
            return RowsRejected(by_index)
        first = problem.errors[0][1] if problem.errors else None
        message = self.api.redact(problem.message) or f"HTTP {response.status}"
        if first is not None:
            return RequestRejected(self._redacted(first))
        return RequestRejected(FieldError(field="", code=problem.code or "VENDOR_REJECTED", message=message))

    def _redacted(self, error: FieldError) -> FieldError:
        return replace(error, message=self.api.redact(error.message))


def _refused_rows(verdict: Verdict, messages: Sequence[Message]) -> list[RowError]:
    if isinstance(verdict, RowsRejected):
        return [RowError(row=messages[at].row, errors=errors) for at, errors in sorted(verdict.errors.items())]
    assert isinstance(verdict, RequestRejected)
    return [RowError(row=message.row, errors=(verdict.error,)) for message in messages]
