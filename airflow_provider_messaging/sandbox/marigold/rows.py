"""Feedback as it is listed: which rows there are, when each can be read, and the copies of some."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import gcd
from zlib import crc32

from airflow_provider_messaging.sandbox import ticks
from airflow_provider_messaging.sandbox.marigold.events import ZONES
from airflow_provider_messaging.sandbox.marigold.outcomes import Kind, Mode
from airflow_provider_messaging.sandbox.marigold.settings import Settings

Row = dict[str, str]

_ENUMS = ("mapping", "mode", "finalize_reason", "outcome_category")


@dataclass(frozen=True, slots=True)
class Question:
    """What a read asks for; ``low`` and ``high`` are ticks of the vendor's clock, ``high`` not included."""

    kind: Kind
    account: str
    low: int | None
    high: int | None
    mode: Mode | None = None


class Rows(ABC):
    """Rows that can be counted and taken from the middle without making all of them.

    Each is known by a number of its own.
    """

    @abstractmethod
    def questions(self) -> Iterable[Question]:
        """Questions whose answers together are all rows."""

    @abstractmethod
    def matching(self, question: Question, settings: Settings) -> Sequence[int]:
        """The rows that answer ``question`` by and by, oldest first."""

    @abstractmethod
    def happened(self, number: int, settings: Settings) -> int:
        """When a row's event happened: ticks of the true clock."""

    @abstractmethod
    def reference(self, number: int) -> str:
        """What decides how late a row is."""

    @abstractmethod
    def row(self, number: int, question: Question, settings: Settings) -> Row: ...

    def waits(self, settings: Settings) -> bool:
        """Whether rows are listed when their time comes, rather than from the beginning."""
        return True

    def lateness(self, settings: Settings) -> int:
        """How late a row is listed at most, in ticks."""
        return ticks.from_seconds(settings.feedback_lateness)

    def listed_at(self, number: int, settings: Settings) -> int:
        """From when on a row is listed: ticks of the true clock."""
        chance = crc32(self.reference(number).encode())
        return self.happened(number, settings) + (self.lateness(settings) * chance >> 32)

    def select(self, question: Question, settings: Settings, now: int) -> Sequence[int]:
        """The rows that answer ``question`` at the moment ``now``, oldest first."""
        numbers = self.matching(question, settings)
        if not self.waits(settings):
            return numbers

        def happened(number: int) -> int:
            return self.happened(number, settings)

        came = bisect_right(numbers, now, key=happened)
        if not self.lateness(settings):
            return numbers[:came]
        surely = bisect_right(numbers, now - self.lateness(settings), hi=came, key=happened)
        late = [number for number in numbers[surely:came] if self.listed_at(number, settings) <= now]
        return _Joined(numbers[:surely], late)


class Copies(Rows):
    """Every so-manieth of other rows once more: spelled in another way, and late by a delay of its own."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def questions(self) -> Iterable[Question]:
        return self._rows.questions()

    def matching(self, question: Question, settings: Settings) -> Sequence[int]:
        every = settings.feedback_copies
        if not every:
            return ()
        numbers = self._rows.matching(question, settings)
        if not isinstance(numbers, range):
            return [number for number in numbers if number % every == 0]
        first = next((number for number in numbers[:every] if number % every == 0), numbers.stop)
        return range(first, numbers.stop, numbers.step * every // gcd(numbers.step, every))

    def happened(self, number: int, settings: Settings) -> int:
        return self._rows.happened(number, settings)

    def reference(self, number: int) -> str:
        return f"copy of {self._rows.reference(number)}"

    def row(self, number: int, question: Question, settings: Settings) -> Row:
        return _respelled(self._rows.row(number, question, settings))

    def waits(self, settings: Settings) -> bool:
        return self._rows.waits(settings)

    def lateness(self, settings: Settings) -> int:
        return self._rows.lateness(settings)


class _Joined(Sequence[int]):
    """Two sequences as one, without a copy of the first."""

    def __init__(self, first: Sequence[int], second: Sequence[int]) -> None:
        self._first = first
        self._second = second

    def __len__(self) -> int:
        return len(self._first) + len(self._second)

    def __getitem__(self, place: int) -> int:  # type: ignore[override]  # nobody takes slices
        return self._first[place] if place < len(self._first) else self._second[place - len(self._first)]


def _respelled(row: Row) -> Row:
    """The same event with its moment in another spelling of UTC, and its enums in another case."""
    stamp, zone = row["timestamp"][:27], row["timestamp"][27:]
    changed = {name: row[name][0].upper() + row[name][1:] for name in _ENUMS if row.get(name)}
    return {**row, **changed, "timestamp": stamp + ZONES[ZONES.index(zone) - 1]}
