"""The synchronous driver: flows over requests."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any, Self, TypeVar

from airflow_provider_messaging.core.flow import Emit, Flow, Sleep
from airflow_provider_messaging.core.http import Reply, Request
from airflow_provider_messaging.transport.options import TransportOptions
from airflow_provider_messaging.transport.proxies import Proxy, choose_proxy
from airflow_provider_messaging.transport.trace import log_reply, log_sleep
from airflow_provider_messaging.transport.wire import outgoing

if TYPE_CHECKING:
    from types import TracebackType

    from airflow_provider_messaging.transport._urllib3 import Adapter

T = TypeVar("T")


class SyncTransport:
    """Runs flows, blocking. One transport may serve several threads: they share its connections.

    :param sleep: called with the seconds of each `Sleep`.
    :param logger: takes waits (INFO) and requests (DEBUG), without URLs and headers.
    """

    def __init__(
        self,
        options: TransportOptions | None = None,
        *,
        sleep: Callable[[float], object] = time.sleep,
        logger: logging.Logger | None = None,
    ) -> None:
        self.options = options or TransportOptions()
        self._sleep = sleep
        self._log = logger or logging.getLogger(__name__)
        self._lock = threading.Lock()
        self._adapters: dict[bool, Adapter] = {}
        self._proxies: dict[str, Proxy | None] = {}

    def run(self, flow: Flow[T]) -> T:
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
                reply = self._perform(step)

    def iterate(self, flow: Flow[Any]) -> Iterator[Any]:
        """Yield the values that the flow emits, each before the flow goes on.

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
                reply = self._perform(step)

    def send(self, request: Request) -> Reply:
        """Send one request, once.

        :raises ConfigurationError: if it can't be sent at all.
        :raises StorageError: if a download can't be written. What the source of a `Stream` raises comes out as it is.
        """
        out = outgoing(request, self.options)
        if out.origin not in self._proxies:
            self._proxies[out.origin] = choose_proxy(out.url, self.options)
        adapter = self._adapter(out.https, request)
        started = time.monotonic()
        reply = adapter.exchange(request, out, self._proxies[out.origin])
        log_reply(self._log, request, reply, time.monotonic() - started)
        return reply

    def close(self) -> None:
        """Close the connections. A later request opens new ones."""
        with self._lock:
            adapters, self._adapters = self._adapters, {}
        for adapter in adapters.values():
            adapter.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _perform(self, step: Request | Sleep | Emit[Any]) -> Reply | None:
        if isinstance(step, Request):
            return self.send(step)
        if isinstance(step, Sleep):
            log_sleep(self._log, step)
            self._sleep(step.seconds)
        return None

    def _adapter(self, https: bool, request: Request) -> Adapter:
        with self._lock:
            if https not in self._adapters:
                from airflow_provider_messaging.transport._urllib3 import Adapter

                vendor = request.operation.partition(".")[0]
                # Loading the trusted certificates takes longer than a request: not for plain HTTP.
                context = self.options.ssl_context(vendor) if https else None
                self._adapters[https] = Adapter(self.options, context)
            return self._adapters[https]
