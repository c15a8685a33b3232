"""Reading a connection's fields, whatever form they come in."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_messaging.core.connection import ConnectionParts, is_loopback
from airflow_provider_messaging.core.errors import ConfigurationError


def parts(**fields: Any) -> ConnectionParts:
    return ConnectionParts(id="conn", vendor="v", **fields)


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({"host": "api.example.com"}, "https://api.example.com"),
        ({"host": "https://api.example.com/"}, "https://api.example.com"),
        ({"host": "api.example.com", "port": 8443}, "https://api.example.com:8443"),
        ({"host": "https://api.example.com/base", "port": 8443}, "https://api.example.com:8443/base"),
        ({"host": "https://api.example.com:1", "port": 2}, "https://api.example.com:1"),
        ({"host": "localhost", "port": 80, "schema": "http"}, "http://localhost:80"),
        ({"host": "http://127.0.0.9:8080/x"}, "http://127.0.0.9:8080/x"),
        ({"host": "http://[::1]:8080"}, "http://[::1]:8080"),
        ({"host": "  "}, None),
        ({}, None),
    ],
)
def test_host_scheme_and_port_make_one_url(fields: dict[str, Any], url: str | None) -> None:
    assert parts(**fields).host_url() == url


@pytest.mark.parametrize(
    "host",
    [
        "http://api.example.com",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "ftp://example.com",
        "https://",
        "https://user:pass@example.com",
        "https://example.com?x=1",
        "https://example.com#x",
        "https://example.com:port",
        "http://10.0.0.1",
    ],
)
def test_a_host_that_credentials_must_not_go_to_is_refused(host: str) -> None:
    with pytest.raises(ConfigurationError, match="host") as caught:
        parts(host=host).host_url()
    assert caught.value.connection == "conn"
    assert "pass" not in str(caught.value).replace("password", "")


@pytest.mark.parametrize("value", [None, "", "  ", "***"])
def test_a_missing_or_redacted_secret_is_refused(value: str | None) -> None:
    with pytest.raises(ConfigurationError, match="password"):
        parts().require(value, "password")


@pytest.mark.parametrize(
    ("given", "read"), [(True, True), ("true", True), ("False", False), ("", False), (None, False)]
)
def test_flags_may_be_text(given: object, read: bool) -> None:
    assert parts(extra={"x": given}).flag("x", False) is read


def test_a_flag_of_another_value_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="true or false"):
        parts(extra={"x": "maybe"}).flag("x", False)


@pytest.mark.parametrize("given", [{"a": "/b"}, '{"a": "/b"}'])
def test_a_mapping_may_be_json_text(given: object) -> None:
    assert parts(extra={"x": given}).mapping("x") == {"a": "/b"}


@pytest.mark.parametrize("given", ["[1]", "{", 3, ["a"]])
def test_anything_else_is_no_mapping(given: object) -> None:
    with pytest.raises(ConfigurationError, match="JSON object"):
        parts(extra={"x": given}).mapping("x")


def test_choices_are_compared_without_case_and_named_when_wrong() -> None:
    assert parts(extra={"region": "EU"}).choice("region", ("eu", "us"), "eu") == "eu"
    assert parts(extra={"region": ""}).choice("region", ("eu", "us"), "eu") == "eu"
    with pytest.raises(ConfigurationError, match="eu, us"):
        parts(extra={"region": "asia"}).choice("region", ("eu", "us"), "eu")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.255.0.3", True),
        ("::1", True),
        ("128.0.0.1", False),
        ("l", False),
    ],
)
def test_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_the_repr_of_a_connection_shows_no_secret() -> None:
    text = repr(parts(login="id", password="geheim", extra={"api_key": "key-1234"}))
    assert "geheim" not in text
    assert "key-1234" not in text
