"""The token endpoint and the check of the tokens it issued."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec

from airflow_provider_messaging.sandbox.http import Answer, Refused, Request, json_answer
from airflow_provider_messaging.sandbox.marigold.problems import (
    Error,
    field_error,
    problem,
    refuse,
    validation_problem,
)
from airflow_provider_messaging.sandbox.marigold.settings import CLIENT_ID, CLIENT_SECRET, Settings
from airflow_provider_messaging.sandbox.tokens import TokenStore

AUDIENCES = ("https://sdc.slgnt.eu", "https://sdc.slgnt.us")
FIELDS = ("client_id", "client_secret", "account_id", "grant_type", "audience")


def require_json(request: Request) -> None:
    """Refuse a body that is not declared as plain JSON."""
    if request.media_type() != "application/json":
        raise Refused(problem(415, "Content-Type must be application/json."))
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Refused(problem(415, "An encoded body is not supported."))
    if request.too_large:
        raise Refused(problem(413, "The body is too large."))


def token(request: Request, settings: Settings, tokens: TokenStore[str]) -> Answer:
    """Issue a token for client credentials."""
    require_json(request)
    try:
        asked = msgspec.json.decode(request.body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise refuse("", "INVALID_TYPE", f"The body must be a JSON object: {error}") from None
    errors = _errors(asked)
    if errors:
        raise Refused(validation_problem(errors))
    if asked["client_id"] != CLIENT_ID or asked["client_secret"] != CLIENT_SECRET:
        raise Refused(problem(401, "The client id or the client secret is incorrect."))
    if asked["account_id"] not in settings.accounts:
        raise Refused(problem(401, "The client has no access to this account."))
    lifetime = settings.token_lifetime
    return json_answer(
        {
            "access_token": tokens.issue(asked["account_id"], lifetime),
            "token_type": "Bearer",
            "refresh_token": secrets.token_urlsafe(48),
            "scope": "send:email",
            "expires_in": _whole(lifetime) if settings.token_expires_in is None else settings.token_expires_in,
        }
    )


def _errors(asked: dict[str, Any]) -> list[Error]:
    errors = []
    for name in FIELDS:
        value = asked.get(name)
        if name not in asked or value == "":
            errors.append(field_error(name, "REQUIRED_PROPERTY", "property is required."))
        elif not isinstance(value, str):
            errors.append(
                field_error(name, "INVALID_TYPE", "Request property type doesn't match expected type: string.")
            )
        elif name == "grant_type" and value != "client_credentials":
            errors.append(field_error(name, "INVALID_GRANT_TYPE", "grant_type must be client_credentials."))
        elif name == "audience" and value not in AUDIENCES:
            errors.append(field_error(name, "INVALID_AUDIENCE", f"audience must be one of {', '.join(AUDIENCES)}."))
    for name in sorted(asked.keys() - set(FIELDS)):
        errors.append(field_error(name, "UNKNOWN_PROPERTY", "property is not known."))
    return errors


def _whole(seconds: float) -> int | float:
    return int(seconds) if seconds == int(seconds) else seconds


def account_of(request: Request, tokens: TokenStore[str]) -> str:
    """The account that the request's token was issued for.

    :raises Refused: 401 without a valid token.
    """
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    account = tokens.subject(credentials) if scheme.lower() == "bearer" else None
    if account is None:
        raise Refused(problem(401, "The access key was incorrect."))
    return account
