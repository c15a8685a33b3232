"""What a connection of type pressnxpress means, and what is wrong with one that can't work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.hooks.pressnxpress import PressnxpressHook
from airflow_provider_messaging.transport.options import TransportOptions
from airflow_provider_messaging.vendors.pressnxpress.config import PressnxpressConfig
from tests.hooks.connections import as_uri, connecting, ways

KEY, TOKEN, OTHER_TOKEN = "k3y-k3y-k3y", "t0ken-t0ken", "0ther-t0ken"
Connect = Callable[..., PressnxpressHook]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """See `connecting`."""
    extra = {"touchpoint_token": TOKEN}
    return connecting(monkeypatch, PressnxpressHook, "feedback", extra=extra, conn_type="pressnxpress", password=KEY)


def config(hook: PressnxpressHook) -> PressnxpressConfig:
    read = hook.client.config
    assert isinstance(read, PressnxpressConfig)
    return read


TYPED = {
    "touchpoint_token": TOKEN,
    "touchpoint_tokens": {"after-delivery": OTHER_TOKEN},
    "content_type": "form",
    "endpoints": {"enqueue_email": "/v3/mail/{touchpoint_token}"},
    "connect_timeout": 5,
    "verify": False,
}


@pytest.mark.parametrize("way", ways("pressnxpress", TYPED, password=KEY))
def test_a_connection_means_the_same_however_it_is_given(connect: Connect, way: dict[str, Any]) -> None:
    client = connect(**way).client
    assert client.config == PressnxpressConfig(
        connection="feedback",
        base_url="https://api.pressnxpress.com/v2",
        api_key=KEY,
        touchpoint_token=TOKEN,
        touchpoint_tokens={"after-delivery": OTHER_TOKEN},
        content_type="form",
        overrides={"enqueue_email": "/v3/mail/{touchpoint_token}"},
    )
    assert client.options == TransportOptions(connect_timeout=5.0, verify=False)


def test_json_is_sent_where_nothing_else_is_said(connect: Connect) -> None:
    assert config(connect(extra={"content_type": "", "touchpoint_tokens": ""})).content_type == "json"


def test_characters_that_a_uri_must_escape_survive_in_key_and_token(connect: Connect) -> None:
    odd = "p:/?#[]@%&+ ü"
    read = config(connect(as_uri("pressnxpress", {"touchpoint_token": odd}, password=odd)))
    assert (read.api_key, read.touchpoint_token) == (odd, odd)


@pytest.mark.parametrize(
    ("fields", "base_url"),
    [
        ({"host": "https://pressnxpress.com/api/v2"}, "https://pressnxpress.com/api/v2"),
        ({"host": "https://pressnxpress.com/api/v2/"}, "https://pressnxpress.com/api/v2"),
        ({"host": "pressnxpress.com/api/v2"}, "https://pressnxpress.com/api/v2"),
        ({"host": "gateway.example", "port": 8443}, "https://gateway.example:8443"),
        ({"host": "http://127.0.0.1:8765/pressnxpress"}, "http://127.0.0.1:8765/pressnxpress"),
        ({"host": "http://localhost", "port": 8765}, "http://localhost:8765"),
    ],
)
def test_a_host_replaces_the_whole_base_url(connect: Connect, fields: dict[str, Any], base_url: str) -> None:
    assert config(connect(**fields)).base_url == base_url


@pytest.mark.parametrize(("touchpoint", "token"), [(None, TOKEN), ("after-delivery", OTHER_TOKEN)])
def test_a_touchpoint_is_the_connections_or_one_that_it_names(
    connect: Connect, touchpoint: str | None, token: str
) -> None:
    read = config(connect(extra={"touchpoint_tokens": {"after-delivery": OTHER_TOKEN}}))
    assert read.token_of(touchpoint) == token


def test_a_connection_may_have_named_touchpoints_only(connect: Connect) -> None:
    read = config(connect(extra={"touchpoint_token": ..., "touchpoint_tokens": {"after-delivery": OTHER_TOKEN}}))
    assert read.token_of("after-delivery") == OTHER_TOKEN
    with pytest.raises(ConfigurationError, match="no touchpoint is named; known: after-delivery"):
        read.token_of(None)


def test_a_touchpoint_that_the_connection_does_not_name_is_an_error_that_lists_those_it_does(connect: Connect) -> None:
    read = config(connect(extra={"touchpoint_tokens": {"b": OTHER_TOKEN, "a": OTHER_TOKEN}}))
    with pytest.raises(ConfigurationError, match="no touchpoint of 'c'; known: a, b") as caught:
        read.token_of("c")
    assert caught.value.setting == "touchpoint, extra 'touchpoint_tokens'"


@pytest.mark.parametrize("given", [TOKEN, OTHER_TOKEN, KEY, f"/{TOKEN}/"])
def test_a_secret_in_place_of_a_touchpoints_name_is_not_repeated(connect: Connect, given: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        config(connect(extra={"touchpoint_tokens": {"a": OTHER_TOKEN}})).token_of(given)
    assert not {secret for secret in (KEY, TOKEN, OTHER_TOKEN) if secret in str(caught.value)}


REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("no key", {"password": None}, "password (API key)", "is missing"),
    ("blank key", {"password": " "}, "password (API key)", "is missing"),
    ("redacted key", {"password": "***"}, "password (API key)", "type it anew"),
    ("key with a line break", {"password": "k3y\nk3y"}, "password (API key)", "characters"),
    ("no touchpoint", {"extra": {"touchpoint_token": None}}, "touchpoint_token", "is missing"),
    ("redacted touchpoint", {"extra": {"touchpoint_token": "***"}}, "extra 'touchpoint_token'", "type it anew"),
    (
        "touchpoint that leaves its path",
        {"extra": {"touchpoint_token": ".."}},
        "extra 'touchpoint_token'",
        "characters",
    ),
    ("touchpoints in a list", {"extra": {"touchpoint_tokens": [TOKEN]}}, "extra 'touchpoint_tokens'", "JSON object"),
    (
        "touchpoints in broken JSON",
        {"extra": {"touchpoint_tokens": f"{{{TOKEN}"}},
        "extra 'touchpoint_tokens'",
        "JSON object",
    ),
    ("number for a token", {"extra": {"touchpoint_tokens": {"a": 1}}}, "extra 'touchpoint_tokens' → 'a'", "as text"),
    ("no token", {"extra": {"touchpoint_tokens": {"a": ""}}}, "extra 'touchpoint_tokens' → 'a'", "as text"),
    (
        "redacted token",
        {"extra": {"touchpoint_tokens": {"a": "***"}}},
        "extra 'touchpoint_tokens' → 'a'",
        "type it anew",
    ),
    ("another content type", {"extra": {"content_type": "xml"}}, "extra 'content_type'", "one of json, form"),
    ("http to the vendor", {"host": "http://api.pressnxpress.com/v2"}, "host", "https://"),
    ("http, by schema", {"host": "api.pressnxpress.com", "schema": "http"}, "host", "https://"),
    ("http to a look-alike", {"host": "http://127.0.0.1.example"}, "host", "https://"),
    ("key in the host", {"host": f"https://gateway.example/?apiKey={KEY}"}, "host", "query"),
    ("password in the host", {"host": f"https://me:{KEY}@gateway.example"}, "host", "user name or password"),
    ("unknown endpoint", {"extra": {"endpoints": {"enqueue": "/x"}}}, "extra 'endpoints'", "enqueue_email"),
    (
        "path with the token itself",
        {"extra": {"endpoints": {"enqueue_email": f"/channel/mail/{TOKEN}/enqueue"}}},
        "extra 'endpoints' → 'enqueue_email'",
        "must name the segment",
    ),
    (
        "path with the key",
        {"extra": {"endpoints": {"enqueue_sms": f"/x/{{touchpoint_token}}?apiKey={KEY}"}}},
        "extra 'endpoints' → 'enqueue_sms'",
        "have no query",
    ),
]


@pytest.mark.parametrize(("case", "fields", "setting", "message"), REFUSED, ids=[case for case, *_ in REFUSED])
def test_a_connection_that_can_not_work_is_refused_with_the_field_to_change_and_no_secret(
    connect: Connect, case: str, fields: dict[str, Any], setting: str, message: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        _ = connect(**fields).client
    error = caught.value
    assert setting in error.setting
    assert message in error.message
    assert error.connection == "feedback"
    assert error.__cause__ is None
    assert not {secret for secret in (KEY, TOKEN, "k3y") if secret in f"{error!s}{error!r}"}
