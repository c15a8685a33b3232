"""The one reader that all watchers of an account share. Airflow 3.3 and later."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer

from airflow_provider_messaging.core.cursor import Arrivals
from airflow_provider_messaging.core.errors import MessagingError
from airflow_provider_messaging.core.windows import Window
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.vendors.marigold.arrivals import read_day

MOST_OPEN = 8
"""Looks that may wait for their watchers, and for Airflow to have their events, before reading goes on."""
CONFIRM_SECONDS = 10.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What one watcher needs.

    :param since: events from then on.
    :param lag: seconds that a day's last events take to be there.
    :param late_interval: seconds between two looks at a day that is over.
    """

    kinds: tuple[str, ...]
    since: datetime
    lag: float
    poll_interval: float
    late_interval: float
    asked_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    """Looks that began earlier are none of its."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What the vendor listed for a day. A look without a window brings nothing but the reader.

    :param at: when reading began; what happened later may be missing.
    :param arrivals: by kind; those that could not be read are missing.
    """

    reader: FeedbackReader
    at: datetime
    window: Window | None = None
    arrivals: Mapping[str, Arrivals] = field(default_factory=dict)
    confirmations: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """What to do when Airflow has all the events that came of this look."""


class FeedbackReader(SharedStreamProducer):
    """Reads, day by day, what the watchers ask for, and never gives up: an error is logged, and the next poll tries.

    :param poll_interval: seconds until the first poll, if nobody has asked before.
    """

    def __init__(self, *, conn_id: str, account_id: str | None, page_size: int, poll_interval: float) -> None:
        self._hook = MarigoldHook(conn_id)
        self._account_id = account_id
        self._page_size = page_size
        self._poll_interval = poll_interval
        self._asks: dict[Hashable, Ask] = {}
        self._somebody_new = asyncio.Event()
        self._open = asyncio.Semaphore(MOST_OPEN)
        self._read: dict[tuple[str, date], datetime] = {}
        self._line: tuple[Any, Any] | None = None
        self._stack = AsyncExitStack()

    def ask(self, who: Hashable, ask: Ask) -> None:
        """Take what a watcher needs from now on."""
        earlier = self._asks.get(who)
        if earlier is None:
            self._somebody_new.set()
        else:
            ask = replace(ask, asked_at=earlier.asked_at)
        self._asks[who] = ask

    def leave(self, who: Hashable) -> None:
        """Forget a watcher; one that asks again is a new one, to whom everything is shown again."""
        self._asks.pop(who, None)

    async def open_stream(self) -> AsyncIterator[tuple[Look, Look]]:
        """Yield looks for ever. The first one, and one a poll if there is nothing else, have no window."""
        while True:
            empty = True
            async for look in self._looks():
                empty = False
                yield look, look
            if empty:
                await self._open.acquire()
                look = Look(self, _now())
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

    async def aclose(self) -> None:
        """Close the connections to the vendor."""
        self._line = None
        stack, self._stack = self._stack, AsyncExitStack()
        await stack.aclose()

    async def _looks(self) -> AsyncIterator[Look]:
        failed: set[str] = set()
        for day in list(self._days()):
            asks = [ask for ask in self._asks.values() if failed.isdisjoint(ask.kinds) and self._is_due(ask, day)]
            kinds = sorted({kind for ask in asks for kind in ask.kinds})
            if kinds:
                await self._open.acquire()
                at = _now()
                arrivals = {}
                for kind in kinds:
                    try:
                        arrivals[kind] = await self._arrivals(kind, day)
                    except Exception as error:
                        failed.add(kind)
                        await self._complain(kind, error)
                    else:
                        self._read[kind, day] = at
                yield Look(self, at, Window(_midnight(day), max(_midnight(day), min(_end(day), at))), arrivals)

    def _days(self) -> Iterator[date]:
        if self._asks:
            day, today = min(ask.since for ask in self._asks.values()).date(), _now().date()
            self._read = {key: at for key, at in self._read.items() if key[1] >= day}
            while day <= today:
                yield day
                day += timedelta(days=1)

    def _is_due(self, ask: Ask, day: date) -> bool:
        if _end(day) <= ask.since:
            return False
        times = [self._read.get((kind, day)) for kind in ask.kinds]
        read = [at for at in times if at is not None]
        if len(read) < len(times):
            return True
        last = min(read)
        return (
            last < _end(day) + timedelta(seconds=ask.lag)
            or last < ask.asked_at
            or _now() - last >= timedelta(seconds=ask.late_interval)
        )

    async def _arrivals(self, kind: str, day: date) -> Arrivals:
        if self._line is None:
            client = await self._hook.aclient()
            transport = await self._stack.enter_async_context(self._hook.async_transport(client))
            self._line = client.api, transport
        api, transport = self._line
        whole = Window(_midnight(day), _end(day))
        return await read_day(transport, api, kind, whole, account_id=self._account_id, page_size=self._page_size)

    async def _complain(self, kind: str, error: Exception) -> None:
        """Log an error, and look the connection up anew the next time: somebody may have mended it."""
        if isinstance(error, MessagingError):
            log.warning("the watch of %s could not read; it tries again at the next poll: %s", kind, error)
        else:
            log.exception("the watch of %s could not read; it tries again at the next poll", kind)
        with suppress(Exception):
            await self.aclose()

    async def _pause(self) -> None:
        pause = min((ask.poll_interval for ask in self._asks.values()), default=self._poll_interval)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._somebody_new.wait(), pause)
        self._somebody_new.clear()


async def _patiently(confirm: Callable[[], Awaitable[None]]) -> None:
    try:
        await asyncio.wait_for(confirm(), CONFIRM_SECONDS)
    except Exception as error:
        # A later look's confirmation covers it.
        log.warning("that a batch is reported could not be noted: %s", error)


def _now() -> datetime:
    return datetime.now(UTC)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _end(day: date) -> datetime:
    return _midnight(day + timedelta(days=1))
