"""The one reader that all watchers of an account share. Airflow 3.3 and later."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from airflow_provider_messaging.core.cursor import Arrivals
from airflow_provider_messaging.core.errors import MessagingError
from airflow_provider_messaging.core.windows import Window
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.triggers._stream_reader import Ask, Look, StreamReader, now
from airflow_provider_messaging.vendors.marigold.arrivals import read_day

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackAsk(Ask):
    """What one watcher needs of the vendor.

    :param lag: seconds that a day's last events take to be there.
    :param late_interval: seconds between two looks at a day that is over.
    """

    lag: float
    late_interval: float


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DayLook(Look):
    """What the vendor listed for a day.

    :param arrivals: by kind; those that could not be read are missing.
    """

    window: Window
    arrivals: Mapping[str, Arrivals] = field(default_factory=dict)


class FeedbackReader(StreamReader[FeedbackAsk]):
    """Reads, day by day, what the watchers ask for.

    :param poll_interval: seconds until the first poll, if nobody has asked before.
    """

    def __init__(self, *, conn_id: str, account_id: str | None, page_size: int, poll_interval: float) -> None:
        super().__init__(poll_interval=poll_interval)
        self._hook = MarigoldHook(conn_id)
        self._account_id = account_id
        self._page_size = page_size
        self._read: dict[tuple[str, date], datetime] = {}
        self._line: tuple[Any, Any] | None = None
        self._stack = AsyncExitStack()

    async def aclose(self) -> None:
        """Close the connections to the vendor."""
        self._line = None
        stack, self._stack = self._stack, AsyncExitStack()
        await stack.aclose()

    async def looks(self) -> AsyncIterator[DayLook]:
        failed: set[str] = set()
        for day in list(self._days()):
            asks = [ask for ask in self._asks.values() if failed.isdisjoint(ask.kinds) and self._is_due(ask, day)]
            kinds = sorted({kind for ask in asks for kind in ask.kinds})
            if kinds:
                at = await self.may_look()
                arrivals = {}
                for kind in kinds:
                    try:
                        arrivals[kind] = await self._arrivals(kind, day)
                    except Exception as error:
                        failed.add(kind)
                        await self._complain(kind, error)
                    else:
                        self._read[kind, day] = at
                window = Window(_midnight(day), max(_midnight(day), min(_end(day), at)))
                yield DayLook(reader=self, at=at, window=window, arrivals=arrivals)  # type: ignore[arg-type]

    def _days(self) -> Iterator[date]:
        if self._asks:
            day, today = min(ask.since for ask in self._asks.values()).date(), now().date()
            self._read = {key: at for key, at in self._read.items() if key[1] >= day}
            while day <= today:
                yield day
                day += timedelta(days=1)

    def _is_due(self, ask: FeedbackAsk, day: date) -> bool:
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
            or now() - last >= timedelta(seconds=ask.late_interval)
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


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _end(day: date) -> datetime:
    return _midnight(day + timedelta(days=1))
