"""The login and the check of what it gave, of API keys and of the second factor."""

from __future__ import annotations

from airflow_provider_messaging.sandbox.http import Answer, Refused, Request
from airflow_provider_messaging.sandbox.messangi.answers import problem
from airflow_provider_messaging.sandbox.messangi.bodies import require_text, take
from airflow_provider_messaging.sandbox.messangi.settings import (
    API_KEY,
    PASSWORD,
    TWO_FACTOR_TOKEN,
    USERNAME,
    Settings,
)
from airflow_provider_messaging.sandbox.tokens import TokenStore


def login(request: Request, settings: Settings, tokens: TokenStore[str]) -> Answer:
    """Give a token in the ``Authorization`` header of an answer without a body."""
    given = take(request, {"username", "password"})
    username, password = require_text(given, "username"), require_text(given, "password")
    if (username, password) != (USERNAME, PASSWORD):
        return problem(403, "The username or the password is incorrect")
    token = tokens.issue(username, settings.token_lifetime)
    value = f"Bearer {token}" if settings.login_header_form == "bearer" else token
    return Answer(200, headers=(("Authorization", value),))


def require_user(request: Request, settings: Settings, tokens: TokenStore[str]) -> None:
    """:raises Refused: 401 without a valid token or API key, 402 without the second factor where it is asked for."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not (_is_key(credentials, settings) or tokens.subject(credentials)):
        raise Refused(problem(401))
    if settings.two_factor and request.headers.get("cb-2fa-token") != TWO_FACTOR_TOKEN:
        raise Refused(problem(402))


def _is_key(credentials: str, settings: Settings) -> bool:
    return credentials == API_KEY and not settings.api_key_expired
