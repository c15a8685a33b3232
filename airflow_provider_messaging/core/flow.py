"""Calls as generators: they yield what is to be done and receive what came of it.

A flow yields a `Request`, a `Sleep` or an `Emit`. The driver (`transport.sync`, `transport.aio`) sends back a
`Response` or a `Failure` for a request and nothing for the others.
"""

from __future__ import annotations

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
from airflow_provider_messaging.core.http import Failure, Reply, Request, Response
from airflow_provider_messaging.core.retry import Backoff, RetryPolicy, retry_after

T = TypeVar("T")


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


class Auth(Protocol):
    """Adds credentials to requests; written as flows, since that may need requests of its own."""

    def authorize(self, request: Request) -> Flow[Request]:
        """Return the request with credentials."""
        ...

    def renew(self, request: Request, response: Response) -> bool:
        """Tell whether `response` refused the credentials and another `authorize` may bring better ones."""
        ...


class NoAuth:
    """For public operations."""

    def authorize(self, request: Request) -> Flow[Request]:
        return request
        yield  # type: ignore[unreachable]  # makes it a generator

    def renew(self, request: Request, response: Response) -> bool:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """One vendor's API as one connection reaches it; builds the flows of its calls."""

    vendor: str
    connection: str
    base_url: str
    auth: Auth = field(repr=False)
    read_problem: Callable[[Response], Problem]
    overrides: Mapping[str, str] = field(default_factory=dict)
    retry: RetryPolicy = RetryPolicy()
    redact: Callable[[str], str] = field(default=str, repr=False)
    """Takes the connection's secrets out of texts that the vendor wrote."""

    def request(
        self,
        endpoint: Endpoint,
        *,
        segments: Mapping[str, str] | None = None,
        params: Mapping[str, object] | None = None,
        body: bytes | None = None,
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
        """Send `request` with credentials, renew them once, wait and repeat as the endpoint's safety allows.

        :raises AmbiguousDeliveryError: if an UNSAFE request may have been taken.
        :raises AuthenticationError: on 401 and 403 that renewed credentials do not mend.
        :raises RateLimitedError: if the vendor still throttles when the budget is spent.
        :raises VendorError: for every other error.
        """
        reply = yield from self.exchange(endpoint, request)
        if isinstance(reply, Response) and reply.ok:
            return reply
        raise self.error(endpoint, reply)

    def exchange(self, endpoint: Endpoint, request: Request) -> Flow[Reply]:
        """Like `perform`, but hand back the last reply whatever it is."""
        backoff = Backoff(self.retry)
        renewed = False
        while True:
            authorized = yield from self.auth.authorize(request)
            reply = yield authorized
            assert reply is not None
            if isinstance(reply, Response) and not renewed and self.auth.renew(authorized, reply):
                renewed = True
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
        if may_have_been_taken(reply, endpoint.safety):
            return AmbiguousDeliveryError(f"{describe(reply)}: the request may have been taken", **where)
        if isinstance(reply, Failure):
            return VendorError(str(reply), status=reply.status, retryable=True, **where)
        problem = self.read_problem(reply)
        text = f"HTTP {reply.status}" + (f", {self.redact(problem.message)}" if problem.message else "")
        if reply.status in {401, 403}:
            return AuthenticationError(
                f"{text}: the vendor refuses the credentials, or they lack the scope for this operation",
                setting="login, password and scopes of the connection",
                **where,
            )
        if reply.status in {429, 503}:
            return RateLimitedError(
                f"{text}: still throttled after {self.retry.max_attempts} attempts",
                retry_after=retry_after(reply.headers),
                **where,
            )
        if reply.status in {404, 405} and endpoint.evidence is Evidence.UNPUBLISHED:
            where["setting"] = f"extra 'endpoints' → {endpoint.name!r} (its path is unpublished, ours is a default)"
        elif 300 <= reply.status < 400:
            text += ": redirects are not followed"
            where["setting"] = "host of the connection"
        return VendorError(
            text,
            status=reply.status,
            code=problem.code,
            trace_id=problem.trace_id,
            errors=problem.errors,
            retryable=reply.status >= 500 or reply.status == 408,
            **where,
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
        f"{quote(name, safe='$@')}={quote(_text(value), safe='')}"
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
