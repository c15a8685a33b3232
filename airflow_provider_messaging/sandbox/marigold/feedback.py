"""Bounces, complaints and unsubscribes: those of accepted messages and those that were seeded."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from math import gcd

from airflow_provider_messaging.sandbox import ticks
from airflow_provider_messaging.sandbox.deliveries import Deliveries, Delivery
from airflow_provider_messaging.sandbox.marigold.events import due, zone_of
from airflow_provider_messaging.sandbox.marigold.outcomes import Kind, Mode, Outcome, outcome_of
from airflow_provider_messaging.sandbox.marigold.rows import Question, Row, Rows
from airflow_provider_messaging.sandbox.marigold.settings import Settings

KINDS: tuple[Kind, ...] = ("bounces", "complaints", "list_unsubscribes")
UNSUBSCRIBE_HEADER = "<https://www.example.com/unsubscribe?id=123456>"


def feedback_row(account: str, reference: str, timestamp: str, domain: str, outcome: Outcome) -> Row:
    """A row with exactly the vendor's fields, and no recipient among them."""
    return {
        "account_id": account,
        "external_reference": reference,
        "timestamp": timestamp,
        "domain": domain,
        **outcome.fields,
    }


class LiveRows(Rows):
    """The rows of accepted messages, by account, kind and mode, sorted by the time the message left."""

    def __init__(self, deliveries: Deliveries) -> None:
        self._deliveries = deliveries
        self._lists: dict[tuple[str, Kind, Mode | None], tuple[array[int], array[int]]] = {}

    def add(self, position: int, delivery: Delivery, outcome: Outcome) -> None:
        if outcome.kind is None:
            return
        at = due(delivery)
        modes: tuple[Mode | None, ...] = (None, outcome.mode) if outcome.kind == "bounces" else (None,)
        for mode in modes:
            empty = (array("q"), array("q"))
            times, positions = self._lists.setdefault((delivery.account, outcome.kind, mode), empty)
            place = bisect_right(times, at)
            times.insert(place, at)
            positions.insert(place, position)

    def questions(self) -> Iterable[Question]:
        return [Question(kind, account, None, None) for account, kind, mode in self._lists if mode is None]

    def matching(self, question: Question, settings: Settings) -> Sequence[int]:
        lists = self._lists.get((question.account, question.kind, question.mode))
        if lists is None:
            return ()
        times, positions = lists
        shift = _delay(settings) + ticks.from_seconds(settings.clock_skew)
        first = 0 if question.low is None else bisect_left(times, question.low - shift)
        last = len(times) if question.high is None else bisect_left(times, question.high - shift)
        return positions[first:last]

    def happened(self, number: int, settings: Settings) -> int:
        return due(self._deliveries[number]) + _delay(settings)

    def reference(self, number: int) -> str:
        return self._deliveries[number].reference

    def row(self, number: int, question: Question, settings: Settings) -> Row:
        delivery = self._deliveries[number]
        reference, extra = delivery.reference, delivery.extra or {}
        at = self.happened(number, settings) + ticks.from_seconds(settings.clock_skew)
        domain = delivery.recipient.rpartition("@")[2]
        stamp = ticks.text(at, zone_of(reference))
        row = feedback_row(delivery.account, reference, stamp, domain, outcome_of(delivery.recipient))
        if question.kind == "list_unsubscribes":
            row["list_unsubscribe_header"] = extra.get("list_unsubscribe") or UNSUBSCRIBE_HEADER
        return row


def _delay(settings: Settings) -> int:
    return ticks.from_seconds(settings.feedback_delay)


def page(
    sources: Sequence[Rows], question: Question, settings: Settings, now: int, skip: int, top: int
) -> tuple[list[Row], int]:
    """The rows ``skip`` to ``skip + top`` in the order that is set.

    :return: the rows, and how many there are in all.
    """
    selections = [(source, source.select(question, settings, now)) for source in sources]
    total = sum(len(numbers) for _, numbers in selections)
    stride = _stride(total) if settings.feedback_order == "shuffled" else 1
    rows = []
    for asked in range(skip, min(skip + top, total)):
        place = total - 1 - asked if settings.feedback_order == "newest" else asked * stride % total
        for source, numbers in selections:
            if place < len(numbers):
                rows.append(source.row(numbers[place], question, settings))
                break
            place -= len(numbers)
    return rows, total


def _stride(total: int) -> int:
    """A step that visits every one of ``total`` places once, far from in order."""
    stride = max(1, int(total * 0.618))
    while gcd(stride, total) != 1:
        stride += 1
    return stride
