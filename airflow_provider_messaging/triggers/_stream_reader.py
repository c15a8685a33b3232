"""The one reader that all watchers of a source share. Airflow 3.3 and later."""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Generic, TypeVar

from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer

MOST_OPEN = 8
"""Looks that may wait for their watchers, and for Airflow to have their events, before reading goes on."""
CONFIRM_SECONDS = 10.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What one watcher needs.

    :param since: what came, or happened, from then on.
    """

    kinds: tuple[str, ...]
    since: datetime
    poll_interval: float
    asked_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    """Looks that began earlier are none of its."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Look:
    """What a reader found. One as bare as this brings nothing but the reader.

    :param at: when reading began; what came later may be missing.
    """

    reader: StreamReader[Ask]
    at: datetime
    confirmations: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """What to do when Airflow has all the events that came of this look."""

    @property
    def is_bare(self) -> bool:
        return type(self) is Look


A = TypeVar("A", bound=Ask)


class StreamReader(SharedStreamProducer, Generic[A]):
    """Reads what the watchers ask for, and never gives up: an error is logged, and the next poll tries.

    :param poll_interval: seconds until the first poll, if nobody has asked before.
    """

    def __init__(self, *, poll_interval: float) -> None:
        self._poll_interval = poll_interval
        self._asks: dict[Hashable, A] = {}
        self._at_once = asyncio.Event()
        self._open = asyncio.Semaphore(MOST_OPEN)

    @abstractmethod
    def looks(self) -> AsyncIterator[Look]:
        """Yield the looks of one poll; `may_look` comes before each."""

    async def may_look(self) -> datetime:
        """Wait until there are few enough looks open, and return the time."""
        await self._open.acquire()
        return now()

    def ask(self, who: Hashable, ask: A) -> None:
        """Take what a watcher needs from now on."""
        earlier = self._asks.get(who)
        if earlier is None:
            self.hurry()
        else:
            ask = replace(ask, asked_at=earlier.asked_at)
        self._asks[who] = ask

    def leave(self, who: Hashable) -> None:
        """Forget a watcher; one that asks again is a new one, to whom everything is shown again."""
        self._asks.pop(who, None)

    def hurry(self) -> None:
        """Begin the next poll at once."""
        self._at_once.set()

    async def open_stream(self) -> AsyncIterator[tuple[Look, Look]]:
        """Yield looks for ever. The first one, and one a poll if there is nothing else, are bare."""
        while True:
            empty = True
            async for look in self.looks():
                empty = False
                yield look, look
            if empty:
                look = Look(reader=self, at=await self.may_look())  # type: ignore[arg-type]  # of some other asks
                yield look, look
            await self._pause()

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """Tell the watchers which of their events Airflow has: those of looks that all of them have got through."""
        for item in batch:
            self._open.release()
            look: Look = item.broker_payload
            if not item.outcome.failed:
                for confirm in look.confirmations:
                    await _patiently(confirm)

    async def _pause(self) -> None:
        pause = min((ask.poll_interval for ask in self._asks.values()), default=self._poll_interval)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._at_once.wait(), pause)
        self._at_once.clear()


def now() -> datetime:
    return datetime.now(UTC)


async def _patiently(confirm: Callable[[], Awaitable[None]]) -> None:
    try:
        await asyncio.wait_for(confirm(), CONFIRM_SECONDS)
    except Exception as error:
        # A later look's confirmation covers it.
        log.warning("that a batch is reported could not be noted: %s", error)
