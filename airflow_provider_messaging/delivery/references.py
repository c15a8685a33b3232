"""References: the names under which a vendor knows our messages."""

from __future__ import annotations

import hashlib
from array import array
from dataclasses import dataclass
from functools import cached_property

_EMPTY = 0
_TABLES = 64


@dataclass(frozen=True, kw_only=True)
class SendIdentity:
    """What makes a send the same send: equal across retries, different after a deliberate Clear.

    :param generation: Airflow's ``max_tries``, which a retry keeps and a Clear raises.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    generation: int

    def reference(self, row: int) -> str:
        """Return the reference of a row that has none: 32 hexadecimal digits."""
        digest = self._digest.copy()
        text = str(row)
        digest.update(f"{len(text)}:{text}".encode())
        return digest.hexdigest()

    @cached_property
    def _digest(self) -> hashlib.blake2b:
        """What the digests of all rows of this send begin with."""
        parts = (self.dag_id, self.run_id, self.task_id, str(self.map_index), str(self.generation))
        return hashlib.blake2b("".join(f"{len(part)}:{part}" for part in parts).encode(), digest_size=16)


class ReferenceSet:
    """The references seen so far, as 64-bit hashes in flat tables: 16 to 32 bytes each.

    Two different references are taken for the same with a probability of about n² / 2⁶⁵: one in 37 million for a
    million references. The second would then become a reject, which is reported, not lost.
    """

    def __init__(self) -> None:
        # Many tables, each growing by itself: a single one would stand beside a copy twice its size meanwhile.
        self._tables = [array("q", [_EMPTY]) * 16 for _ in range(_TABLES)]
        self._used = [0] * _TABLES

    def __len__(self) -> int:
        return sum(self._used)

    def add(self, reference: str) -> bool:
        """Add a reference; False if it was there."""
        # All in one place: there is a call for every row.
        key = hash(reference) or 1
        table = key % _TABLES
        slots = self._tables[table]
        mask = len(slots) - 1
        at = (key // _TABLES) & mask
        while (held := slots[at]) != _EMPTY:
            if held == key:
                return False
            at = (at + 1) & mask
        slots[at] = key
        self._used[table] = used = self._used[table] + 1
        if used * 2 > len(slots):
            self._tables[table] = _grown(slots)
        return True


def _grown(table: array[int]) -> array[int]:
    slots = array("q", [_EMPTY]) * (len(table) * 2)
    mask = len(slots) - 1
    for key in table:
        if key != _EMPTY:
            at = (key // _TABLES) & mask
            while slots[at] != _EMPTY:
                at = (at + 1) & mask
            slots[at] = key
    return slots
