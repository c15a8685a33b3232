"""Feedback rows made from their number when they are asked for: a million of them take no memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any
from zlib import crc32

import msgspec

from airflow_provider_messaging.sandbox import ticks
from airflow_provider_messaging.sandbox.http import InvalidOrder
from airflow_provider_messaging.sandbox.marigold.events import ZONES
from airflow_provider_messaging.sandbox.marigold.feedback import UNSUBSCRIBE_HEADER, feedback_row
from airflow_provider_messaging.sandbox.marigold.outcomes import (
    COMPLAINT,
    DIRECT_BOUNCES,
    INDIRECT_BOUNCES,
    UNSUBSCRIBE,
    Kind,
)
from airflow_provider_messaging.sandbox.marigold.rows import Question, Row, Rows
from airflow_provider_messaging.sandbox.marigold.settings import ACCOUNT, Seconds, Settings

DOMAINS = ("example.com", "example.org", "example.net", "mail.example.com", "mx.example.org")
_NAMES: dict[Kind, str] = {"bounces": "bounce", "complaints": "complaint", "list_unsubscribes": "unsubscribe"}


class SeedOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked of the admin; an ``end`` that is a date means the end of that day.

    ``lateness`` stands in for the setting ``feedback_lateness``, for these rows.
    """

    kind: Kind
    rows: Annotated[int, msgspec.Meta(ge=1)]
    start: str
    end: str
    seed: Annotated[int, msgspec.Meta(ge=0)] = 1
    account: str = ACCOUNT
    lateness: Seconds | None = None


class SeededRows(Rows):
    """Rows with evenly rising timestamps; of bounces, every other one is indirect."""

    def __init__(self, order: SeedOrder) -> None:
        try:
            self._start, _ = ticks.parse(order.start)
            end, whole_day = ticks.parse(order.end)
        except ValueError as error:
            raise InvalidOrder(str(error)) from None
        self._span = end + (ticks.DAY - 1 if whole_day else 0) - self._start
        if self._span < 0:
            raise InvalidOrder("end is before start")
        self.order = order
        self._prefix = f"seed-{_NAMES[order.kind]}-{order.seed}-"
        self._reference = re.compile(re.escape(self._prefix) + "([0-9]{9,})")

    def questions(self) -> Iterable[Question]:
        return [Question(self.order.kind, self.order.account, None, None)]

    def at(self, number: int) -> int:
        return self._start + (self._span * number // (self.order.rows - 1) if self.order.rows > 1 else 0)

    def reference(self, number: int) -> str:
        return f"{self._prefix}{number:09}"

    def number(self, reference: str) -> int | None:
        """Which row has this reference, or None."""
        match = self._reference.fullmatch(reference)
        number = int(match[1]) if match else -1
        return number if 0 <= number < self.order.rows and self.reference(number) == reference else None

    def waits(self, settings: Settings) -> bool:
        """The time of day changes nothing, unless a test has set it or rows are late."""
        return settings.feedback_now is not None or self.lateness(settings) > 0

    def lateness(self, settings: Settings) -> int:
        own = self.order.lateness
        return super().lateness(settings) if own is None else ticks.from_seconds(own)

    def happened(self, number: int, settings: Settings) -> int:
        return self.at(number)

    def matching(self, question: Question, settings: Settings) -> Sequence[int]:
        if (question.kind, question.account) != (self.order.kind, self.order.account):
            return ()
        first = 0 if question.low is None else self._first_at(question.low)
        last = self.order.rows if question.high is None else self._first_at(question.high)
        if question.mode is None:
            return range(first, last)
        odd = question.mode == "indirect"
        return range(first + (first % 2 != odd), last, 2)

    def _first_at(self, moment: int) -> int:
        """The first row that is not before ``moment``."""
        if moment <= self._start:
            return 0
        if self._span == 0 or self.order.rows == 1:
            return self.order.rows
        return min(self.order.rows, -(-(moment - self._start) * (self.order.rows - 1) // self._span))

    def row(self, number: int, question: Question, settings: Settings) -> Row:
        order = self.order
        chance = crc32(b"%d:%d" % (order.seed, number))
        if order.kind == "bounces":
            outcome = (INDIRECT_BOUNCES if number % 2 else DIRECT_BOUNCES)[(chance >> 8) % 2]
        else:
            outcome = COMPLAINT if order.kind == "complaints" else UNSUBSCRIBE
        stamp = ticks.text(self.at(number), ZONES[(chance >> 16) % 3])
        row = feedback_row(order.account, self.reference(number), stamp, DOMAINS[chance % len(DOMAINS)], outcome)
        if order.kind == "list_unsubscribes":
            row["list_unsubscribe_header"] = UNSUBSCRIBE_HEADER
        return row


def read_order(order: Mapping[str, Any]) -> SeedOrder:
    """:raises InvalidOrder: the order is malformed."""
    try:
        return msgspec.convert(order, SeedOrder)
    except msgspec.ValidationError as error:
        raise InvalidOrder(str(error)) from None
