"""The Users API, which issues tokens, and who needs one."""

from __future__ import annotations

import secrets
import time
from base64 import urlsafe_b64encode
from typing import Any

import msgspec

from airflow_provider_messaging.sandbox.engageone.problems import no_parameters, read, refuse
from airflow_provider_messaging.sandbox.engageone.settings import CLIENT_ID, SECRET, Settings
from airflow_provider_messaging.sandbox.http import Answer, Request, json_answer
from airflow_provider_messaging.sandbox.tokens import TokenStore

CUSTOMER_HEADER = "pb-customer-id"


class Credentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request for a token."""

    client_id: str
    secret: str
    customer_id: str


def authenticate(settings: Settings, tokens: TokenStore[str], request: Request) -> Answer:
    """Issue a token for client credentials."""
    no_parameters(request)
    given = read(request, Credentials)
    if (given.client_id, given.secret) != (CLIENT_ID, SECRET):
        raise refuse(401, "The client id or the secret is incorrect.", "INVALID_CREDENTIALS")
    if given.customer_id not in settings.customers:
        raise refuse(401, "The client has no access to this company.", "INVALID_CREDENTIALS")
    token = tokens.issue(given.customer_id, settings.token_lifetime, _jwt(settings, given.customer_id))
    forms: dict[str, object] = {
        "string": token,
        "object_token": {"token": token},
        "object_access_token": {"access_token": token},
    }
    return json_answer(forms[settings.token_form])


def _jwt(settings: Settings, customer: str) -> str:
    """A JWT as the vendor's, whose moments have fractions; nobody can verify its signature."""
    now = time.time()
    claims: dict[str, Any] = {"iss": "sandbox", "customer_id": customer, "iat": now, "nbf": now}
    claims["jti"] = secrets.token_hex(8)
    if settings.token_has_exp:
        claims["exp"] = now + settings.token_lifetime
    parts = [msgspec.json.encode(part) for part in ({"typ": "JWT", "alg": "HS256"}, claims)]
    return ".".join(_unpadded(part) for part in (*parts, secrets.token_bytes(32)))


def _unpadded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def customer_of(request: Request, tokens: TokenStore[str]) -> str:
    """The customer id that the request's token was issued for.

    :raises Refused: 401 without a valid token, 403 unless ``PB-Customer-Id`` is exactly that id.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    customer = tokens.subject(token) if scheme.lower() == "bearer" else None
    if customer is None:
        raise refuse(401, "The token is missing, invalid or expired.", "INVALID_TOKEN")
    if request.headers.get(CUSTOMER_HEADER) != customer:
        raise refuse(403, "PB-Customer-Id is not the company of the token; mind its case.", "INVALID_CUSTOMER")
    return customer


def require_no_credentials(request: Request) -> None:
    """:raises Refused: 400, so that a client that shows its credentials without need is found out."""
    if "authorization" in request.headers or CUSTOMER_HEADER in request.headers:
        raise refuse(400, "This API takes no Authorization and no PB-Customer-Id.", "UNEXPECTED_CREDENTIALS")
