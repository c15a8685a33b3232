"""What a connection of type engageone means, and what is wrong with one that can't work."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.hooks.engageone import EngageOneHook, eocm_customer_id
from airflow_provider_messaging.transport.options import TransportOptions
from airflow_provider_messaging.vendors.engageone.config import EngageOneConfig
from airflow_provider_messaging.vendors.engageone.endpoints import SERVICES
from tests.hooks.connections import ways
from tests.hooks.engageone import SECRET, Connect, connect

__all__ = ["connect"]


def config(hook: EngageOneHook) -> EngageOneConfig:
    read = hook.client.config.config
    assert isinstance(read, EngageOneConfig)
    return read


TYPED = {
    "customer_id": "eocm-Acme-Ltd",
    "region": "eu-west-1",
    "users_url": "https://users.example/",
    "public_url": "https://public.example/v1",
    "services": {"nlu": "https://nlu.example", "document_channel": "https://documents.example/"},
    "endpoints": {"blacklist": "/v2/blacklist"},
    "unblacklist_verified": True,
    "connect_timeout": 5,
    "verify": False,
}


@pytest.mark.parametrize("way", ways("engageone", TYPED, login="client", password=SECRET))
def test_a_connection_means_the_same_however_it_is_given(connect: Connect, way: dict[str, Any]) -> None:
    hook = connect(**way)
    assert config(hook) == EngageOneConfig(
        connection="letters",
        client_id="client",
        secret=SECRET,
        customer_id="eocm-Acme-Ltd",
        urls={
            "users": "https://users.example",
            "public": "https://public.example/v1",
            "private": "https://api.eu-west-1.communicate.engageone.co",
            "api": "https://api.eu-west-1.communicate.engageone.co",
            "nlu": "https://nlu.example",
            "document-channel": "https://documents.example",
        },
        overrides={"blacklist": "/v2/blacklist"},
        unblacklist_verified=True,
    )
    assert hook.client.options == TransportOptions(connect_timeout=5.0, verify=False)


def test_defaults_apply_where_the_form_was_left_empty(connect: Connect) -> None:
    hook = connect(extra=dict.fromkeys(set(TYPED) - {"customer_id"}))
    assert config(hook).urls == {
        "users": "https://usersapi.communicate.engageone.co",
        "private": "https://api.us-east-1.communicate.engageone.co",
        "api": "https://api.us-east-1.communicate.engageone.co",
    }
    assert not config(hook).unblacklist_verified
    assert hook.client.options == TransportOptions()


@pytest.mark.parametrize("customer_id", ["Acme", "eocm-Acme", "EOCM-acme", "sa-11-bb", "Acme Ltd", "a"])
def test_the_customer_id_is_taken_as_it_is(connect: Connect, customer_id: str) -> None:
    assert config(connect(extra={"customer_id": customer_id})).customer_id == customer_id


def test_the_older_form_of_a_customer_id_is_made_on_demand() -> None:
    assert eocm_customer_id("Acme Ltd of London") == "eocm-Acme-Ltd-of-London"
    with pytest.raises(ValueError, match="empty"):
        eocm_customer_id(" ")


@pytest.mark.parametrize(
    "fields",
    [
        {"host": "https://gateway.example/eo"},
        {"host": "gateway.example/eo", "schema": "https"},
        {"host": "https://gateway.example/eo/", "extra": {"region": "eu-west-1", "public_url": "https://x.example"}},
    ],
)
def test_a_host_replaces_the_urls_of_all_services(connect: Connect, fields: dict[str, Any]) -> None:
    read = config(connect(**fields))
    assert read.urls == {
        **{name: f"https://gateway.example/eo/{name}" for name in SERVICES},
        "api": "https://gateway.example/eo/private",
    }


@pytest.mark.parametrize(
    ("service", "setting"),
    [
        ("public", "extra 'public_url'"),
        ("nlu", "extra 'services' → 'nlu'"),
        ("video_channel", "extra 'services' → 'video-channel'"),
    ],
)
def test_a_service_without_a_published_url_names_the_setting_that_it_needs(
    connect: Connect, service: str, setting: str
) -> None:
    with pytest.raises(ConfigurationError, match="not published") as caught:
        connect().service(service)
    assert (caught.value.setting, caught.value.connection) == (setting, "letters")


def test_an_unknown_service_is_refused_with_the_known_ones(connect: Connect) -> None:
    with pytest.raises(ConfigurationError, match="no service 'fax'; there are users, public") as caught:
        connect().service("fax")
    assert caught.value.connection == "letters"


REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("no client id", {"login": ""}, "login (client id)", "is missing"),
    ("no secret", {"password": None}, "password (secret)", "is missing"),
    ("redacted secret", {"password": "***"}, "password (secret)", "type it anew"),
    ("no customer", {"extra": {"customer_id": None}}, "extra 'customer_id'", "is missing"),
    ("redacted customer", {"extra": {"customer_id": "***"}}, "extra 'customer_id'", "type it anew"),
    ("customer in two lines", {"extra": {"customer_id": "a\r\nX: y"}}, "extra 'customer_id'", "ASCII"),
    ("customer with umlaut", {"extra": {"customer_id": "Jürgen"}}, "extra 'customer_id'", "ASCII"),
    ("region with a dot", {"extra": {"region": "us.evil"}}, "extra 'region'", "host name"),
    ("region with a slash", {"extra": {"region": "x/y"}}, "extra 'region'", "host name"),
    ("region with a hash", {"extra": {"region": "evil.example#"}}, "extra 'region'", "host name"),
    ("http to another machine", {"host": "http://gateway.example"}, "host", "https://"),
    ("users on http", {"extra": {"users_url": "http://users.example"}}, "extra 'users_url'", "https://"),
    ("public on http", {"extra": {"public_url": "http://p.example"}}, "extra 'public_url'", "https://"),
    ("a service on http", {"extra": {"services": {"nlu": "http://n.example"}}}, "extra 'services' → 'nlu'", "https://"),
    ("a service without URL", {"extra": {"services": {"nlu": ""}}}, "extra 'services'", "service → URL"),
    ("a service with a number", {"extra": {"services": {"nlu": 1}}}, "extra 'services'", "service → URL"),
    ("an unknown service", {"extra": {"services": {"fax": "https://f.example"}}}, "extra 'services'", "'fax'"),
    ("services in a list", {"extra": {"services": ["https://f.example"]}}, "extra 'services'", "JSON object"),
    ("public twice", {"extra": {"services": {"public": "https://p.example"}}}, "extra 'public_url'", "of its own"),
    ("users twice", {"extra": {"services": {"Users": "https://p.example"}}}, "extra 'users_url'", "of its own"),
    ("secret in a URL", {"extra": {"public_url": f"https://a:{SECRET}@p.example"}}, "extra 'public_url'", "password"),
    ("unknown endpoint", {"extra": {"endpoints": {"unsubscribe": "/u"}}}, "extra 'endpoints'", "unsubscribe"),
    ("endpoints in broken JSON", {"extra": {"endpoints": "{"}}, "extra 'endpoints'", "JSON object"),
    ("verified perhaps", {"extra": {"unblacklist_verified": "?"}}, "extra 'unblacklist_verified'", "true or false"),
    ("timeout in words", {"extra": {"connect_timeout": "ten"}}, "extra 'connect_timeout'", "seconds"),
]


@pytest.mark.parametrize(("fields", "setting", "says"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_connection_that_can_not_work_is_refused_by_the_field_to_change(
    connect: Connect, fields: dict[str, Any], setting: str, says: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        _ = connect(**fields).client
    error = caught.value
    assert (error.setting, error.connection) == (setting, "letters")
    assert says in str(error)
    assert SECRET not in str(error)
    works, text = connect(**fields).test_connection()
    assert not works
    assert "to change: " in text


async def test_an_event_loop_gets_the_same_client(connect: Connect) -> None:
    hook = connect(extra=TYPED)
    found = await EngageOneHook("letters").aclient()
    assert (found.config.config, found.options, found.api.base_url) == (
        config(hook),
        hook.client.options,
        hook.client.api.base_url,
    )


def test_the_default_connection_is_engageone_default() -> None:
    assert EngageOneHook().engageone_conn_id == "engageone_default"


def test_making_a_hook_looks_nothing_up() -> None:
    EngageOneHook("there_is_no_such_connection")
