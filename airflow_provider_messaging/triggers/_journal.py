"""Where a watcher keeps its cursor and the batches it reports, in Airflow's asset state store."""

from __future__ import annotations

import logging
from array import array
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from airflow_provider_messaging.core.cursor import Cursor, SeenHour

VERSION = 1
PART = 5_000
"""Events of an hour that one value holds: 53 KB, below the 64 KB from which on Airflow warns."""

log = logging.getLogger(__name__)


class Store(Protocol):
    """The state of one asset: JSON values by name."""

    async def aget(self, key: str, default: Any = None) -> Any: ...

    async def aset(self, key: str, value: Any) -> None: ...

    async def adelete(self, key: str) -> None: ...


class Journal:
    """A cursor that outlives its process, and the batches of which nobody has confirmed that Airflow has them.

    A batch and the cursor behind it become durable together, with one write: that of the head, which says how many of
    an hour's events count. Those are written before it, only ever appended, so that what a broken-off commit has left
    behind the count is none. When the journal is opened again, every batch is there that was committed and not
    confirmed: each is to be reported, again or for the first time.

    Values, below `name`: the head; ``/confirmed``, the head's batches that are; ``/<hour>/<n>``, the events.

    :param stores: all of them get every write.
    """

    def __init__(self, stores: Sequence[Store], name: str, cursor: Cursor, *, look_back: int) -> None:
        self.cursor = cursor
        self._stores = list(stores)
        self._name = name
        self._look_back = look_back
        self._number = 0
        self._pending: list[dict[str, Any]] = []
        self._confirmed: frozenset[str] = frozenset()
        self._garbage: list[str] = []
        self._closed = False

    @classmethod
    async def open(cls, stores: Sequence[Store], name: str, *, start: int, look_back: int) -> Journal:
        """Go on where the journal of that name has ended, or begin one that looks at what happens from `start` on."""
        found = [(store, _checked(await store.aget(name), name)) for store in stores]
        kept = [(store, head) for store, head in found if head is not None]
        if not kept:
            journal = cls(stores, name, Cursor(start), look_back=look_back)
            await journal.commit()
            return journal
        # Assets that share one watcher have the same; where they did not always, nothing must be lost for any.
        _, chosen = min(kept, key=lambda one: one[1]["watermark"])
        equal = [store for store, head in kept if head == chosen]
        journal = cls(stores, name, Cursor(0), look_back=look_back)
        await journal._load(equal, chosen)
        if len(equal) < len(stores):
            await journal._copy()
        return journal

    def reported(self, *, after: int) -> list[dict[str, Any]]:
        """Return the batches that are not confirmed, oldest first, behind number `after`."""
        return [batch for batch in self._pending if batch["number"] > after and _key(batch) not in self._confirmed]

    async def commit(self, batch: Mapping[str, Any] | None = None) -> None:
        """Make the cursor durable, and with it the batch that it has moved past. If it fails, open the journal anew."""
        dropped = self.cursor.forget(self._look_back)
        self._pending = self.reported(after=0)
        if batch is not None:
            self._number += 1
            self._pending.append({**batch, "number": self._number})
        for hour, seen in self.cursor.hours.items():
            await self._append(hour, seen)
        garbage = self._garbage + [key for hour, seen in dropped.items() for key in self._keys(hour, seen.stored)]
        await self._set("", self._head(garbage))
        for seen in self.cursor.hours.values():
            seen.stored = len(seen.ids)
        await self._sweep(garbage)

    def is_due(self) -> bool:
        """Tell whether the cursor has moved far enough to be kept although there is nothing to report."""
        return self.cursor.horizon_for(self._look_back) > self.cursor.horizon

    async def confirm(self, number: int) -> None:
        """Note that Airflow has all batches up to this number: they are not reported again."""
        done = frozenset(_key(batch) for batch in self._pending if batch["number"] <= number)
        if not done <= self._confirmed and not self._closed:
            await self._set("/confirmed", sorted(done))
            self._confirmed = done

    def close(self) -> None:
        """Write nothing any more: what is stored counts, not what is in here."""
        self._closed = True

    async def _load(self, stores: Sequence[Store], head: Mapping[str, Any]) -> None:
        self.cursor.watermark, self.cursor.horizon = head["watermark"], head["horizon"]
        confirmed = [await store.aget(f"{self._name}/confirmed") for store in stores]
        self._confirmed = frozenset(key for keys in confirmed for key in keys or ())
        self._number, self._pending, self._garbage = head["number"], list(head["pending"]), list(head["garbage"])
        for text, (count, digest) in head["hours"].items():
            hour = int(text)
            seen = SeenHour((await self._ids(stores[0], hour, count))[:count])
            if (len(seen.ids), seen.digest) != (count, digest):
                log.warning("the store has lost what was seen in hour %d: its events are reported again", hour)
                continue
            self.cursor.hours[hour] = seen

    async def _ids(self, store: Store, hour: int, count: int) -> array[int]:
        ids = array("Q")
        for key in self._keys(hour, count):
            value = await store.aget(f"{self._name}{key}")
            ids.extend(_unpacked(value) if isinstance(value, str) else ())
        return ids

    async def _copy(self) -> None:
        """Give every store all there is."""
        for seen in self.cursor.hours.values():
            seen.stored = 0
        await self._set("/confirmed", sorted(self._confirmed))
        await self.commit()

    async def _append(self, hour: int, seen: SeenHour) -> None:
        if seen.stored < len(seen.ids):
            for place in range(seen.stored // PART, (len(seen.ids) - 1) // PART + 1):
                await self._set(f"/{hour}/{place}", _packed(seen.ids[place * PART : (place + 1) * PART]))

    def _head(self, garbage: list[str]) -> dict[str, Any]:
        return {
            "version": VERSION,
            "watermark": self.cursor.watermark,
            "horizon": self.cursor.horizon,
            "number": self._number,
            "pending": self._pending,
            "hours": {str(hour): [len(seen.ids), seen.digest] for hour, seen in sorted(self.cursor.hours.items())},
            "garbage": garbage,
        }

    async def _sweep(self, garbage: list[str]) -> None:
        """Delete what no head names any more; what does not work out now is tried again at the next commit."""
        self._garbage = list(garbage)
        try:
            for key in garbage:
                for store in self._stores:
                    await store.adelete(f"{self._name}{key}")
                self._garbage.remove(key)
        except Exception as error:
            log.warning("old events could not be deleted from the state store: %s", error)

    async def _set(self, key: str, value: Any) -> None:
        for store in self._stores:
            await store.aset(f"{self._name}{key}", value)

    @staticmethod
    def _keys(hour: int, count: int) -> list[str]:
        return [f"/{hour}/{place}" for place in range(-(-count // PART))]


def _key(batch: Mapping[str, Any]) -> str:
    """Return what a batch is confirmed by: its number alone would be that of another one where two processes write."""
    return f"{batch['number']} {batch['batch_id']}"


def _checked(head: Any, name: str) -> dict[str, Any] | None:
    if head is not None and not (isinstance(head, dict) and head.get("version") == VERSION):
        raise ValueError(
            f"the asset state {name!r} is not a cursor that this version can read; delete it to begin anew"
        )
    return head


def _packed(ids: array[int]) -> str:
    return b64encode(b"".join(event.to_bytes(8, "big") for event in ids)).decode()


def _unpacked(text: str) -> list[int]:
    packed = b64decode(text)
    return [int.from_bytes(packed[place : place + 8], "big") for place in range(0, len(packed), 8)]
