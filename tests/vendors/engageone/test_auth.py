"""How long a token is used, and what is sent for one."""

from __future__ import annotations

import base64
import json
import time
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_messaging.core.auth import Token, TokenCache
from airflow_provider_messaging.core.errors import AuthenticationError, MessagingError, VendorError
from airflow_provider_messaging.core.flow import Sleep
from airflow_provider_messaging.core.http import Reply, Request
from airflow_provider_messaging.vendors.engageone.auth import customer_auth, lifetime
from tests.vendors.engageone.flows import SECRET, answer, services

NOW = 1_800_000_000.0


def jwt(claims: Any) -> str:
    def encode(part: bytes) -> str:
        return base64.urlsafe_b64encode(part).rstrip(b"=").decode()

    body = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    return ".".join((encode(b'{"alg": "none"}'), encode(body), encode(b"nobody checks")))


@pytest.mark.parametrize(
    ("claims", "seconds"),
    [
        ({"exp": NOW + 3600}, 3540),
        ({"exp": NOW + 3600.5}, 3540.5),
        ({"exp": str(NOW + 3600)}, 3540),
        ({"exp": NOW + 100}, 90),
        ({"exp": NOW + 10}, 9),
        ({"exp": NOW * 1000}, 86_340),
    ],
)
def test_a_token_is_used_until_shortly_before_its_exp(claims: Any, seconds: float) -> None:
    assert lifetime(jwt(claims), NOW) == pytest.approx(seconds)


def test_a_token_that_has_expired_already_is_used_no_second_time() -> None:
    assert lifetime(jwt({"exp": NOW - 10}), NOW) < 0


@pytest.mark.parametrize(
    "token",
    [
        "opaque",
        "a.b",
        "a.b.c.d",
        "a.!!!.c",
        jwt({}),
        jwt({"exp": None}),
        jwt({"exp": "soon"}),
        jwt({"exp": [1]}),
        jwt([1]),
        jwt(b"{"),
        jwt(b"\xff\xfe"),
        jwt(b'{"exp": 1e999}'),
        jwt(b'{"exp": NaN}'),
    ],
)
def test_a_token_that_does_not_tell_is_used_for_55_minutes_less_the_margin(token: str) -> None:
    assert lifetime(token, NOW) == 55 * 60 - 60


@given(st.text())
def test_no_token_breaks_the_reader(token: str) -> None:
    assert lifetime(token, NOW) <= 86_340


def fetch(*replies: Reply, **options: Any) -> tuple[Token, list[Request]]:
    auth = customer_auth(services().config, cache=TokenCache(), **options)
    flow, left, requests = auth.fetch(), iter(replies), []
    reply: Reply | None = None
    try:
        while True:
            step = flow.send(reply)
            reply = None
            if isinstance(step, Request):
                requests.append(step)
                reply = next(left)
            else:
                assert isinstance(step, Sleep)
    except StopIteration as end:
        return end.value, requests


@pytest.mark.parametrize("form", [lambda t: t, lambda t: {"token": t}, lambda t: {"access_token": t, "token": None}])
def test_the_token_is_a_bare_string_or_in_an_object(form: Any) -> None:
    token, [request] = fetch(answer(form("abc.def.ghi")))
    assert token.value == "abc.def.ghi"
    assert (request.method, request.url) == ("POST", "https://usersapi.communicate.engageone.co/authenticate")
    assert isinstance(request.body, bytes)
    assert json.loads(request.body) == {"client_id": "client", "secret": SECRET, "customer_id": "eocm-Acme"}
    assert "Authorization" not in request.headers
    assert "PB-Customer-Id" not in request.headers


@pytest.mark.parametrize("body", [{}, [], "", "two words", "line\nbreak", "ü", None, 7, b"", b"abc", {"token": 7}])
def test_what_is_no_token_is_an_error(body: Any) -> None:
    with pytest.raises(VendorError, match="not a token") as caught:
        fetch(answer(body))
    assert caught.value.retryable


def test_a_new_token_is_told_to_whoever_hides_secrets() -> None:
    seen: list[str] = []
    fetch(answer("abc.def.ghi"), on_secret=seen.append)
    assert seen == ["abc.def.ghi"]


def test_a_wrong_clock_of_ours_does_not_shorten_a_tokens_life() -> None:
    vendors_now = NOW - 7200
    date = formatdate(vendors_now, usegmt=True)
    token, _ = fetch(answer(jwt({"exp": vendors_now + 3600}), date=date), clock=lambda: NOW)
    assert token.expires_at - NOW == pytest.approx(3540, abs=2)


@pytest.mark.parametrize("status", [400, 401, 403, 422])
def test_refused_credentials_are_named_and_nothing_of_the_answer_is_repeated(status: int) -> None:
    with pytest.raises(AuthenticationError) as caught:
        fetch(answer({"message": f"bad {SECRET}", "traceId": "t-1"}, status))
    error = caught.value
    assert "gives no token" in str(error)
    assert "customer_id" in error.setting
    assert SECRET not in str(error)
    assert error.trace_id == "t-1"


@pytest.mark.parametrize("status", [404, 500])
def test_another_failure_keeps_its_status_and_hides_the_secret(status: int) -> None:
    replies = [answer({"message": f"bad {SECRET}"}, status)] * 5
    with pytest.raises(MessagingError) as caught:
        fetch(*replies)
    assert f"HTTP {status}" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_each_authenticated_request_carries_token_and_customer_and_public_ones_neither() -> None:
    given_services = services()
    cache = given_services.auth.cache
    cache.put(given_services.auth.key, Token(value="t0ken", expires_at=time.time() + 60))

    def headers(service: str) -> dict[str, str]:
        flow = given_services.api(service).auth.authorize(Request(method="GET", url="https://x.example", operation="o"))
        with pytest.raises(StopIteration) as end:
            next(flow)
        return dict(end.value.value.headers)

    for service in ("private", "api", "users"):
        assert headers(service) == {"Authorization": "Bearer t0ken", "PB-Customer-Id": "eocm-Acme"}
    assert headers("public") == {}


def test_neither_secret_nor_token_is_in_a_repr() -> None:
    auth = services().auth
    auth.cache.put(auth.key, Token(value="t0ken-t0ken", expires_at=NOW))
    for value in (services(), services().config, auth, services().api(), auth.cache.get(auth.key), auth.key):
        assert SECRET not in repr(value)
        assert "t0ken-t0ken" not in repr(value)


def test_a_vendors_text_loses_the_secret_the_token_and_what_looks_like_one() -> None:
    made = services()
    made.auth.cache.put(made.auth.key, Token(value="opaque-token", expires_at=time.time() + 60))
    text = made.api().redact(f"{SECRET} opaque-token {jwt({'exp': 1})} stays")
    assert text == "*** *** *** stays"
