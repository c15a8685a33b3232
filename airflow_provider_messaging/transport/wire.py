"""What both drivers put on the wire and take from it, byte for byte alike."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import SplitResult, quote, urlsplit

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.core.http import MEBIBYTE, Headers, Request, Stream
from airflow_provider_messaging.transport.options import TransportOptions
from airflow_provider_messaging.transport.sinks import File, Memory

_PATH_SAFE = "!$&'()*+,;=:@/%"
_QUERY_SAFE = _PATH_SAFE + "?"
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})?")
_LONGEST_PROBLEM = 64 * MEBIBYTE
_LARGEST_PIECE = MEBIBYTE
_NO_BODY_EXPECTED = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


@dataclass(frozen=True, slots=True, repr=False)
class Outgoing:
    """A request as it is sent: ASCII URL without fragment, all headers but ``Host``."""

    url: str
    origin: str
    https: bool
    headers: dict[str, str]


def outgoing(request: Request, options: TransportOptions) -> Outgoing:
    """Prepare a request. Percent-encoding is kept, what lacks it gets it.

    :raises ConfigurationError: if the URL or a header can't be sent; nothing was.
    """
    vendor, _, operation = request.operation.partition(".")

    def wrong(problem: str, setting: str) -> ConfigurationError:
        return ConfigurationError(problem, vendor=vendor, operation=operation, setting=setting)

    target = _target(request.url)
    if isinstance(target, str):
        raise wrong(target, "host of the connection")
    url, origin, https = target
    headers = {"User-Agent": options.user_agent, "Accept-Encoding": "gzip", **request.headers}
    if isinstance(request.body, Stream):
        # Without a length both libraries chunk it, and say so by themselves.
        if request.body.length is not None:
            headers["Content-Length"] = str(request.body.length)
    elif request.body is not None:
        headers["Content-Length"] = str(len(request.body))
    elif request.method.upper() not in _NO_BODY_EXPECTED:
        headers["Content-Length"] = "0"
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            raise wrong(f"the header {name!r} holds characters that HTTP can't carry", "login, password or extra")
    return Outgoing(url, origin, https, headers)


@lru_cache(maxsize=4)
def _target(url: str) -> tuple[str, str, bool] | str:
    """Return the URL as it is sent, its origin and whether that is HTTPS, or what is wrong with it.

    Polls, and the batches of a send, go to the same URL again and again.
    """
    try:
        parts = urlsplit(url)
        netloc = _netloc(parts)
    except ValueError:  # it quotes the URL, and would stay with ours as its context
        return "the URL is malformed"
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return "the URL must start with http:// or https:// and a host"
    if parts.username is not None:
        return "the URL must not hold credentials"
    origin = f"{parts.scheme}://{netloc}"
    query = "?" + _encoded(parts.query, _QUERY_SAFE) if parts.query else ""
    return origin + (_encoded(parts.path, _PATH_SAFE) or "/") + query, origin, parts.scheme == "https"


def _netloc(parts: SplitResult) -> str:
    host, port = parts.hostname or "", parts.port
    if not host.isascii():
        host = host.encode("idna").decode("ascii")
    if ":" in host:
        host = f"[{host}]"
    return host if port is None else f"{host}:{port}"


def _encoded(text: str, safe: str) -> str:
    escaped = _ESCAPE.sub(lambda found: found[0].upper() if found[1] else "%25", text)
    return quote(escaped, safe=safe)


class TooLarge(Exception):
    """The answer is longer than the request allows."""


class Broken(Exception):
    """The answer's content encoding is damaged or unknown."""


class Body:
    """An answer's body as it arrives, decoded, never more bytes than the request allows.

    It is kept in memory, or goes to the request's file where the answer is a success.

    :raises TooLarge: if the announced length is too much already.
    :raises Broken: if the content encoding is unknown.
    :raises DownloadError: if the file can't be written, from every method.
    """

    def __init__(self, request: Request, headers: Headers, status: int = 200) -> None:
        path = request.download_to if 200 <= status < 300 else None
        limit = request.max_response_bytes
        # The limit of a download is meant for the file, not for an error document.
        self._limit = limit = limit if path or request.download_to is None else min(limit, _LONGEST_PROBLEM)
        self._size = 0
        encoding = headers.get("content-encoding", "").strip().lower()
        self._coded = encoding in {"gzip", "x-gzip", "deflate"}
        if not self._coded and encoding not in {"", "identity"}:
            raise Broken("unknown content encoding")
        # 32 + MAX_WBITS takes the gzip as well as the zlib format.
        self._inflate = zlib.decompressobj(32 + zlib.MAX_WBITS)
        self._open = False
        self._members = 0
        announced = headers.get("content-length", "")
        if request.method != "HEAD" and not self._coded and announced.isdecimal() and int(announced) > limit:
            raise TooLarge
        self._downloads = path is not None
        self._sink: Memory | File = Memory() if path is None else File(path)

    def feed(self, data: bytes) -> None:
        """:raises TooLarge: when the decoded body exceeds the limit.
        :raises Broken: if it can't be decoded.
        """
        if not self._coded:
            self._add(data)
            return
        while data:
            if not self._open and self._members and not (data := data.lstrip(b"\0")):
                return  # padding after the last member
            self._open = True
            data = self._unpack(data)
            if self._inflate.eof:
                data = self._inflate.unused_data
                self._inflate = zlib.decompressobj(32 + zlib.MAX_WBITS)
                self._open = False
                self._members += 1

    def _unpack(self, data: bytes) -> bytes:
        """Decode up to the end of a member, in pieces of bounded size, and return what is not used up."""
        full = True
        while (data or full) and not self._inflate.eof:
            room = min(_LARGEST_PIECE, self._limit - self._size + 1)
            try:
                piece = self._inflate.decompress(data, room)
            except zlib.error:
                raise Broken("damaged content encoding") from None
            self._add(piece)
            # A full piece may have left decoded bytes behind even where all input is used up.
            full = len(piece) == room
            data = self._inflate.unconsumed_tail
        return data

    def _add(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._limit:
            raise TooLarge
        self._sink.write(data)

    def finish(self) -> bytes:
        """Return the body, nothing where it went to a file.

        :raises Broken: if the compressed stream has no end.
        """
        if self._open:
            raise Broken("the content encoding breaks off")
        return self._sink.finish()

    @property
    def downloaded(self) -> int | None:
        """Bytes that went to the request's file, None where it was not used."""
        return self._size if self._downloads else None

    def discard(self) -> None:
        """Forget what came so far, after a failure."""
        self._sink.discard()
