"""What a vendor has accepted: one compact record per acceptance, some hundred bytes each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec


class Delivery(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One acceptance of one message; the same reference accepted twice makes two of these."""

    reference: str
    recipient: str
    account: str
    accepted_at: int
    """Ticks of the true clock, without the vendor's skew."""
    request: int
    channel: str
    size: int
    """Bytes of the message's JSON."""
    tags: list[str] | None = None
    metadata: str | None = None
    profile: str | None = None
    ttl: str | None = None
    archived: bool = False
    extra: dict[str, Any] | None = None
    """What only the vendor needs to know again."""


class Deliveries:
    """The acceptances of one vendor in order, kept as MessagePack and found by reference."""

    def __init__(self) -> None:
        self._records: list[bytes] = []
        self._first: dict[str, int] = {}
        self._again: dict[str, list[int]] = {}
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(Delivery).decode

    def add(self, delivery: Delivery) -> int:
        """Record an acceptance and return its position."""
        position = len(self._records)
        self._records.append(self._encode(delivery))
        if self._first.setdefault(delivery.reference, position) != position:
            self._again.setdefault(delivery.reference, []).append(position)
        return position

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, position: int) -> Delivery:
        return self._decode(self._records[position])

    def __iter__(self) -> Iterator[Delivery]:
        for record in self._records:
            yield self._decode(record)

    def positions(self, reference: str) -> list[int]:
        """Where ``reference`` was accepted, oldest first; empty if never."""
        first = self._first.get(reference)
        return [] if first is None else [first, *self._again.get(reference, ())]

    def counts(self) -> dict[str, int]:
        total, distinct = len(self._records), len(self._first)
        return {"total": total, "distinct": distinct, "duplicates": total - distinct}
