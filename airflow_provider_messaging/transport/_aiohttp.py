"""An aiohttp session, taught to tell how far a request got. Importing this imports aiohttp."""

from __future__ import annotations

import asyncio
import io
import select
import ssl
from collections import defaultdict
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import aiohttp
from yarl import URL

from airflow_provider_messaging.core.http import Failure, FailureKind, Headers, Reply, Request, Response, Stream
from airflow_provider_messaging.transport.failures import classify
from airflow_provider_messaging.transport.options import TransportOptions
from airflow_provider_messaging.transport.proxies import Proxy, choose_proxy
from airflow_provider_messaging.transport.sinks import DownloadError
from airflow_provider_messaging.transport.sources import Source, SourceFailed
from airflow_provider_messaging.transport.wire import Body, Outgoing

_LONGEST_LINE = 64 * 1024
_LARGE_BODY = 1024 * 1024


@dataclass(slots=True)
class _Exchange:
    connected: bool = False


_current: ContextVar[_Exchange] = ContextVar("exchange")


class _Connector(aiohttp.TCPConnector):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._known = WeakSet[Any]()

    async def connect(self, *args: Any, **kwargs: Any) -> Any:
        while True:
            connection = await super().connect(*args, **kwargs)
            if connection.protocol not in self._known:
                self._known.add(connection.protocol)
                break
            if not _has_news(connection.transport):
                break
            connection.close()
        _current.get().connected = True
        return connection


def _has_news(transport: asyncio.Transport | None) -> bool:
    """Tell whether something arrived on an idle connection: that the server closed it, which the loop may not know yet.

    A request sent on it would be lost, and nobody could say whether it was taken.
    """
    if transport is None:
        return True
    poll = select.poll()
    poll.register(transport.get_extra_info("socket"), select.POLLIN)
    return bool(poll.poll(0))


class _Upload:
    """A source as aiohttp reads it, in a thread, so that slow storage holds up nobody else.

    The time that the source takes does not count as the vendor's: `deadline` is put off while it is read.
    """

    def __init__(self, source: Source, patience: float) -> None:
        self._source = source
        self._patience = patience
        self.deadline: asyncio.Timeout | None = None

    def __aiter__(self) -> _Upload:
        return self

    async def __anext__(self) -> bytes:
        if self._source.exhausted:
            raise StopAsyncIteration
        self._put_off(None)
        piece = await asyncio.to_thread(self._source.read)
        self._put_off(asyncio.get_running_loop().time() + self._patience)
        if not piece:
            raise StopAsyncIteration
        return piece

    def _put_off(self, when: float | None) -> None:
        if self.deadline is not None and not self.deadline.expired():
            self.deadline.reschedule(when)


class Client:
    """The connections of one event loop."""

    def __init__(self, options: TransportOptions) -> None:
        self._options = options
        self._users = 0
        self._context: ssl.SSLContext | None = None
        self._proxies: dict[str, Proxy | None] = {}
        # aiohttp would count the wait for a free connection towards the connect timeout.
        self._slots = defaultdict[str, asyncio.Semaphore](lambda: asyncio.Semaphore(options.pool_size))
        self._session = aiohttp.ClientSession(
            connector=_Connector(limit=0, keepalive_timeout=options.keep_alive, resolver=aiohttp.ThreadedResolver()),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_LINE,
        )
        # aiohttp repeats idempotent methods by itself, and core.retry decides on repeats.
        if hasattr(self._session, "_retry_connection"):
            self._session._retry_connection = False

    @property
    def closed(self) -> bool:
        return self._session.closed

    async def exchange(self, request: Request, out: Outgoing) -> Reply:
        """Send one request and read its whole answer."""
        if out.origin not in self._proxies:
            self._proxies[out.origin] = choose_proxy(out.url, self._options)
        if out.https and self._context is None:
            self._context = self._options.ssl_context(request.operation.partition(".")[0])
        async with self._slots[out.origin]:
            proxy = self._proxies[out.origin]
            if not isinstance(request.body, Stream):
                return await self._exchange(request, out, proxy)
            return await self._send_stream(request, out, proxy, Source(request.body))

    async def _send_stream(self, request: Request, out: Outgoing, proxy: Proxy | None, source: Source) -> Reply:
        try:
            await asyncio.to_thread(source.start)
            return await self._exchange(request, out, proxy, source)
        except SourceFailed:
            pass
        finally:
            await asyncio.shield(asyncio.to_thread(source.close))
        # Out here, so that it does not drag along what the library made of it.
        assert source.error is not None
        raise source.error

    async def _exchange(
        self, request: Request, out: Outgoing, proxy: Proxy | None, source: Source | None = None
    ) -> Reply:
        exchange = _Exchange()
        _current.set(exchange)
        connect_timeout = self._options.connect_timeout
        read_timeout = request.read_timeout or self._options.read_timeout
        upload = None if source is None else _Upload(source, 2 * read_timeout)
        response: aiohttp.ClientResponse | None = None
        body: Body | None = None
        whole = False
        try:
            # Neither of aiohttp's timeouts covers the sending of a body: it gets as long as the wait for the answer.
            async with asyncio.timeout(connect_timeout + 2 * read_timeout if request.body else None) as deadline:
                if upload is not None:
                    upload.deadline = deadline
                response = await self._session.request(
                    request.method,
                    URL(out.url, encoded=True),
                    headers=out.headers if proxy is None or out.https else {**out.headers, **proxy.headers},
                    data=_data(request.body) if upload is None else upload,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(
                        connect=connect_timeout, sock_connect=connect_timeout, sock_read=read_timeout
                    ),
                    ssl=self._context if out.https and self._context is not None else True,
                    proxy=None if proxy is None else proxy.url,
                    proxy_headers=proxy.headers if proxy is not None and out.https else None,
                )
            if upload is not None:
                upload.deadline = None
            if proxy is not None and response.status == 407:
                return Failure(kind=FailureKind.PROXY, detail="it answered with 407")
            headers = Headers({n.decode("latin-1"): v.decode("latin-1") for n, v in response.raw_headers})
            body = Body(request, headers, response.status)
            async for chunk in response.content.iter_any():
                body.feed(chunk)
            reply = Response(status=response.status, headers=headers, body=body.finish(), downloaded=body.downloaded)
            whole = True
            return reply
        except DownloadError:  # our own fault, not the vendor's
            raise
        except Exception as error:  # whatever the library raises may quote the URL
            if source is not None and source.error is not None:
                raise SourceFailed from None
            return classify(
                error,
                connected=exchange.connected,
                proxied=proxy is not None,
                status=None if response is None else response.status,
            )
        finally:
            if body is not None and not whole:
                body.discard()
            if response is not None:
                # An answer may come before all of the body was sent: nothing else can follow on that connection.
                if whole and (source is None or source.exhausted):
                    response.release()
                else:
                    response.close()

    async def release(self) -> None:
        """Give up one use; the last one closes the connections."""
        self._users -= 1
        if self._users == 0:
            clients = _clients.get(asyncio.get_running_loop(), {})
            if clients.get(self._options) is self:
                del clients[self._options]
            await self._session.close()


_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[TransportOptions, Client]] = WeakKeyDictionary()


def acquire(options: TransportOptions) -> Client:
    """Return the running loop's client for these options. Each call asks for one `Client.release`."""
    clients = _clients.setdefault(asyncio.get_running_loop(), {})
    client = clients.get(options)
    if client is None:
        client = clients[options] = Client(options)
    client._users += 1
    return client


def _data(body: bytes | Stream | None) -> bytes | io.BytesIO | None:
    assert not isinstance(body, Stream)
    # aiohttp warns of large bytes, and writes files in pieces.
    return io.BytesIO(body) if body is not None and len(body) > _LARGE_BODY else body
