"""Who may post, how much, and how slowly: judged before anything is parsed or stored."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Mapping, Sequence
from hashlib import blake2b

from starlette.requests import ClientDisconnect, Request

SECRET_HEADER = "x-webhook-secret"
_BEARER = "bearer "
_BUFFERED_REQUESTS = 64
"""All bodies at hand may take the memory of so many that are as large as they may be."""
_DISCARDED_BYTES = 4_000_000
_DISCARDED_SECONDS = 5.0


class Refused(Exception):
    """The request is answered with an error, and nothing of it is stored.

    :param reason: for the metrics.
    :param detail: for the sender; no values of the request, no secrets.
    """

    def __init__(self, status: int, reason: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.detail = detail
        self.headers = dict(headers or {})


def too_busy(reason: str, detail: str) -> Refused:
    return Refused(503, reason, detail, {"Retry-After": "1"})


class Secrets:
    """The secrets that a sender may show. Comparing takes as long whatever is wrong."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._digests = [_digest(secret) for secret in secrets]

    def check(self, request: Request) -> None:
        """Look for a secret in ``X-Webhook-Secret``, or as bearer in ``Authorization``.

        :raises Refused: 401, if there is none that is valid.
        """
        shown = request.headers.get(SECRET_HEADER)
        if shown is None:
            authorization = request.headers.get("authorization", "")
            shown = authorization[len(_BEARER) :] if authorization[: len(_BEARER)].lower() == _BEARER else ""
        digest = _digest(shown.strip())
        # All of them, always; digests, so that lengths do not matter either.
        if not sum([hmac.compare_digest(digest, each) for each in self._digests]):
            raise Refused(401, "secret", "the secret is missing or wrong", {"WWW-Authenticate": "Bearer"})


class Door:
    """Bounds how many requests are inside, and how much of their bodies.

    :param most_requests: at the same time.
    :param most_bytes: of one body.
    :param seconds: that a body may take.
    """

    def __init__(self, *, most_requests: int, most_bytes: int, seconds: float) -> None:
        self._most_requests = most_requests
        self._most_bytes = most_bytes
        self._seconds = seconds
        self._most_buffered = most_bytes * _BUFFERED_REQUESTS
        self.inside = 0
        self._buffered = 0

    def enter(self) -> None:
        """Count a request in.

        :raises Refused: 503, if there are too many.
        """
        if self.inside >= self._most_requests:
            raise too_busy("busy", "too many requests at the same time")
        self.inside += 1

    def leave(self, body: int) -> None:
        """Count a request out, and its body of so many bytes."""
        self.inside -= 1
        self._buffered -= body

    async def read(self, request: Request) -> bytes:
        """Return the body; it counts until `leave`.

        :raises Refused: 413, if it is too large; 408, if it takes too long; 503, if there is no room for it.
        """
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._most_bytes:
            raise self._too_large()
        body = bytearray()
        try:
            async with asyncio.timeout(self._seconds):
                async for chunk in request.stream():
                    if len(body) + len(chunk) > self._most_bytes:
                        raise self._too_large()
                    if self._buffered + len(chunk) > self._most_buffered:
                        raise too_busy("busy", "too many large requests at the same time")
                    body += chunk
                    self._buffered += len(chunk)
        except BaseException as error:
            self._buffered -= len(body)
            if isinstance(error, TimeoutError):
                raise Refused(408, "slow", f"the body took longer than {self._seconds:g} seconds") from None
            if isinstance(error, ClientDisconnect):
                raise Refused(400, "disconnected", "the sender hung up") from None
            raise
        return bytes(body)

    def _too_large(self) -> Refused:
        return Refused(413, "too_large", f"the body is larger than {self._most_bytes} bytes")


async def discard(request: Request) -> None:
    """Read what a refused sender is still sending, for a while: he does not see the answer before."""
    most = _DISCARDED_BYTES
    try:
        async with asyncio.timeout(_DISCARDED_SECONDS):
            async for chunk in request.stream():
                most -= len(chunk)
                if most < 0:
                    return
    except (TimeoutError, ClientDisconnect, RuntimeError):
        return


def _digest(secret: str) -> bytes:
    return blake2b(secret.encode("utf-8", "surrogatepass")).digest()
