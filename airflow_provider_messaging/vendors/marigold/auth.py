"""Getting an access token (the vendor page's "OAuth 2.0")."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from airflow_provider_messaging.core.auth import TOKENS, BearerAuth, Token, TokenCache, without_token
from airflow_provider_messaging.core.errors import MessagingError, VendorError
from airflow_provider_messaging.core.flow import Api, Flow, NoAuth
from airflow_provider_messaging.core.http import Request, Response
from airflow_provider_messaging.core.retry import RetryPolicy
from airflow_provider_messaging.vendors.marigold.config import MarigoldConfig
from airflow_provider_messaging.vendors.marigold.endpoints import TOKEN, VENDOR
from airflow_provider_messaging.vendors.marigold.problems import read_problem

LONGEST_LIFE = 7200.0
"""Seconds: the page says two hours, though its sample answers with a day."""
MARGIN = 60.0
"""Seconds before its end from which on a token is no longer used; a tenth of a life shorter than ten minutes."""


def lifetime(expires_in: object) -> float:
    """Return the seconds for which a token is used."""
    stated = expires_in if isinstance(expires_in, int | float) and expires_in > 0 else LONGEST_LIFE
    life = min(float(stated), LONGEST_LIFE)
    return life - min(MARGIN, life / 10)


def bearer_auth(
    config: MarigoldConfig,
    *,
    cache: TokenCache = TOKENS,
    on_secret: Callable[[str], None] = lambda _: None,
    retry: RetryPolicy = RetryPolicy(),
    clock: Callable[[], float] = time.time,
) -> BearerAuth:
    """Return the authentication of a connection; its token is shared by all who use the same credentials.

    :param on_secret: called with every new token, so that logs can hide it.
    """

    def fetch() -> Flow[Token]:
        response = yield from _request_token(config, retry)
        try:
            document = response.json()
            value = document["access_token"]
            if not isinstance(value, str) or not value:
                raise TypeError("access_token is empty")
        except (ValueError, KeyError, TypeError) as error:
            raise VendorError(
                f"the token answer is not the documented JSON ({type(error).__name__})",
                status=response.status,
                vendor=VENDOR,
                operation=TOKEN.name,
                connection=config.connection,
                retryable=True,
            ) from None
        on_secret(value)
        return Token(
            value=value,
            expires_at=clock() + lifetime(document.get("expires_in")),
            scope=str(document.get("scope") or ""),
        )

    return BearerAuth(cache=cache, key=config.cache_key, fetch=fetch)


def _request_token(config: MarigoldConfig, retry: RetryPolicy) -> Flow[Response]:
    api = Api(
        vendor=VENDOR,
        connection=config.connection,
        base_url=config.token_url,
        auth=NoAuth(),
        read_problem=read_problem,
        retry=retry,
    )
    body = {
        "client_id": config.client_id,
        "client_secret": config.client_secret,
        "account_id": config.account_id,
        "grant_type": "client_credentials",
        "audience": config.audience,
    }
    request = Request(
        method=TOKEN.method,
        url=config.token_url,
        operation=TOKEN.operation,
        headers={"Accept": "application/json", "Content-Type": "application/json"},
        body=msgspec.json.encode(body),
    )
    try:
        return (yield from api.perform(TOKEN, request))
    except MessagingError as error:
        raise without_token(
            error,
            "client id, secret, account and audience",
            "login (client id), password (client secret), extra 'account_id' or 'audience'",
        ) from None
