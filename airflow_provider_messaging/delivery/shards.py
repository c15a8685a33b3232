"""Cutting one input into shards, each of which a task of its own sends. The same input gives the same shards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from xxhash import xxh3_128

from airflow_provider_messaging.core.errors import FieldError
from airflow_provider_messaging.core.messages import Reject
from airflow_provider_messaging.delivery.references import ReferenceSet


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardLimits:
    """What one shard may hold; a row larger than `max_bytes` gets a shard of its own.

    :param max_bytes: before compression, line breaks included.
    """

    max_rows: int | None = None
    max_bytes: int | None = None

    def full(self, rows: int, size: int, more: int) -> bool:
        """Tell whether a shard of so many rows and bytes has no room for a row of `more` bytes."""
        if not rows:
            return False
        return (self.max_rows is not None and rows >= self.max_rows) or (
            self.max_bytes is not None and size + more > self.max_bytes
        )


class Shard(msgspec.Struct, frozen=True, kw_only=True):
    """One shard.

    :param first_row: the number of its first row in the input, from 0.
    :param bytes: before compression.
    :param digest: of its rows.
    """

    number: int
    first_row: int
    rows: int
    bytes: int
    digest: str


class ShardFile(Protocol):
    """A file of lines under way."""

    def write_line(self, line: bytes, /) -> None: ...

    def finish(self, *, publish: bool = True) -> None: ...


class _Cut:
    """The shard under way."""

    def __init__(self, number: int, first_row: int, file: ShardFile) -> None:
        self._number = number
        self._first_row = first_row
        self._digest = xxh3_128()
        self.file = file
        self.rows = 0
        self.size = 0

    def add(self, line: bytes) -> None:
        self.file.write_line(line)
        self._digest.update(line)
        self._digest.update(b"\n")
        self.rows += 1
        self.size += len(line) + 1

    def shard(self) -> Shard:
        return Shard(
            number=self._number,
            first_row=self._first_row,
            rows=self.rows,
            bytes=self.size,
            digest=self._digest.hexdigest(),
        )


def cut(
    lines: Iterable[tuple[int, bytes]],
    limits: ShardLimits,
    open_file: Callable[[int], ShardFile],
    check: Callable[[Shard], None],
) -> Iterator[Shard]:
    """Write the lines, which come with their row numbers, into one file after the other, and yield what is in each.

    :param open_file: opens the file of a shard by its number.
    :param check: is told what a file holds before it is published, and raises where that must not be.
    """
    under_way: _Cut | None = None
    number = 0

    def close(done: _Cut) -> Shard:
        shard = done.shard()
        check(shard)
        done.file.finish()
        return shard

    try:
        for row, line in lines:
            if under_way is not None and limits.full(under_way.rows, under_way.size, len(line) + 1):
                yield close(under_way)
                under_way = None
            if under_way is None:
                under_way = _Cut(number, row, open_file(number))
                number += 1
            under_way.add(line)
        if under_way is not None:
            yield close(under_way)
            under_way = None
    finally:
        if under_way is not None:
            under_way.file.finish(publish=False)


class Repeats:
    """Finds rows whose own reference an earlier row of the whole input has: no shard could see that alone.

    Takes 16 to 32 bytes for each row that has one; rows without cost nothing.

    :param name: the field of a row that holds it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        row = msgspec.defstruct("Row", [("value", Any, None)], rename={"value": name})
        self._decode = msgspec.json.Decoder(row).decode
        self._seen = ReferenceSet()

    def reject(self, row: int, line: bytes) -> Reject | None:
        """Return the reject of a row that repeats another. What can't be read is left to whoever sends it."""
        try:
            value: Any = getattr(self._decode(line), "value")  # noqa: B009 - the class is made above
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        if not isinstance(value, str) or not value or self._seen.add(value):
            return None
        error = FieldError(
            field=self._name,
            code="REFERENCE_DUPLICATE_DETECTED",
            message="an earlier row of this input has the same reference",
        )
        return Reject(row=row, errors=(error,), reference=value)
