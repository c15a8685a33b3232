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
_EAI_NAMES = {getattr(socket, name): name for name in dir(socket) if name.startswith("EAI_")}


def classify(
    error: BaseException, *, connected: bool, proxied: bool, https: bool, status: int | None = None
) -> Failure:
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
        return Failure(kind=_before_sending(leaf, proxied, https), detail=_tunnel_refusal(chain) or describe(leaf))
    if isinstance(leaf, TimeoutError):
        return Failure(kind=FailureKind.READ_TIMEOUT, detail=describe(leaf), status=status)
    if status is not None:
        return Failure(kind=FailureKind.BODY, detail=describe(leaf), status=status)
    return Failure(kind=_before_the_answer(leaf), detail=describe(leaf))


def describe(error: BaseException) -> str:
    """Return the error's class and, where there is one, its number's name. Never its text."""
    name = type(error).__name__
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{name}, {error.reason}, verify code {error.verify_code}: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"{name}, {error.reason}" if error.reason else name
    if isinstance(error, OSError) and error.errno is not None:
        names = _EAI_NAMES if isinstance(error, socket.gaierror) else errno.errorcode
        return f"{name}, {names.get(error.errno, error.errno)}"
    return name


def _before_sending(leaf: BaseException, proxied: bool, https: bool) -> FailureKind:
    if isinstance(leaf, ssl.SSLError):
        return FailureKind.TLS
    if proxied:
        return FailureKind.PROXY
    if isinstance(leaf, socket.gaierror):
        return FailureKind.DNS
    if isinstance(leaf, TimeoutError):
        return FailureKind.CONNECT_TIMEOUT
    if https and isinstance(leaf, ConnectionResetError | BrokenPipeError):
        return FailureKind.TLS
    return FailureKind.REFUSED if isinstance(leaf, OSError) else FailureKind.OTHER


def _before_the_answer(leaf: BaseException) -> FailureKind:
    if isinstance(leaf, ssl.SSLError) and _HANDSHAKE_ALERT.search(leaf.reason or ""):
        return FailureKind.TLS
    lost = isinstance(leaf, OSError) or type(leaf).__name__ == "ServerDisconnectedError"
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
