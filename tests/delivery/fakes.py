"""Messages and a channel without a vendor behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow_provider_messaging.core.batching import BatchLimits
from airflow_provider_messaging.core.errors import FieldError
from airflow_provider_messaging.core.flow import Flow
from airflow_provider_messaging.core.messages import Doubt, Message, Reject, Sighting, Verdict
from airflow_provider_messaging.delivery.plan import Plan, RejectedRow

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
LIMITS = BatchLimits(max_messages=100, max_bytes=4_000_000)


def message(row: int, reference: str | None = None, data: bytes = b"{}") -> Message:
    return Message(row=row, reference=reference or f"r{row}", recipient=f"{row}@example.com", data=data)


def messages(count: int) -> list[Message]:
    return [message(row) for row in range(count)]


def rows_of(found: Iterable[Message]) -> list[int]:
    return [each.row for each in found]


@dataclass(frozen=True)
class PlainChannel:
    """A row is the bytes of its message, or a pair of reference and bytes; None breaks the rules."""

    limits: BatchLimits = LIMITS
    operation: str = "fake.send"
    doubt: Doubt = Doubt.LOOK_UP
    look_up_doubts: str = ""
    receipt_name: str = ""
    common: bytes = b""
    merges_duplicates: bool = False

    def prepare(
        self, rows: Sequence[tuple[int, object]], *, reference_of: Callable[[int], str], now: datetime
    ) -> list[Message | Reject]:
        return [self._judged(row, value, reference_of) for row, value in rows]

    def _judged(self, row: int, value: Any, reference_of: Callable[[int], str]) -> Message | Reject:
        if value is None:
            return Reject(row=row, errors=(FieldError(field="", code="BAD", message="is bad"),))
        reference, data = value if isinstance(value, tuple) else (reference_of(row), value)
        return message(row, reference, data)

    def send(self, messages: Sequence[Message]) -> Flow[Verdict]:
        raise NotImplementedError

    def look_up(self, reference: str, *, since: datetime, reused: bool) -> Flow[Sighting]:
        raise NotImplementedError


@dataclass
class Planned:
    """A plan of plain rows and the rejects that it found."""

    rows: Iterable[Any]
    limits: BatchLimits = LIMITS
    rejects: list[RejectedRow] = field(default_factory=list)

    def plan(self, on_reject: Callable[[RejectedRow], None] | None = None) -> Plan:
        return Plan(
            rows=self.rows,
            channel=PlainChannel(self.limits),
            reference_of=lambda row: f"r{row}",
            now=NOW,
            on_reject=on_reject or self.rejects.append,
        )
