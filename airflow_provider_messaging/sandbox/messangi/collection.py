"""Resources in the order they came, found by id and read in pages from any of them."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of a collection: the ids it and the next one begin with, None if there is none."""

    items: list[msgspec.Raw]
    offset: str | None
    next: str | None
    skipped: int
    total: int


class Collection:
    """Documents kept as JSON, their ids included."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, bytes] | None] = []
        self._positions: dict[str, int] = {}
        self._gone: list[int] = []
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder(Document).decode

    def __len__(self) -> int:
        return len(self._rows) - len(self._gone)

    def __contains__(self, key: str) -> bool:
        return self.get(key) is not None

    def __iter__(self) -> Iterator[Document]:
        return (self._decode(row[1]) for row in self._rows if row is not None)

    @property
    def ever(self) -> int:
        """How many resources there ever were, removed ones included."""
        return len(self._rows)

    @property
    def first(self) -> str | None:
        """The id of the oldest resource."""
        return next((row[0] for row in self._rows if row is not None), None)

    def raw(self, key: str) -> bytes | None:
        """The JSON of a resource, or None if there is none with this id."""
        position = self._positions.get(key)
        row = None if position is None else self._rows[position]
        return None if row is None else row[1]

    def get(self, key: str) -> Document | None:
        found = self.raw(key)
        return None if found is None else self._decode(found)

    def put(self, key: str, document: Document) -> bytes:
        """Add a resource at the end, or replace the one with this id where it is; return its JSON."""
        encoded = self._encode({"id": key, **document})
        position = self._positions.get(key)
        if position is None or self._rows[position] is None:
            self._positions[key] = len(self._rows)
            self._rows.append((key, encoded))
        else:
            self._rows[position] = (key, encoded)
        return encoded

    def remove(self, key: str) -> bool:
        """Whether there was one; pages may still begin where it was."""
        if self.raw(key) is None:
            return False
        position = self._positions[key]
        self._rows[position] = None
        insort(self._gone, position)
        return True

    def page(self, offset: str | None, limit: int) -> Page | None:
        """``limit`` resources from the one with the id ``offset`` on; None if there never was one."""
        start = 0 if offset is None else self._positions.get(offset)
        if start is None:
            return None
        found: list[tuple[str, bytes]] = []
        for position in range(start, len(self._rows)):
            row = self._rows[position]
            if row is not None:
                found.append(row)
                if len(found) > limit:
                    break
        return Page(
            items=[msgspec.Raw(encoded) for _, encoded in found[:limit]],
            offset=offset or (found[0][0] if found else None),
            next=found[limit][0] if len(found) > limit else None,
            skipped=start - bisect_left(self._gone, start),
            total=len(self),
        )
