"""Reading rows, one after the other, from a list or from NDJSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO, Any

import msgspec

REJECTED_KEY = "_rejected"
"""Where a rejects line holds its errors; ignored when the file is read again."""


class BadLine:
    """A line that is not JSON."""

    __slots__ = ("reason", "text")

    def __init__(self, text: str, reason: str) -> None:
        self.text = text
        self.reason = reason


class Line(msgspec.Struct, frozen=True, gc=False):
    """A line that is not read yet: what its row is kept as, since it takes less room than what it says."""

    data: bytes

    def value(self) -> Any:
        """Return what it says, or a `BadLine`."""
        try:
            return _DECODER.decode(self.data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
        # Once more without blanks around it: JSON knows fewer kinds of them.
        stripped = self.data.strip()
        try:
            return _DECODER.decode(stripped)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return BadLine(stripped.decode("utf-8", "replace"), str(error))


_DECODER = msgspec.json.Decoder()


def lines(stream: IO[bytes]) -> Iterator[Line]:
    """Yield each line that is not blank."""
    for line in stream:
        # Not stripped: that would copy it.
        if not line.isspace():
            yield Line(line)


def read_lines(stream: IO[bytes]) -> Iterator[Any]:
    """Yield the value of each line that is not blank, or a `BadLine`."""
    return map(Line.value, lines(stream))


def value_of(row: Any) -> Any:
    """Return what a row says, be it a line or a value already."""
    return row.value() if isinstance(row, Line) else row


def chunks(rows: Iterable[Any], size: int, max_bytes: int) -> Iterator[list[tuple[int, Any]]]:
    """Number the rows from 0 and yield them in lists of at most `size`, and of lines of about `max_bytes`."""
    chunk: list[tuple[int, Any]] = []
    held = 0
    for item in enumerate(rows):
        chunk.append(item)
        if type(item[1]) is Line:
            held += len(item[1].data)
        if len(chunk) >= size or held >= max_bytes:
            yield chunk
            chunk, held = [], 0
    if chunk:
        yield chunk
