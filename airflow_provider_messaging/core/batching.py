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


_OPEN, _COMMA, _CLOSE = b"[", b",", b"]"


def pack(messages: Iterable[Message], limits: BatchLimits) -> Iterator[list[Message]]:
    """Cut the stream into batches, each as large as the limits allow.

    Every message must fit alone (`BatchLimits.fits_alone`): whoever encodes it rejects it otherwise.
    """
    batch: list[Message] = []
    size = len(_OPEN) + len(_CLOSE)
    for message in messages:
        grown = size + len(message.data) + (len(_COMMA) if batch else 0)
        if batch and (len(batch) >= limits.max_messages or grown > limits.max_bytes):
            yield batch
            batch = []
            grown = len(_OPEN) + len(message.data) + len(_CLOSE)
        batch.append(message)
        size = grown
    if batch:
        yield batch


def join(messages: Sequence[Message]) -> bytes:
    """Return the JSON array of the messages."""
    return _OPEN + _COMMA.join([message.data for message in messages]) + _CLOSE
