"""What a connection of type messangi means, and what is wrong with one that can't work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.hooks.messangi import MessangiHook
from airflow_provider_messaging.vendors.messangi.config import MessangiConfig
from airflow_provider_messaging.vendors.messangi.endpoints import BELOW_PREFIX, ENDPOINTS
from tests.hooks.connections import as_uri, connecting

PASSWORD, KEY, TWO_FACTOR = "pa55-pa55", "k3y-k3y-k3y", "2fa-2fa-2fa"
Connect = Callable[..., MessangiHook]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """See `connecting`."""
    valid = {"conn_type": "messangi", "login": "me@example.com", "password": PASSWORD}
    return connecting(monkeypatch, MessangiHook, "alerts", **valid)


def config(hook: MessangiHook) -> MessangiConfig:
    read = hook.client.config
    assert isinstance(read, MessangiConfig)
    return read


def test_user_name_and_password_are_enough(connect: Connect) -> None:
    read = config(connect())
    assert (read.base_url, read.username, read.password) == ("https://elastic.messangi.me", "me@example.com", PASSWORD)
    assert (read.api_key, read.two_factor_token, read.sender, read.default_region) == ("", "", "", "")
    assert not read.lookup_by_reference


def test_an_api_key_is_enough_and_makes_a_login_needless(connect: Connect) -> None:
    read = config(connect(login=None, password=None, extra={"api_key": f"Bearer {KEY}"}))
    assert (read.api_key, read.username) == (KEY, "")
    assert config(connect(extra={"api_key": KEY})).username == ""


def test_every_extra_may_be_text_as_a_uri_gives_it(connect: Connect) -> None:
    extra = {
        "api_key": KEY,
        "two_factor_token": TWO_FACTOR,
        "subscribers_prefix": "/name/v1/",
        "endpoints": '{"list_owners": "/elsewhere"}',
        "sender": "12345",
        "default_region": "br",
        "lookup_by_reference": "true",
        "read_timeout": "5",
    }
    hook = connect(as_uri("messangi", extra))
    read = config(hook)
    assert (read.api_key, read.two_factor_token, read.sender) == (KEY, TWO_FACTOR, "12345")
    assert (read.default_region, read.lookup_by_reference) == ("BR", True)
    assert read.overrides["list_owners"] == "/elsewhere"
    assert read.overrides["upsert_subscriber"] == "/name/v1/lists/{list_id}/subscribers/{subscriber_id}"
    assert hook.client.options.read_timeout == 5


def test_a_host_replaces_the_vendors(connect: Connect) -> None:
    assert config(connect(host="http://127.0.0.1", port=1234)).base_url == "http://127.0.0.1:1234"
    assert config(connect(host="gate.example.com")).base_url == "https://gate.example.com"


@pytest.mark.parametrize(
    ("fields", "setting"),
    [
        ({"login": None, "password": None}, "extra 'api_key', or login (user name) and password"),
        ({"login": None}, "login (user name)"),
        ({"password": None}, "password"),
        ({"password": "***"}, "password"),
        ({"extra": {"api_key": "***"}}, "extra 'api_key'"),
        ({"extra": {"api_key": "two words"}}, "extra 'api_key'"),
        ({"extra": {"api_key": "k\r\nX: y"}}, "extra 'api_key'"),
        ({"extra": {"two_factor_token": "t\nX: y"}}, "extra 'two_factor_token'"),
        ({"extra": {"subscribers_prefix": "name/v1"}}, "extra 'subscribers_prefix'"),
        ({"extra": {"subscribers_prefix": "/a/{b}"}}, "extra 'subscribers_prefix'"),
        ({"extra": {"subscribers_prefix": "https://example.com/a"}}, "extra 'subscribers_prefix'"),
        ({"extra": {"default_region": "Brazil"}}, "extra 'default_region'"),
        ({"extra": {"lookup_by_reference": "perhaps"}}, "extra 'lookup_by_reference'"),
        ({"extra": {"endpoints": {"nothing": "/x"}}}, "extra 'endpoints'"),
        ({"host": "http://example.com"}, "host"),
        ({"host": "http://127.0.0.1.example.com"}, "host"),
    ],
)
def test_a_connection_that_cannot_work_names_what_to_change(
    connect: Connect, fields: dict[str, Any], setting: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        _ = connect(**fields).client
    assert caught.value.setting == setting
    assert caught.value.connection == "alerts"
    assert not any(secret in str(caught.value) for secret in (PASSWORD, KEY, TWO_FACTOR, "X: y"))


def test_nothing_of_a_hook_shows_a_secret(connect: Connect) -> None:
    for fields in ({}, {"extra": {"api_key": KEY, "two_factor_token": TWO_FACTOR}}):
        hook = connect(**fields)
        shown = "".join(map(repr, (hook, hook.client, hook.client.api, hook.client.api.auth, config(hook))))
        assert not any(secret in shown for secret in (PASSWORD, KEY, TWO_FACTOR))
        assert PASSWORD not in str(config(hook).cache_key)


@pytest.mark.parametrize("name", BELOW_PREFIX)
def test_without_a_prefix_every_call_that_needs_one_names_it(connect: Connect, name: str) -> None:
    hook = connect()
    with pytest.raises(ConfigurationError, match="does not publish") as caught:
        hook.client.api.request(ENDPOINTS[name], segments={"list_id": "1", "subscriber_id": "2"})
    assert caught.value.setting == f"extra 'subscribers_prefix', or extra 'endpoints' → {name!r}"
    assert caught.value.connection == "alerts"


def test_a_path_of_its_own_needs_no_prefix(connect: Connect) -> None:
    hook = connect(extra={"endpoints": {"list_owners": "/elsewhere/owners"}})
    assert hook.client.api.request(ENDPOINTS["list_owners"]).url == "https://elastic.messangi.me/elsewhere/owners"


def test_an_unknown_country_is_told_before_any_row(connect: Connect) -> None:
    hook = connect()
    with pytest.raises(ConfigurationError) as caught:
        hook.message_channel(hook.client, "sms", default_region="XX")
    assert caught.value.setting == "default_region"


def test_an_unknown_channel_is_told_with_the_known_ones(connect: Connect) -> None:
    hook = connect()
    with pytest.raises(ConfigurationError, match="sms, email, whatsapp, notification"):
        hook.message_channel(hook.client, "fax")  # type: ignore[arg-type]


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=lambda endpoint: endpoint.name)
def test_an_endpoint_is_known_by_its_name(endpoint: Any) -> None:
    assert ENDPOINTS[endpoint.name] is endpoint
    assert endpoint.vendor == "messangi"
