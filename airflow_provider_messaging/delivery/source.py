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


_DECODER = msgspec.json.Decoder()


def read_lines(stream: IO[bytes]) -> Iterator[Any]:
    """Yield the value of each line that is not blank, or a `BadLine`."""
    for line in stream:
        stripped = line.strip()
        if not stripped:
            continue
        try:
            yield _DECODER.decode(stripped)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            yield BadLine(stripped.decode("utf-8", "replace"), str(error))


def chunks(rows: Iterable[Any], size: int) -> Iterator[list[tuple[int, Any]]]:
    """Number the rows from 0 and yield them in lists of at most `size`."""
    chunk: list[tuple[int, Any]] = []
    for item in enumerate(rows):
        chunk.append(item)
        if len(chunk) >= size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
