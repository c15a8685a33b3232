"""requests' adapter, taught to tell how far a request got. Importing this imports requests."""

from __future__ import annotations

import http.client
import logging
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from airflow_provider_messaging.core.http import Failure, FailureKind, Headers, Reply, Request, Response, Stream
from airflow_provider_messaging.transport.failures import classify
from airflow_provider_messaging.transport.options import TransportOptions
from airflow_provider_messaging.transport.proxies import Proxy
from airflow_provider_messaging.transport.sinks import DownloadError
from airflow_provider_messaging.transport.sources import Source, SourceFailed
from airflow_provider_messaging.transport.wire import Body, Outgoing

_CHUNK = 64 * 1024


@dataclass(slots=True)
class _Exchange:
    read_timeout: float
    keep_alive: float
    connected: bool = False


class _Current(threading.local):
    exchange: _Exchange | None = None


_current = _Current()


@contextmanager
def _exchanging(exchange: _Exchange) -> Iterator[None]:
    before = _current.exchange
    _current.exchange = exchange
    try:
        yield
    finally:
        _current.exchange = before


class _Discretion(logging.Filter):
    """Drops urllib3's records about our own requests, because they quote paths and queries.

    It hangs on urllib3's loggers, which are everybody's, but looks only at what the current thread is doing:
    records of other users of urllib3 in the same process pass untouched.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        return _current.exchange is None


_discretion = _Discretion()
_TALKATIVE = ("connection", "connectionpool", "poolmanager", "response", "util.retry")


class _WholeLines:
    """A reader that refuses broken lines: http.client takes the end of the stream for the end of the head."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw

    def readline(self, limit: int) -> bytes:
        line = cast(bytes, self.raw.readline(limit))
        if not line.endswith(b"\n") and len(line) < limit:
            raise http.client.RemoteDisconnected("the head broke off")
        return line

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


class _Answer(http.client.HTTPResponse):
    def begin(self) -> None:
        raw = self.fp
        self.fp = cast(Any, _WholeLines(raw))
        try:
            super().begin()
        finally:
            if self.fp is not None:
                self.fp = raw


class _Connection(HTTPConnection):
    response_class = _Answer
    _last_used = 0.0

    def connect(self) -> None:
        super().connect()
        if (exchange := _current.exchange) is not None:
            exchange.connected = True
            # urllib3 would send the body under the connect timeout.
            self.sock.settimeout(exchange.read_timeout)

    def request(self, *args: Any, **kwargs: Any) -> None:
        if (exchange := _current.exchange) is not None and self.sock is not None:
            exchange.connected = True
        super().request(*args, **kwargs)

    def getresponse(self) -> BaseHTTPResponse:  # type: ignore[override]
        self._last_used = time.monotonic()
        return super().getresponse()

    @property
    def is_connected(self) -> bool:
        exchange = _current.exchange
        expired = exchange is not None and time.monotonic() - self._last_used > exchange.keep_alive
        return not expired and super().is_connected


class _TlsConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection

    def _validate_conn(self, conn: Any) -> None:
        # Without the original's warning at each request: who switched verification off is told once, by the options.
        if conn.is_closed:
            conn.connect()


class Adapter(HTTPAdapter):
    """A pool of connections per host, to be shared between threads.

    Sessions would add what we must not have: cookies, netrc, and redirects whose body is read unbounded.
    """

    def __init__(self, options: TransportOptions, context: ssl.SSLContext | None) -> None:
        self._options = options
        self._context = context
        self._lock = threading.Lock()
        self._proxy_headers: dict[str, dict[str, str]] = {}
        for name in _TALKATIVE:
            logging.getLogger(f"urllib3.{name}").addFilter(_discretion)
        super().__init__(pool_maxsize=options.pool_size, max_retries=0, pool_block=True)

    def exchange(self, request: Request, out: Outgoing, proxy: Proxy | None) -> Reply:
        """Send one request and read its whole answer."""
        source = Source(request.body) if isinstance(request.body, Stream) else None
        try:
            return self._exchange(request, out, proxy, source)
        except SourceFailed:
            pass
        finally:
            if source is not None:
                source.close()
        # Out here, so that it does not drag along what the library made of it.
        assert source is not None
        assert source.error is not None
        raise source.error

    def _exchange(self, request: Request, out: Outgoing, proxy: Proxy | None, source: Source | None) -> Reply:
        if source is not None:
            source.start()
        read_timeout = request.read_timeout or self._options.read_timeout
        exchange = _Exchange(read_timeout, self._options.keep_alive)
        proxies = {}
        if proxy is not None:
            proxies = {"http": proxy.url, "https": proxy.url}
            self._proxy_headers[proxy.url] = proxy.headers
        raw: Any = None
        body: Body | None = None
        whole = False
        with _exchanging(exchange):
            try:
                raw = self.send(
                    _prepared(request, out, source),
                    stream=True,
                    timeout=(self._options.connect_timeout, read_timeout),
                    proxies=proxies,
                ).raw
                if proxy is not None and raw.status == 407:
                    return Failure(kind=FailureKind.PROXY, detail="it answered with 407")
                # The library's own view joins repeated headers, and decodes without a bound.
                headers = Headers(dict(raw.headers.iteritems()))
                body = Body(request, headers, raw.status)
                for chunk in raw.stream(_CHUNK, decode_content=False):
                    body.feed(chunk)
                response = Response(status=raw.status, headers=headers, body=body.finish(), downloaded=body.downloaded)
                whole = True
                return response
            except (SourceFailed, DownloadError):  # our own fault, not the vendor's
                raise
            except Exception as error:  # whatever the library raises may quote the URL
                return classify(
                    error,
                    connected=exchange.connected,
                    proxied=proxy is not None,
                    status=None if raw is None else raw.status,
                )
            finally:
                if body is not None and not whole:
                    body.discard()
                if raw is not None:
                    if not whole:
                        raw.close()
                    raw.release_conn()

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        with self._lock:
            manager = super().proxy_manager_for(proxy, proxy_ssl_context=self._context, **kwargs)
            manager.pool_classes_by_scheme = _POOLS
            return manager

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        return self._proxy_headers.get(proxy, {})

    def build_connection_pool_key_attributes(self, request: PreparedRequest, verify: Any, cert: Any = None) -> Any:
        """Leave all of TLS to our context: the libraries' releases differ in what they make of `verify`."""
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {} if self._context is None else {"ssl_context": self._context}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Add nothing: the context has all certificates."""


_POOLS = {"http": _Pool, "https": _TlsPool}


def _prepared(request: Request, out: Outgoing, source: Source | None) -> PreparedRequest:
    # Its own `prepare` would rewrite the URL: "%2E%2E" becomes "..".
    prepared = PreparedRequest()
    prepared.method = request.method
    prepared.url = out.url
    prepared.headers = CaseInsensitiveDict(out.headers)
    # No object with a `read`, which would be taken for a file and asked for its size.
    prepared.body = cast(Any, request.body if source is None else iter(source.read, b""))
    return prepared
