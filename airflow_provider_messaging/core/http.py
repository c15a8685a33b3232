"""Requests, responses and failures as frozen values. Nothing here opens a socket."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any

import msgspec

from airflow_provider_messaging.core.errors import StorageError

MEBIBYTE = 1024 * 1024


class Headers(Mapping[str, str]):
    """Header names without regard to case; the last value of a name wins."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = {name.lower(): value for name, value in (values or {}).items()}

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Headers({sorted(self._values)})"


@dataclass(frozen=True, slots=True)
class Stream:
    """A body that is read while it is sent, from its start at each attempt, so that memory stays flat.

    `open` returns an iterator over the pieces; one with a ``close`` is closed when the attempt is over. With a `length`
    in bytes the request has a ``Content-Length``, without one it is chunked.

    An error of the source is raised as it is, by both drivers: it is ours, not the vendor's. The request lacks its end
    then, and its connection is closed, so nothing was taken and a retry is safe.
    """

    open: Callable[[], Iterator[bytes]]
    length: int | None = None

    def read(self) -> Generator[bytes, None, None]:
        """Open the source and yield its pieces, none of them empty.

        :raises StorageError: if it has not as many bytes as `length` says, at the first byte too many or at its end.
        """
        pieces = self.open()
        size = 0
        try:
            for piece in pieces:
                size += len(piece)
                if self.length is not None and size > self.length:
                    raise StorageError(f"the source has more than the {self.length} bytes it was said to have")
                if piece:
                    yield piece
        finally:
            if (close := getattr(pieces, "close", None)) is not None:
                close()
        if self.length is not None and size < self.length:
            raise StorageError(f"the source has {size} bytes, not the {self.length} it was said to have")

    def __repr__(self) -> str:
        return f"<Stream of {'an unknown number of' if self.length is None else self.length} bytes>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request. Its repr names the operation only: URLs, headers and bodies may hold secrets."""

    method: str
    url: str
    operation: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Stream | None = None
    read_timeout: float | None = None
    """Seconds to wait for the answer; None takes the connection's."""
    max_response_bytes: int = 64 * MEBIBYTE
    """A longer answer is a `Failure` of kind `TOO_LARGE`."""
    download_to: str | None = None
    """A local file that the body of a 2xx answer is streamed to, whole or not at all; None keeps it in memory."""

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.operation}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One complete HTTP answer."""

    status: int
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""
    downloaded: int | None = None
    """Bytes that were written to `Request.download_to`; None where the body is kept in `body`."""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def clock_offset(self, now: datetime) -> timedelta:
        """Return how far the server's clock is ahead of ours, by its ``Date`` header.

        The header has whole seconds and was underway for a while: less than two seconds, or no header, is 0.
        """
        try:
            offset = parsedate_to_datetime(self.headers["date"]).replace(tzinfo=UTC) - now
        except (KeyError, ValueError, OverflowError):
            return timedelta(0)
        return offset if abs(offset) >= timedelta(seconds=2) else timedelta(0)

    def json(self) -> Any:
        """Return the decoded body.

        :raises ValueError: if the body is not JSON.
        """
        try:
            return msgspec.json.decode(self.body)
        except RecursionError:
            raise ValueError("nested too deeply") from None
        except msgspec.DecodeError as error:  # a ValueError since msgspec 0.21
            raise ValueError(str(error)) from None

    def json_or_none(self) -> Any:
        """Return the decoded body, None if it is not JSON."""
        try:
            return self.json()
        except ValueError:
            return None

    def __repr__(self) -> str:
        size = len(self.body) if self.downloaded is None else self.downloaded
        return f"<Response {self.status}, {size} bytes>"


class FailureKind(Enum):
    """Why there is no complete answer. `surely_not_taken` is the line between a safe repeat and an ambiguous one."""

    DNS = "the host name could not be resolved"
    REFUSED = "the connection was refused"
    CONNECT_TIMEOUT = "no connection within the connect timeout"
    TLS = "the TLS handshake failed"
    PROXY = "the proxy could not be used"
    READ_TIMEOUT = "no answer within the read timeout"
    RESET = "the connection was lost before the answer came"
    BODY = "the answer broke off in the middle"
    TOO_LARGE = "the answer is larger than allowed"
    OTHER = "the request failed"

    @property
    def surely_not_taken(self) -> bool:
        """True when no byte of the request can have reached the vendor's application."""
        return self in _BEFORE_SENDING


_BEFORE_SENDING = frozenset(
    {FailureKind.DNS, FailureKind.REFUSED, FailureKind.CONNECT_TIMEOUT, FailureKind.TLS, FailureKind.PROXY}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A request without a complete answer."""

    kind: FailureKind
    detail: str = ""
    """The innermost error, free of URLs."""
    status: int | None = None
    """The status, where the head of the answer had arrived (`BODY`, `TOO_LARGE`)."""

    def __str__(self) -> str:
        return f"{self.kind.value} ({self.detail})" if self.detail else self.kind.value


Reply = Response | Failure
