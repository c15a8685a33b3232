"""Packing encoded messages into requests under a count and a byte limit, in order, each encoded once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from airflow_provider_messaging.core.messages import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """What one request may hold. `max_bytes` counts the whole body, brackets and commas included."""

    max_messages: int
    max_bytes: int

    def fits_alone(self, size: int) -> bool:
        """Tell whether a message of `size` encoded bytes fits a request of its own."""
        return size + len(_OPEN) + len(_CLOSE) <= self.max_bytes

    def excess(self, size: int) -> str:
        """Say what is wrong with a message that does not fit."""
        return f"has {size} bytes, a request may have {self.max_bytes}"


_OPEN, _COMMA, _CLOSE = b"[", b",", b"]"


class Packer:
    """Cuts messages, given one after the other, into batches as large as the limits allow.

    Every message must fit alone (`BatchLimits.fits_alone`): whoever encodes it rejects it otherwise.
    """

    def __init__(self, limits: BatchLimits) -> None:
        self._limits = limits
        self._batch: list[Message] = []
        self._size = 0

    def add(self, message: Message) -> list[Message]:
        """Take a message and return the batch that has no room for it; empty while it has."""
        grown = self._size + len(_COMMA) + len(message.data)
        full: list[Message] = []
        if len(self._batch) >= self._limits.max_messages or grown > self._limits.max_bytes:
            full = self.rest()
        if not self._batch:
            grown = len(_OPEN) + len(message.data) + len(_CLOSE)
        self._batch.append(message)
        self._size = grown
        return full

    def rest(self) -> list[Message]:
        """Return the messages that are left and begin anew."""
        batch, self._batch, self._size = self._batch, [], 0
        return batch


def pack(messages: Iterable[Message], limits: BatchLimits) -> Iterator[list[Message]]:
    """Cut the stream into batches: see `Packer`."""
    packer = Packer(limits)
    for message in messages:
        if full := packer.add(message):
            yield full
    if rest := packer.rest():
        yield rest


def join(messages: Sequence[Message]) -> bytes:
    """Return the JSON array of the messages, of which there is at least one."""
    parts = [message.data for message in messages]
    # Brackets around what is joined would copy megabytes twice more, into fresh pages.
    parts[0] = _OPEN + parts[0]
    parts[-1] += _CLOSE
    return _COMMA.join(parts)
