"""The two drivers behind one blocking interface, so that a test is written once and runs over both."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, aclosing, closing
from typing import Any, Protocol, TypeVar

import pytest

from airflow_provider_messaging.core.flow import Flow
from airflow_provider_messaging.core.http import Reply, Request
from airflow_provider_messaging.transport.aio import AsyncTransport
from airflow_provider_messaging.transport.options import TransportOptions
from airflow_provider_messaging.transport.sync import SyncTransport

T = TypeVar("T")


class Driver(Protocol):
    """A transport, open until the test ends."""

    name: str
    options: TransportOptions
    slept: list[float]
    """The seconds of every wait; nobody waited."""

    def send(self, request: Request) -> Reply: ...

    def send_all(self, requests: Sequence[Request]) -> list[Reply]:
        """Send them at the same time."""
        ...

    def run(self, flow: Flow[T]) -> T: ...

    def take(self, flow: Flow[Any], count: int | None = None) -> list[Any]:
        """Return the flow's first values, all of them without `count`."""
        ...

    def close(self) -> None: ...


class SyncDriver:
    name = "sync"

    def __init__(self, options: TransportOptions) -> None:
        self.options = options
        self.slept: list[float] = []
        self.transport = SyncTransport(options, sleep=self.slept.append)

    def send(self, request: Request) -> Reply:
        return self.transport.send(request)

    def send_all(self, requests: Sequence[Request]) -> list[Reply]:
        with ThreadPoolExecutor(len(requests)) as pool:
            return list(pool.map(self.transport.send, requests))

    def run(self, flow: Flow[T]) -> T:
        return self.transport.run(flow)

    def take(self, flow: Flow[Any], count: int | None = None) -> list[Any]:
        values: list[Any] = []
        with closing(self.transport.iterate(flow)) as stream:  # type: ignore[type-var]
            for value in stream:
                values.append(value)
                if len(values) == count:
                    break
        return values

    def close(self) -> None:
        self.transport.close()


class AsyncDriver:
    """Its loop runs during calls only, and keeps its connections in between."""

    name = "async"

    def __init__(self, options: TransportOptions) -> None:
        self.options = options
        self.slept: list[float] = []
        self.closed = False
        self.runner = asyncio.Runner()
        self.transport = AsyncTransport(options, sleep=self._sleep)
        self.runner.run(self.transport.__aenter__())

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def send(self, request: Request) -> Reply:
        return self.runner.run(self.transport.send(request))

    def send_all(self, requests: Sequence[Request]) -> list[Reply]:
        async def gather() -> list[Reply]:
            return await asyncio.gather(*(self.transport.send(request) for request in requests))

        return self.runner.run(gather())

    def run(self, flow: Flow[T]) -> T:
        return self.runner.run(self.transport.run(flow))

    def take(self, flow: Flow[Any], count: int | None = None) -> list[Any]:
        async def collect() -> list[Any]:
            values: list[Any] = []
            async with aclosing(self.transport.iterate(flow)) as stream:  # type: ignore[type-var]
                async for value in stream:
                    values.append(value)
                    if len(values) == count:
                        break
            return values

        return self.runner.run(collect())

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.runner.run(self.transport.__aexit__(None, None, None))
            self.runner.close()


class Drive:
    """One kind of driver: `drive.send(request)`, with options `drive.using(verify=False).send(request)`."""

    def __init__(self, kind: type[SyncDriver] | type[AsyncDriver], stack: ExitStack) -> None:
        self.name = kind.name
        self._kind = kind
        self._stack = stack
        self._default: Driver | None = None

    def using(self, **options: Any) -> Driver:
        """Open a driver of its own with these options."""
        driver = self._kind(TransportOptions(**{"connect_timeout": 5.0, "read_timeout": 5.0, **options}))
        self._stack.callback(driver.close)
        return driver

    @property
    def default(self) -> Driver:
        if self._default is None:
            self._default = self.using()
        return self._default

    @property
    def slept(self) -> list[float]:
        return self.default.slept

    def send(self, request: Request) -> Reply:
        return self.default.send(request)

    def run(self, flow: Flow[T]) -> T:
        return self.default.run(flow)

    def take(self, flow: Flow[Any], count: int | None = None) -> list[Any]:
        return self.default.take(flow, count)


@pytest.fixture(params=[SyncDriver, AsyncDriver], ids=["sync", "async"])
def drive(request: pytest.FixtureRequest) -> Iterator[Drive]:
    """Run the test once over each driver."""
    with ExitStack() as stack:
        yield Drive(request.param, stack)


def eventually(condition: Any, seconds: float = 5.0) -> bool:
    """Wait until the condition holds; tell whether it did."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
