"""Getting a token (the vendor page's "Get authentication token") and the two headers of every authenticated request."""

from __future__ import annotations

import base64
import binascii
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from math import isfinite

import msgspec

from airflow_provider_messaging.core.auth import TOKENS, BearerAuth, Token, TokenCache, without_token
from airflow_provider_messaging.core.errors import MessagingError, VendorError
from airflow_provider_messaging.core.flow import Api, Flow, NoAuth, with_headers
from airflow_provider_messaging.core.http import Request, Response
from airflow_provider_messaging.core.redact import MASK, Redactor
from airflow_provider_messaging.core.retry import RetryPolicy
from airflow_provider_messaging.vendors.engageone.config import EngageOneConfig
from airflow_provider_messaging.vendors.engageone.endpoints import TOKEN, USERS, VENDOR
from airflow_provider_messaging.vendors.engageone.problems import read_problem

DEFAULT_LIFE = 3300.0
"""Seconds for which a token is used that does not say how long it lives."""
LONGEST_LIFE = 86_400.0
MARGIN = 60.0
"""Seconds before its end from which on a token is no longer used; a tenth of a life shorter than ten minutes."""
_JWT = re.compile(r"eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?")
_HEADER_SAFE = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerAuth(BearerAuth):
    """A bearer token, and the company account that it acts on."""

    customer_id: str

    def authorize(self, request: Request) -> Flow[Request]:
        authorized = yield from BearerAuth.authorize(self, request)
        return with_headers(authorized, **{"PB-Customer-Id": self.customer_id})


def customer_auth(
    config: EngageOneConfig,
    *,
    cache: TokenCache = TOKENS,
    on_secret: Callable[[str], None] = lambda _: None,
    retry: RetryPolicy = RetryPolicy(),
    clock: Callable[[], float] = time.time,
) -> CustomerAuth:
    """Return the authentication of a connection; its token is shared by all who use the same credentials.

    :param on_secret: called with every new token, so that logs can hide it.
    """

    def fetch() -> Flow[Token]:
        response = yield from _authenticate(config, retry)
        value = _read_token(response)
        if value is None:
            raise VendorError(
                "the answer is not a token: neither a JSON string nor an object with 'token' or 'access_token'",
                status=response.status,
                vendor=VENDOR,
                operation=TOKEN.name,
                connection=config.connection,
                retryable=True,
            )
        on_secret(value)
        now = clock()
        # By the vendor's clock, should ours be wrong.
        vendors_now = now + response.clock_offset(datetime.fromtimestamp(now, UTC)).total_seconds()
        return Token(value=value, expires_at=now + lifetime(value, vendors_now))

    return CustomerAuth(cache=cache, key=config.cache_key, fetch=fetch, customer_id=config.customer_id)


def lifetime(token: str, now: float) -> float:
    """Return the seconds for which a token is used from `now` on, by its claim ``exp``, which nobody verifies here.

    A token that says nothing readable is used for 55 minutes.
    """
    expires = _expiry(token)
    life = DEFAULT_LIFE if expires is None else min(expires - now, LONGEST_LIFE)
    return life - min(MARGIN, abs(life) / 10)


def redaction(config: EngageOneConfig, auth: CustomerAuth | None = None) -> Callable[[str], str]:
    """Return what takes the secret, the token in use and everything that looks like one out of a text."""

    def redact(text: str) -> str:
        token = auth.cache.get(auth.key) if auth is not None else None
        known = Redactor([config.secret, token.value if token else None])
        return _JWT.sub(MASK, known(text))

    return redact


def _expiry(token: str) -> float | None:
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = msgspec.json.decode(base64.b64decode(parts[1] + "=" * (-len(parts[1]) % 4), altchars=b"-_"))
        expires = float(claims["exp"])
    except (ValueError, KeyError, TypeError, binascii.Error, msgspec.DecodeError, OverflowError):
        return None
    return expires if isfinite(expires) else None


def _read_token(response: Response) -> str | None:
    """Return the token of a bare JSON string, or of an object that has it."""
    document = response.json_or_none()
    if isinstance(document, dict):
        document = document.get("token") or document.get("access_token")
    return document if isinstance(document, str) and _HEADER_SAFE.fullmatch(document) else None


def _authenticate(config: EngageOneConfig, retry: RetryPolicy) -> Flow[Response]:
    redact = redaction(config)
    api = Api(
        vendor=VENDOR,
        connection=config.connection,
        base_url=config.url(USERS),
        auth=NoAuth(),
        read_problem=partial(read_problem, redact=redact),
        overrides=config.overrides,
        retry=retry,
        redact=redact,
    )
    body = {"client_id": config.client_id, "secret": config.secret, "customer_id": config.customer_id}
    try:
        return (yield from api.call(TOKEN, body=msgspec.json.encode(body)))
    except MessagingError as error:
        raise without_token(
            error,
            "client id, secret and customer id",
            "login (client id), password (secret) or extra 'customer_id', which is case sensitive",
        ) from None
