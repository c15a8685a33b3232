"""Calls as generators: they yield what is to be done and receive what came of it.

A flow yields a `Request`, a `Sleep` or an `Emit`. The driver (`transport.sync`, `transport.aio`) sends back a
`Response` or a `Failure` for a request and nothing for the others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import quote

from airflow_provider_messaging.core.endpoint import Endpoint, Evidence, Safety
from airflow_provider_messaging.core.errors import (
    AmbiguousDeliveryError,
    AuthenticationError,
    FieldError,
    MessagingError,
    RateLimitedError,
    VendorError,
)
from airflow_provider_messaging.core.http import Failure, Reply, Request, Response, Stream
from airflow_provider_messaging.core.retry import Backoff, RetryPolicy, retry_after

T = TypeVar("T")

_PLAIN = re.compile(r"[\w.~-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait that many seconds. `why` is for the log; `throttled` says that the vendor asked to slow down."""

    seconds: float
    why: str = ""
    throttled: bool = False


@dataclass(frozen=True, slots=True)
class Emit(Generic[T]):
    """Hand one value to whoever iterates over the flow."""

    value: T


Flow = Generator[Request | Sleep | Emit[Any], Reply | None, T]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A vendor's error document, read."""

    message: str = ""
    code: str = ""
    trace_id: str = ""
    errors: tuple[tuple[int | None, FieldError], ...] = ()
    setting: str = ""
    """What to change, where the answer says so."""
    credentials: bool = False
    """The answer refuses the credentials, whatever its status."""


class Auth(Protocol):
    """Adds credentials to requests; written as flows, since that may need requests of its own."""

    def authorize(self, request: Request) -> Flow[Request]:
        """Return the request with credentials."""
        ...

    def renew(self, request: Request, response: Response) -> Request | None:
        """Return the request to authorize and send next, None where `response` does not ask for other credentials.

        :param request: the request as it was sent.
        """
        ...


class NoAuth:
    """For public operations."""

    def authorize(self, request: Request) -> Flow[Request]:
        return request
        yield  # type: ignore[unreachable]  # makes it a generator

    def renew(self, request: Request, response: Response) -> Request | None:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """One vendor's API as one connection reaches it; builds the flows of its calls."""

    vendor: str
    connection: str
    base_url: str
    auth: Auth = field(repr=False)
    read_problem: Callable[[Response], Problem]
    overrides: Mapping[str, str] = field(default_factory=dict, repr=False)
    retry: RetryPolicy = RetryPolicy()
    redact: Callable[[str], str] = field(default=str, repr=False)
    """Takes the connection's secrets out of texts that the vendor wrote."""

    def request(
        self,
        endpoint: Endpoint,
        *,
        segments: Mapping[str, str] | None = None,
        params: Mapping[str, object] | None = None,
        body: bytes | Stream | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Request:
        """Build the request of an endpoint. Parameters that are None are left out."""
        try:
            url = endpoint.url(self.base_url, self.overrides, **(segments or {}))
        except MessagingError as error:
            error.connection = self.connection
            raise
        return Request(
            method=endpoint.method,
            url=with_query(url, params),
            operation=endpoint.operation,
            headers={"Accept": "application/json", "Content-Type": "application/json", **(headers or {})},
            body=body,
            **options,
        )

    def call(self, endpoint: Endpoint, **parts: Any) -> Flow[Response]:
        """Build and make a call: see `request` for the parts and `perform` for the outcome."""
        return self.perform(endpoint, self.request(endpoint, **parts))

    def perform(self, endpoint: Endpoint, request: Request) -> Flow[Response]:
        """Send `request` with credentials, mend them once, wait and repeat as the endpoint's safety allows.

        :raises AmbiguousDeliveryError: if an UNSAFE request may have been taken.
        :raises AuthenticationError: on 401 and 403 that renewed credentials do not mend.
        :raises RateLimitedError: if the vendor still throttles when the budget is spent.
        :raises VendorError: for every other error.
        """
        reply = yield from self.exchange(endpoint, request)
        if isinstance(reply, Response) and reply.ok:
            return reply
        raise self.error(endpoint, reply)

    def call_or_none(self, endpoint: Endpoint, **parts: Any) -> Flow[Response | None]:
        """Like `call`, but return None where the vendor answers 404."""
        try:
            return (yield from self.call(endpoint, **parts))
        except VendorError as error:
            # Where tokens come from may be what is not there: that says nothing about what was asked for.
            if error.status == 404 and error.operation == endpoint.name:
                return None
            raise

    def exchange(self, endpoint: Endpoint, request: Request) -> Flow[Reply]:
        """Like `perform`, but hand back the last reply whatever it is."""
        backoff = Backoff(self.retry)
        refused: set[int] = set()
        while True:
            try:
                authorized = yield from self.auth.authorize(request)
            except AuthenticationError as error:
                error.connection = self.connection  # another one with the same credentials may have been refused
                raise
            reply = yield authorized
            assert reply is not None
            if isinstance(reply, Response) and reply.status not in refused:
                renewed = self.auth.renew(authorized, reply)
                if renewed is not None:
                    refused.add(reply.status)
                    request = renewed
                    continue
            pause = backoff.pause(reply, endpoint.safety)
            if pause is None:
                return reply
            throttled = reply.status in {429, 503}
            yield Sleep(pause, why=f"{endpoint.operation}: {describe(reply)}", throttled=throttled)

    def error(self, endpoint: Endpoint, reply: Reply) -> MessagingError:
        """Return the error of an unsuccessful reply."""
        where: dict[str, Any] = {
            "vendor": self.vendor,
            "operation": endpoint.name,
            "connection": self.connection,
        }
        problem = Problem() if isinstance(reply, Failure) else self.read_problem(reply)
        where["trace_id"] = self.redact(problem.trace_id)
        if may_have_been_taken(reply, endpoint.safety):
            return AmbiguousDeliveryError(
                f"{describe(reply)}: the request may have been taken; it was not repeated", **where
            )
        if isinstance(reply, Failure):
            return VendorError(str(reply), status=reply.status, retryable=True, **where)
        text = f"HTTP {reply.status}" + (f", {self.redact(problem.message)}" if problem.message else "")
        if reply.status in {401, 403} or problem.credentials:
            return AuthenticationError(
                f"{text}: the vendor refuses the credentials, or they lack the scope for this operation",
                setting=problem.setting or "login, password and scopes of the connection",
                **where,
            )
        if reply.status in {429, 503}:
            return RateLimitedError(
                f"{text}: still throttled when the attempts or the waiting time of this call were used up; it was not "
                "taken",
                retry_after=retry_after(reply.headers),
                setting="rate_limit or max_concurrency of the task, or the connection's extras 'retry_attempts' and "
                "'retry_budget'",
                **where,
            )
        if problem.setting:
            where["setting"] = problem.setting
        elif reply.status in {404, 405} and endpoint.evidence is Evidence.UNPUBLISHED:
            default = f"extra 'endpoints' → {endpoint.name!r} (its path is unpublished, ours is a default)"
            where["setting"] = endpoint.setting or default
        elif 300 <= reply.status < 400:
            text += ": redirects are not followed"
            where["setting"] = "host of the connection"
        return VendorError(
            text,
            status=reply.status,
            code=self.redact(problem.code),
            errors=problem.errors,
            retryable=reply.status >= 500 or reply.status == 408,
            **where,
        )

    def unreadable(
        self, endpoint: Endpoint, response: Response, what: str = "the answer is not the documented JSON"
    ) -> VendorError:
        """Return the error of a successful answer that can't be understood."""
        taken = endpoint.safety is Safety.UNSAFE
        return VendorError(
            f"the vendor took the request, but {what}: it must not be repeated" if taken else what,
            status=response.status,
            vendor=self.vendor,
            operation=endpoint.name,
            connection=self.connection,
            retryable=not taken,
        )


def each(flow: Flow[T], action: Callable[[Any], None]) -> Flow[T]:
    """Run `flow` as part of another and give what it emits to `action` instead of the driver."""
    reply: Reply | None = None
    try:
        while True:
            step = flow.send(reply)
            if isinstance(step, Emit):
                action(step.value)
                reply = None
            else:
                reply = yield step
    except StopIteration as end:
        value: T = end.value
        return value
    finally:
        flow.close()


def may_have_been_taken(reply: Reply, safety: Safety) -> bool:
    """Tell whether an UNSAFE request without a clear answer may have acted all the same."""
    if safety is not Safety.UNSAFE:
        return False
    status = reply.status
    if status is None:
        return isinstance(reply, Failure) and not reply.kind.surely_not_taken
    if 200 <= status < 300:
        return isinstance(reply, Failure)
    return status == 408 or (status >= 500 and status != 503)


def describe(reply: Reply) -> str:
    """Return a short text without anything of the request."""
    return str(reply) if isinstance(reply, Failure) else f"HTTP {reply.status}"


def with_query(url: str, params: Mapping[str, object] | None) -> str:
    """Append the parameters that are not None, percent-encoded, ``$`` kept as vendors write it."""
    pairs = [
        f"{_escaped(name, '$@')}={_escaped(_text(value), '')}"
        for name, value in (params or {}).items()
        if value is not None
    ]
    if not pairs:
        return url
    return url + ("&" if "?" in url else "?") + "&".join(pairs)


def with_headers(request: Request, **headers: str) -> Request:
    """Return the request with more headers."""
    return replace(request, headers={**request.headers, **headers})


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _escaped(text: str, safe: str) -> str:
    # Most need no escaping, which is told in a tenth of the time.
    return text if _PLAIN.fullmatch(text) else quote(text, safe=safe)
