"""Bearer tokens: fetched once, shared, renewed before they expire and once after a refusal."""

from __future__ import annotations

import copy
import os
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from airflow_provider_messaging.core.errors import AuthenticationError, MessagingError, VendorError
from airflow_provider_messaging.core.flow import Flow, Sleep, with_headers
from airflow_provider_messaging.core.http import Request, Response

_FIRST_POLL, _LONGEST_POLL = 0.001, 0.05
"""Seconds between two looks at whether another flow has fetched the token: short at first, as tokens mostly come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token and the time (epoch seconds) from which on it is no longer used."""

    value: str = field(repr=False)
    expires_at: float
    scope: str = ""


@dataclass(slots=True)
class Fetch:
    """A call that fetches a token, as those see it who wait for that token."""

    refused: AuthenticationError | None = None


class TokenCache:
    """Tokens by key, for all hooks, threads and event loops of a process.

    Nothing waits in here: whoever finds neither a token nor the right to fetch one sleeps in its own flow. A lock
    held over a fetch would block an event loop against itself.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens: dict[Hashable, Token] = {}
        self._fetches: dict[Hashable, Fetch] = {}

    def get(self, key: Hashable) -> Token | None:
        """Return the token of `key` while it can be used."""
        with self._lock:
            token = self._tokens.get(key)
            return token if token is not None and token.expires_at > self._clock() else None

    def put(self, key: Hashable, token: Token) -> None:
        with self._lock:
            self._tokens[key] = token

    def drop(self, key: Hashable, value: str) -> None:
        """Forget the token, unless another has taken its place already."""
        with self._lock:
            token = self._tokens.get(key)
            if token is not None and token.value == value:
                del self._tokens[key]

    def claim(self, key: Hashable) -> Fetch | None:
        """Take the right to fetch the token of `key`; None while someone else has it."""
        with self._lock:
            if key in self._fetches:
                return None
            self._fetches[key] = fetch = Fetch()
            return fetch

    def under_way(self, key: Hashable) -> Fetch | None:
        """Return the fetch of the token of `key` that goes on now."""
        with self._lock:
            return self._fetches.get(key)

    def release(self, key: Hashable) -> None:
        with self._lock:
            self._fetches.pop(key, None)

    def reset(self) -> None:
        """Forget everything, and a lock or a claim that only the parent of a forked process could release."""
        self._lock = threading.Lock()
        self._tokens = {}
        self._fetches = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class BearerAuth:
    """``Authorization: Bearer …`` from a shared cache.

    :param key: identifies the credentials; must not hold them in the clear.
    :param fetch: the flow that gets a new token.
    """

    cache: TokenCache
    key: Hashable
    fetch: Callable[[], Flow[Token]]

    def token(self) -> Flow[Token]:
        """Return a token that can be used: the cached one, or a new one that only one flow fetches.

        :raises AuthenticationError: if the vendor refuses the credentials; to all who wait for the same fetch.
        """
        while (token := self.cache.get(self.key)) is None:
            fetch = self.cache.claim(self.key)
            if fetch is None:
                yield from self._wait()
                continue
            try:
                token = yield from self.fetch()
                self.cache.put(self.key, token)
                break
            except AuthenticationError as error:
                fetch.refused = error
                raise
            finally:
                self.cache.release(self.key)
        return token

    def _wait(self) -> Flow[None]:
        """Wait until another flow has fetched the token, or could not."""
        fetch = self.cache.under_way(self.key)
        if fetch is None:
            return
        pause = _FIRST_POLL
        while self.cache.under_way(self.key) is fetch:
            yield Sleep(pause, why="another call fetches the token")
            pause = min(2 * pause, _LONGEST_POLL)
        if fetch.refused is not None:
            # One by one they would be refused as well, until the vendor locks the account.
            raise copy.copy(fetch.refused) from None
        if self.cache.get(self.key) is None:
            # Whoever fails with that may be about to stop all others: they should not fail after one another.
            yield Sleep(_LONGEST_POLL, why="another call could not fetch the token")

    def authorize(self, request: Request) -> Flow[Request]:
        token = yield from self.token()
        return with_headers(request, Authorization=f"Bearer {token.value}")

    def renew(self, request: Request, response: Response) -> Request | None:
        if response.status != 401:
            return None
        self.cache.drop(self.key, request.headers["Authorization"].removeprefix("Bearer "))
        return request


def without_token(error: MessagingError, credentials: str, setting: str) -> MessagingError:
    """Return what to raise where no token was given: the credentials are wrong if they, or the request, were refused.

    The vendor's own words, which may repeat the credentials, are left out then.

    :param credentials: what was shown, for instance ``client id and secret``.
    :param setting: where the connection has them.
    """
    refused = isinstance(error, AuthenticationError) or (isinstance(error, VendorError) and error.status in {400, 422})
    if not refused:
        return error
    return AuthenticationError(
        f"the vendor gives no token for this {credentials}",
        vendor=error.vendor,
        operation=error.operation,
        connection=error.connection,
        setting=setting,
        trace_id=error.trace_id,
    )


TOKENS = TokenCache()
"""The tokens of this process."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=TOKENS.reset)
