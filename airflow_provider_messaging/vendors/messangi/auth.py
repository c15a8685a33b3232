"""API keys, logging in, and the answer to 402 (the vendor page's "Status Codes" and "Making Requests")."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from airflow_provider_messaging.core.auth import TOKENS, BearerAuth, Token, TokenCache
from airflow_provider_messaging.core.flow import Api, Auth, Flow, NoAuth, with_headers
from airflow_provider_messaging.core.http import Request, Response
from airflow_provider_messaging.core.retry import RetryPolicy
from airflow_provider_messaging.vendors.messangi.config import MessangiConfig
from airflow_provider_messaging.vendors.messangi.endpoints import LOGIN, VENDOR
from airflow_provider_messaging.vendors.messangi.problems import read_login_problem

LIFE = 86_400.0
"""Seconds for which the token of a login is valid."""
MARGIN = 300.0
"""Seconds before its end from which on a token is no longer used."""
TWO_FACTOR_HEADER = "CB-2FA-Token"
_SCHEME = "bearer "


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyAuth:
    """``Authorization: Bearer …`` with a key that nothing here can renew."""

    key: str = field(repr=False)

    def authorize(self, request: Request) -> Flow[Request]:
        return with_headers(request, Authorization=f"Bearer {self.key}")
        yield  # type: ignore[unreachable]  # makes it a generator

    def renew(self, request: Request, response: Response) -> Request | None:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoFactorAuth:
    """Answers a 402 with the user's two-factor token, once; everything else is left to `inner`."""

    inner: Auth
    token: str = field(repr=False)

    def authorize(self, request: Request) -> Flow[Request]:
        return self.inner.authorize(request)

    def renew(self, request: Request, response: Response) -> Request | None:
        if response.status != 402:
            return self.inner.renew(request, response)
        if not self.token or TWO_FACTOR_HEADER in request.headers:
            return None
        return with_headers(request, **{TWO_FACTOR_HEADER: self.token})


def make_auth(
    config: MessangiConfig,
    *,
    cache: TokenCache = TOKENS,
    on_secret: Callable[[str], None] = lambda _: None,
    retry: RetryPolicy = RetryPolicy(),
    clock: Callable[[], float] = time.time,
) -> Auth:
    """Return the authentication of a connection; the token of a login is shared by all who use the same one.

    :param on_secret: called with every new token, so that logs can hide it.
    """
    inner: Auth = ApiKeyAuth(key=config.api_key)
    if not config.api_key:
        inner = BearerAuth(
            cache=cache,
            key=config.cache_key,
            fetch=lambda: log_in(config, on_secret=on_secret, retry=retry, clock=clock),
        )
    return TwoFactorAuth(inner=inner, token=config.two_factor_token)


def log_in(
    config: MessangiConfig,
    *,
    on_secret: Callable[[str], None] = lambda _: None,
    retry: RetryPolicy = RetryPolicy(),
    clock: Callable[[], float] = time.time,
) -> Flow[Token]:
    """Get a token for user name and password: it comes in the answer's ``Authorization`` header, the body is empty.

    :raises AuthenticationError: if the vendor refuses them, or wants a two-factor token that is missing or wrong.
    """
    api = Api(
        vendor=VENDOR,
        connection=config.connection,
        base_url=config.base_url,
        auth=TwoFactorAuth(inner=NoAuth(), token=config.two_factor_token),
        read_problem=lambda response: read_login_problem(config, response),
        overrides=config.overrides,
        retry=retry,
    )
    body = msgspec.json.encode({"username": config.username, "password": config.password})
    response = yield from api.call(LOGIN, body=body)
    value = response.headers.get("authorization", "").strip()
    if value.lower().startswith(_SCHEME):
        value = value[len(_SCHEME) :].strip()
    if not value:
        raise api.unreadable(LOGIN, response, "the answer to the login has no token in its Authorization header")
    on_secret(value)
    return Token(value=value, expires_at=clock() + LIFE - MARGIN)
