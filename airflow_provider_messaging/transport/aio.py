"""The asynchronous driver: flows over aiohttp."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any, Self, TypeVar

from airflow_provider_messaging.core.flow import Emit, Flow, Sleep
from airflow_provider_messaging.core.http import Reply, Request
from airflow_provider_messaging.transport.options import TransportOptions
from airflow_provider_messaging.transport.trace import log_reply, log_sleep
from airflow_provider_messaging.transport.wire import outgoing

if TYPE_CHECKING:
    from types import TracebackType

    from airflow_provider_messaging.transport._aiohttp import Client

T = TypeVar("T")


class AsyncTransport:
    """Runs flows in an event loop. Transports of one loop with equal options share their connections.

    To be used in ``async with``; the last one out closes the connections.

    :param sleep: awaited with the seconds of each `Sleep`.
    :param logger: takes waits (INFO) and requests (DEBUG), without URLs and headers.
    """

    def __init__(
        self,
        options: TransportOptions | None = None,
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        logger: logging.Logger | None = None,
    ) -> None:
        self.options = options or TransportOptions()
        self._sleep = sleep
        self._log = logger or logging.getLogger(__name__)
        self._client: Client | None = None

    async def run(self, flow: Flow[T]) -> T:
        """Return what the flow returns; values that it emits are dropped.

        :raises MessagingError: as the flow does.
        """
        with closing(flow):
            reply: Reply | None = None
            while True:
                try:
                    step = flow.send(reply)
                except StopIteration as stop:
                    value: T = stop.value
                    return value
                reply = await self._perform(step)

    async def iterate(self, flow: Flow[Any]) -> AsyncIterator[Any]:
        """Yield the values that the flow emits, each before the flow goes on.

        Whoever leaves the loop early wraps this in `contextlib.aclosing`, else the flow is closed later.

        :raises MessagingError: as the flow does.
        """
        with closing(flow):
            reply: Reply | None = None
            while True:
                try:
                    step = flow.send(reply)
                except StopIteration:
                    return
                if isinstance(step, Emit):
                    yield step.value
                reply = await self._perform(step)

    async def send(self, request: Request) -> Reply:
        """Send one request, once.

        :raises ConfigurationError: if it can't be sent at all.
        :raises StorageError: if a download can't be written. What the source of a `Stream` raises comes out as it is.
        """
        if self._client is None or self._client.closed:
            raise RuntimeError("the transport is not open: use it in 'async with'")
        out = outgoing(request, self.options)
        started = time.monotonic()
        reply = await self._client.exchange(request, out)
        log_reply(self._log, request, reply, time.monotonic() - started)
        return reply

    async def __aenter__(self) -> Self:
        from airflow_provider_messaging.transport._aiohttp import acquire

        self._client = acquire(self.options)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.release()

    async def _perform(self, step: Request | Sleep | Emit[Any]) -> Reply | None:
        if isinstance(step, Request):
            return await self.send(step)
        if isinstance(step, Sleep):
            log_sleep(self._log, step)
            await self._sleep(step.seconds)
        return None
