"""From rows to numbered batches. The same rows give the same batches, at every try."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from xxhash import xxh3_128

from airflow_provider_messaging.core.batching import Packer
from airflow_provider_messaging.core.errors import FieldError
from airflow_provider_messaging.core.messages import Message, Reject
from airflow_provider_messaging.delivery.channel import Channel
from airflow_provider_messaging.delivery.references import ReferenceSet
from airflow_provider_messaging.delivery.source import BadLine, chunks, value_of

_CHUNK = 100
_CHUNK_BYTES = 250_000
"""Rows are judged and encoded together as long as they fit the processor's caches."""
GROUP_BYTES = 16_000_000
"""A group of batches that is recorded together holds about this much at most."""
MOST_REJECTS = 500
"""Rejects that a group holds, give or take a chunk: an input may have nothing else."""
START_DIGEST = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One planned request. A message's ordinal is its position among all valid messages."""

    number: int
    first_ordinal: int
    messages: Sequence[Message]
    raw: dict[int, Any] = field(repr=False)
    """The rows as they were given, by row number: what a rejects line shows."""
    digest: bytes
    """Digest of this batch and all before it."""

    @property
    def size(self) -> int:
        """Bytes of the encoded messages."""
        return sum(len(message.data) for message in self.messages)

    def ordinals(self) -> dict[str, int]:
        """Return each message's ordinal by its reference."""
        return {message.reference: self.first_ordinal + at for at, message in enumerate(self.messages)}


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A reject and the row as it was given."""

    reject: Reject
    raw: Any


@dataclass(slots=True, kw_only=True)
class Plan:
    """Judges, encodes and packs rows as they are asked for; holds no more than one chunk and one batch.

    :param on_reject: called for each row that is not sent, before the batch that follows it is yielded.
    :param now: the time against which rules such as "at most 24 hours ahead" are judged; the same at every try.
    """

    rows: Iterable[Any]
    channel: Channel
    reference_of: Callable[[int], str]
    now: datetime
    on_reject: Callable[[RejectedRow], None]
    rows_read: int = field(default=0, init=False)
    duplicates: int = field(default=0, init=False)
    """Rows that add nothing to an earlier one."""

    def batches(self) -> Iterator[Batch]:
        return (batch for batch in self.steps() if batch is not None)

    def steps(self) -> Iterator[Batch | None]:
        """Yield the batches, and a None after every chunk of rows: a moment to take the rejects away."""
        packer = Packer(self.channel.limits)
        seen = ReferenceSet()
        raw: dict[int, Any] = {}
        last: Batch | None = None
        chain = self._chain(last)
        for chunk in chunks(self.rows, _CHUNK, _CHUNK_BYTES):
            self.rows_read += len(chunk)
            raw.update(chunk)
            for result in self.channel.prepare(
                self._readable(chunk, raw), reference_of=self.reference_of, now=self.now
            ):
                if isinstance(result, Reject):
                    self.on_reject(RejectedRow(result, raw.pop(result.row)))
                    continue
                if not seen.add(result.reference):
                    self._repeated(result, raw.pop(result.row))
                    continue
                if full := packer.add(result):
                    yield (last := _following(last, full, raw, chain.digest()))
                    chain = self._chain(last)
                # While the processor still has it at hand: a large batch is out of its caches before it is full.
                chain.update(result.data)
            yield None
        if rest := packer.rest():
            yield _following(last, rest, raw, chain.digest())

    def _repeated(self, message: Message, given: Any) -> None:
        if self.channel.merges_duplicates:
            self.duplicates += 1
        else:
            self.on_reject(RejectedRow(_duplicate(message), given))

    def _chain(self, last: Batch | None) -> xxh3_128:
        """Return what the digest of the batch behind `last` begins with.

        It tells a changed input from the same, and guards against nobody: a cryptographic one was a third of the
        processor time of a message of 20 KB.
        """
        return xxh3_128(last.digest if last else START_DIGEST + self.channel.common)

    def _readable(self, chunk: list[tuple[int, Any]], raw: dict[int, Any]) -> list[tuple[int, Any]]:
        """Return the values of the rows that have one, and reject the others, taking them out of `raw`."""
        readable = [(row, value_of(given)) for row, given in chunk]
        bad = {row: value for row, value in readable if isinstance(value, BadLine)}
        for row, line in bad.items():
            del raw[row]
            reject = Reject.of(row, "", "INVALID_JSON", f"the line is not JSON: {line.reason}")
            self.on_reject(RejectedRow(reject, line))
        return [item for item in readable if item[0] not in bad] if bad else readable


@dataclass(slots=True)
class Group:
    """Batches that are recorded together, and the rejects that stand between them."""

    batches: list[Batch] = field(default_factory=list)
    rejects: list[RejectedRow] = field(default_factory=list)
    duplicates: int = 0


class Steps(Protocol):
    """What yields batches: a plan, or what was kept of one."""

    duplicates: int

    def steps(self) -> Iterator[Batch | None]:
        """Yield the batches, and perhaps a None in between: a moment to take the rejects away."""
        ...


def groups(
    make_plan: Callable[[Callable[[RejectedRow], None]], Steps], *, size: int, max_bytes: int, first: int | None = None
) -> Iterator[Group]:
    """Plan in groups of at most `size` batches and about `max_bytes`.

    Many rejects end a group as well, which may then have no batch at all.

    :param first: batches of the first group at most.
    """
    limit = first or size
    group = Group()
    plan = make_plan(lambda rejected: group.rejects.append(rejected))
    held, merged = 0, 0
    for batch in plan.steps():
        if batch is not None:
            group.batches.append(batch)
            held += batch.size
        if len(group.batches) >= limit or held >= max_bytes or len(group.rejects) >= MOST_REJECTS:
            group.duplicates = plan.duplicates - merged
            full, group, held, merged = group, Group(), 0, plan.duplicates
            limit = size
            yield full
    group.duplicates = plan.duplicates - merged
    if group.batches or group.rejects or group.duplicates:
        yield group


def _following(last: Batch | None, messages: Sequence[Message], raw: dict[int, Any], digest: bytes) -> Batch:
    """Return the batch behind `last`, and take its rows out of `raw`."""
    return Batch(
        number=last.number + 1 if last else 0,
        first_ordinal=last.first_ordinal + len(last.messages) if last else 0,
        messages=messages,
        raw={message.row: raw.pop(message.row) for message in messages},
        digest=digest,
    )


def _duplicate(message: Message) -> Reject:
    error = FieldError(
        field="reference",
        code="REFERENCE_DUPLICATE_DETECTED",
        message="an earlier row of this input has the same reference",
    )
    return Reject(row=message.row, errors=(error,), reference=message.reference)
