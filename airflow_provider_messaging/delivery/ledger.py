"""What is known of a send after a crash: which messages were surely taken, surely not, or perhaps.

The ledger is pure; whoever drives it saves `dump()` before each group of requests and after. Rules:

- A message that `intend` has named may have been taken until `settle` or `not_sent` says otherwise.
- Loading turns every open intention into "perhaps"; only a look-up turns that into a fact.
- "Surely not" may be sent again; "perhaps" never, before it was looked up.
"""

from __future__ import annotations

import base64
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.delivery.plan import START_DIGEST, Batch

VERSION = 1
_MOST_MARKS = 64
_INTENDED, _SETTLED = "?", "A"


@dataclass(slots=True)
class _Group:
    """Batches recorded together, in order: their sizes, one state each, and the digest at their end."""

    sizes: list[int]
    states: list[str]
    digest: bytes


@dataclass(frozen=True, slots=True)
class Mark:
    """A point of the input that earlier tries have passed."""

    batches: int
    messages: int
    digest: bytes


@dataclass(slots=True)
class Ledger:
    """The state of one send.

    :param started: when the first try began.
    """

    started: datetime
    updated: datetime
    tracking_proven: bool = False
    complete: bool = False
    """The end of the input was reached: more rows would be a change."""
    witness: str = ""
    """Reference of a message that the vendor acknowledged: whether look-ups work can be tried with it."""
    not_taken: set[int] = field(default_factory=set)
    """Ordinals below `horizon` that the vendor surely has not accepted."""
    perhaps: set[int] = field(default_factory=set)
    """Ordinals below `horizon` of which nobody knows."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """Accepted messages by the vendor's finer word, where it has one."""
    receipts: list[tuple[int, str]] = field(default_factory=list)
    """Batches and what the vendor calls their accepted requests, where the channel keeps that."""
    _done: Mark = Mark(0, 0, START_DIGEST)
    _marks: list[Mark] = field(default_factory=list)
    _open: list[_Group] = field(default_factory=list)

    @classmethod
    def new(cls, now: datetime) -> Ledger:
        return cls(started=now, updated=now)

    @property
    def recorded(self) -> Mark:
        """How far the record reaches: batches and messages, and the digest there."""
        batches, messages, digest = self._done.batches, self._done.messages, self._done.digest
        for group in self._open:
            batches, messages, digest = batches + len(group.sizes), messages + sum(group.sizes), group.digest
        return Mark(batches, messages, digest)

    @property
    def marks(self) -> list[Mark]:
        """Points to check the input against, in order, `recorded` last."""
        return [mark for mark in self._marks if mark.batches < self.recorded.batches] + [self.recorded]

    @property
    def accepted(self) -> int:
        """Messages that are known to be accepted."""
        settled, ordinal = self._done.messages, self._done.messages
        for group in self._open:
            for size, state in zip(group.sizes, group.states, strict=True):
                settled += size if state == _SETTLED else 0
                ordinal += size
        return settled - len(self.not_taken) - len(self.perhaps)

    def intend(self, batches: Sequence[Batch]) -> None:
        """Note that new batches, the next in order, are about to be sent."""
        if not batches:
            return
        if batches[0].number != self.recorded.batches:
            raise ValueError(f"batch {batches[0].number} does not follow the record")
        sizes = [len(batch.messages) for batch in batches]
        self._open.append(_Group(sizes, [_INTENDED] * len(sizes), batches[-1].digest))

    def intend_again(self, ordinals: Iterable[int]) -> None:
        """Note that messages that were surely not taken are about to be sent once more."""
        again = set(ordinals)
        if not again <= self.not_taken:
            raise ValueError("only messages that were surely not taken may be sent again")
        self.not_taken -= again
        self.perhaps |= again

    def disprove(self, ordinals: Iterable[int]) -> None:
        """Note that look-ups showed doubtful messages not to be taken."""
        found = self.perhaps.intersection(ordinals)
        self.perhaps -= found
        self.not_taken |= found

    def settle(self, batch: Batch, *, not_taken: Iterable[int] = (), perhaps: Iterable[int] = ()) -> None:
        """Note the outcome of a batch: all accepted but for the ordinals given."""
        everything = range(batch.first_ordinal, batch.first_ordinal + len(batch.messages))
        self.perhaps.difference_update(everything)
        self.not_taken.difference_update(everything)
        self.not_taken.update(not_taken)
        self.perhaps.update(perhaps)
        first = self._done.batches
        for group in self._open:
            if first <= batch.number < first + len(group.sizes):
                group.states[batch.number - first] = _SETTLED
            first += len(group.sizes)
        self._fold()

    def _fold(self) -> None:
        while self._open and all(state == _SETTLED for state in self._open[0].states):
            group = self._open.pop(0)
            self._done = Mark(
                self._done.batches + len(group.sizes), self._done.messages + sum(group.sizes), group.digest
            )
            self._marks.append(self._done)
            if len(self._marks) > _MOST_MARKS:
                del self._marks[::2]

    def dump(self, now: datetime) -> dict[str, Any]:
        """Return the state as JSON values; a million messages take a few kilobytes."""
        self.updated = now
        return {
            "v": VERSION,
            "started": self.started.isoformat(),
            "updated": now.isoformat(),
            "tracking_proven": self.tracking_proven,
            "complete": self.complete,
            "witness": self.witness,
            "done": _dump_mark(self._done),
            "marks": [_dump_mark(mark) for mark in self._marks],
            "open": [
                {"sizes": group.sizes, "states": "".join(group.states), "digest": group.digest.hex()}
                for group in self._open
            ],
            "not_taken": pack_ordinals(self.not_taken),
            "perhaps": pack_ordinals(self.perhaps),
            "outcomes": dict(self.outcomes),
            # Lists: what Airflow stores has to be JSON as it is.
            "receipts": [list(each) for each in self.receipts],
        }

    @classmethod
    def load(cls, document: dict[str, Any]) -> Ledger:
        """Read a dumped state; every intention in it becomes "perhaps".

        :raises ConfigurationError: if a newer release wrote it; retryable, since the next try may run on a worker that
            has that release, whereas a Clear would send everything again.
        """
        if document.get("v") != VERSION:
            error = ConfigurationError(
                f"the ledger of this task is of version {document.get('v')!r}, this release reads {VERSION}: "
                "nothing more was sent; finish the run with the release that began it",
                setting="the release of airflow-provider-messaging",
            )
            error.retryable = True
            raise error
        ledger = cls(
            started=datetime.fromisoformat(document["started"]).astimezone(UTC),
            updated=datetime.fromisoformat(document["updated"]).astimezone(UTC),
            tracking_proven=document["tracking_proven"],
            complete=document["complete"],
            witness=document["witness"],
            not_taken=unpack_ordinals(document["not_taken"]),
            perhaps=unpack_ordinals(document["perhaps"]),
            outcomes=Counter(document["outcomes"]),
            receipts=[(batch, receipt) for batch, receipt in document["receipts"]],
        )
        ledger._done = _load_mark(document["done"])
        ledger._marks = [_load_mark(mark) for mark in document["marks"]]
        ordinal = ledger._done.messages
        for item in document["open"]:
            group = _Group(item["sizes"], list(item["states"]), bytes.fromhex(item["digest"]))
            for at, size in enumerate(group.sizes):
                if group.states[at] == _INTENDED:
                    ledger.perhaps.update(range(ordinal, ordinal + size))
                    group.states[at] = _SETTLED
                ordinal += size
            ledger._open.append(group)
        ledger._fold()
        return ledger


def overview(document: dict[str, Any]) -> dict[str, Any]:
    """Return what a dumped state says, in counts of messages, for people; what is in flight is told apart.

    :raises ConfigurationError: if another release wrote it.
    """
    ledger = Ledger.load(document)
    open_sizes = [
        size
        for group in document["open"]
        for size, state in zip(group["sizes"], group["states"], strict=True)
        if state == _INTENDED
    ]
    in_flight = sum(open_sizes)
    return {
        "started": document["started"],
        "updated": document["updated"],
        "complete": ledger.complete,
        "batches": ledger.recorded.batches,
        "recorded": ledger.recorded.messages,
        "accepted": ledger.accepted,
        "in_flight": in_flight,
        "open_batches": len(open_sizes),
        "ambiguous": len(ledger.perhaps) - in_flight,
        "not_taken": len(ledger.not_taken),
        "tracking_proven": ledger.tracking_proven,
        "outcomes": dict(ledger.outcomes),
        "receipts": [receipt for _, receipt in ledger.receipts],
    }


def _dump_mark(mark: Mark) -> list[Any]:
    return [mark.batches, mark.messages, mark.digest.hex()]


def _load_mark(value: list[Any]) -> Mark:
    return Mark(value[0], value[1], bytes.fromhex(value[2]))


def pack_ordinals(ordinals: Iterable[int]) -> str:
    """Return sorted, delta-coded, compressed text; empty for none."""
    coded = bytearray()
    last = -1
    for ordinal in sorted(ordinals):
        delta, last = ordinal - last - 1, ordinal
        while delta >= 0x80:
            coded.append(delta & 0x7F | 0x80)
            delta >>= 7
        coded.append(delta)
    return base64.b85encode(zlib.compress(bytes(coded), 9)).decode() if coded else ""


def unpack_ordinals(text: str) -> set[int]:
    """Undo `pack_ordinals`."""
    ordinals: set[int] = set()
    last, delta, shift = -1, 0, 0
    for byte in zlib.decompress(base64.b85decode(text)) if text else b"":
        delta |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            last += delta + 1
            ordinals.add(last)
            delta, shift = 0, 0
    return ordinals
