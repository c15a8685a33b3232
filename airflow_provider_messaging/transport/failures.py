"""Telling apart, by their innermost cause, the exceptions of the HTTP libraries.

Their texts hold URLs, and a URL may hold a key: only class names and error numbers get out of here.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
from collections.abc import Iterator

from airflow_provider_messaging.core.http import Failure, FailureKind
from airflow_provider_messaging.transport.wire import Broken, TooLarge

# A TLS 1.3 server judges the client's certificate when the handshake is already over for the client: its refusal
# is the first thing read. No server reads a request before that.
_HANDSHAKE_ALERT = re.compile(r"ALERT.*(CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED|HANDSHAKE_FAILURE)")
_TUNNEL_REFUSED = re.compile(r"Tunnel connection failed: (\d{3})")
_LOST = frozenset({"ServerDisconnectedError"})  # aiohttp's, no OSError
_STANDARD = frozenset({"builtins", "socket", "ssl"})
_EAI_NAMES = {getattr(socket, name): name for name in dir(socket) if name.startswith("EAI_")}


def classify(error: BaseException, *, connected: bool, proxied: bool, status: int | None = None) -> Failure:
    """Return the failure behind an exception.

    :param connected: whether the connection stood, TLS included, so that bytes of the request may have left.
    :param status: the answer's, where its head had arrived.
    """
    if isinstance(error, TooLarge):
        return Failure(kind=FailureKind.TOO_LARGE, status=status)
    if isinstance(error, Broken):
        return Failure(kind=FailureKind.BODY, detail=str(error), status=status)
    chain = list(_causes(error))
    leaf = chain[-1]
    if not connected:
        return Failure(kind=_before_sending(leaf, proxied), detail=_tunnel_refusal(chain) or describe(leaf))
    if isinstance(leaf, TimeoutError):
        return Failure(kind=FailureKind.READ_TIMEOUT, detail=describe(leaf), status=status)
    if status is not None:
        # Each library has a name of its own for an early end, which says no more than the kind does.
        detail = describe(leaf) if isinstance(leaf, OSError) else ""
        return Failure(kind=FailureKind.BODY, detail=detail, status=status)
    return Failure(kind=_before_the_answer(leaf), detail=describe(leaf))


def describe(error: BaseException) -> str:
    """Return the error's class, the standard library's where it has one, and its number's name. Never its text."""
    name = _class_name(error)
    if isinstance(error, ssl.SSLError):
        # Errors that were not raised by OpenSSL lack these.
        parts = (name, getattr(error, "reason", None), getattr(error, "verify_message", None))
        return ", ".join(part for part in parts if part)
    if isinstance(error, OSError) and error.errno is not None:
        names = _EAI_NAMES if isinstance(error, socket.gaierror) else errno.errorcode
        return f"{name}, {names.get(error.errno, error.errno)}"
    return name


def _class_name(error: BaseException) -> str:
    if type(error).__name__ in _LOST:
        return "ConnectionResetError"
    if isinstance(error, OSError):
        return next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ in _STANDARD)
    return type(error).__name__


def _before_sending(leaf: BaseException, proxied: bool) -> FailureKind:
    # A handshake that is cut off may well succeed the next time, unlike one that fails over a certificate.
    if isinstance(leaf, ssl.SSLError) and not isinstance(leaf, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return FailureKind.TLS
    if proxied:
        return FailureKind.PROXY
    if isinstance(leaf, socket.gaierror):
        return FailureKind.DNS
    if isinstance(leaf, TimeoutError):
        return FailureKind.CONNECT_TIMEOUT
    return FailureKind.REFUSED if isinstance(leaf, OSError) else FailureKind.OTHER


def _before_the_answer(leaf: BaseException) -> FailureKind:
    if isinstance(leaf, ssl.SSLError) and _HANDSHAKE_ALERT.search(getattr(leaf, "reason", None) or ""):
        return FailureKind.TLS
    lost = isinstance(leaf, OSError) or type(leaf).__name__ in _LOST
    return FailureKind.RESET if lost else FailureKind.OTHER


def _tunnel_refusal(chain: list[BaseException]) -> str:
    for error in chain:
        if type(error).__name__ == "ClientHttpProxyError":
            return f"CONNECT answered with {getattr(error, 'status', 0)}"
        if found := _TUNNEL_REFUSED.match(str(error.args[0]) if error.args else ""):
            return f"CONNECT answered with {found[1]}"
    return ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk inwards.

    `__context__` is left out: it may be what the caller was handling when we were called. So is a timeout's
    CancelledError, which is no Exception.
    """
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        inner = (
            current.__cause__,
            getattr(current, "reason", None),
            getattr(current, "os_error", None),
            *current.args,
        )
        current = next((cause for cause in inner if isinstance(cause, Exception)), None)
