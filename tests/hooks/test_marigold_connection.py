"""What a connection of type marigold means, and what is wrong with one that can't work."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.transport.options import TransportOptions
from airflow_provider_messaging.vendors.marigold.config import MarigoldConfig
from tests.hooks.conftest import SECRET, Connect
from tests.hooks.connections import as_uri, ways


def config(hook: MarigoldHook) -> MarigoldConfig:
    read = hook.client.config
    assert isinstance(read, MarigoldConfig)
    return read


TYPED = {
    "account_id": "4711",
    "customer": "contoso",
    "region": "us",
    "audience": "https://sdc.slgnt.us",
    "token_url": "https://login.example/oauth/token",
    "endpoints": {"track": "/tracking/v2/messages/{message_id}"},
    "tracking_verified": True,
    "connect_timeout": 5,
    "read_timeout": 7.5,
    "verify": False,
    "client_cert": "/certs/client.pem",
    "client_key": "/certs/client.key",
}


@pytest.mark.parametrize("way", ways("marigold", TYPED, login="client", password=SECRET))
def test_a_connection_means_the_same_however_it_is_given(connect: Connect, way: dict[str, Any]) -> None:
    client = connect(**way).client
    assert client.config == MarigoldConfig(
        connection="mailing",
        base_url="https://contoso.sdc.slgnt.us/api",
        token_url="https://login.example/oauth/token",
        client_id="client",
        client_secret=SECRET,
        account_id="4711",
        audience="https://sdc.slgnt.us",
        overrides={"track": "/tracking/v2/messages/{message_id}"},
        tracking_verified=True,
    )
    assert client.options == TransportOptions(
        connect_timeout=5.0,
        read_timeout=7.5,
        verify=False,
        client_cert="/certs/client.pem",
        client_key="/certs/client.key",
    )


def test_defaults_apply_where_the_form_was_left_empty(connect: Connect) -> None:
    empty = dict.fromkeys(set(TYPED) - {"account_id", "customer"})
    client = connect(extra={**empty, "region": "", "audience": ""}).client
    assert client.options == TransportOptions()
    assert client.config.base_url == "https://contoso.sdc.slgnt.eu/api"
    assert client.config.token_url == "https://auth.slgnt.eu/oauth/token"
    assert client.config.audience == "https://sdc.slgnt.eu"
    assert not client.config.tracking_verified
    assert not client.config.overrides


def test_characters_that_a_uri_must_escape_survive_in_client_id_and_secret(connect: Connect) -> None:
    extra = {"account_id": "a", "customer": "contoso"}
    read = config(connect(as_uri("marigold", extra, login="me@x/y", password="p:/?#[]@%&+ ü")))
    assert (read.client_id, read.client_secret) == ("me@x/y", "p:/?#[]@%&+ ü")


@pytest.mark.parametrize(
    ("region", "base", "token"),
    [
        ("eu", "https://contoso.sdc.slgnt.eu/api", "https://auth.slgnt.eu/oauth/token"),
        ("US", "https://contoso.sdc.slgnt.us/api", "https://auth.slgnt.us/oauth/token"),
    ],
)
def test_customer_and_region_make_the_urls(connect: Connect, region: str, base: str, token: str) -> None:
    read = config(connect(extra={"region": region}))
    assert (read.base_url, read.token_url) == (base, token)


@pytest.mark.parametrize(
    ("fields", "root"),
    [
        ({"host": "https://gateway.example"}, "https://gateway.example"),
        ({"host": "https://gateway.example/"}, "https://gateway.example"),
        ({"host": "https://gateway.example/api"}, "https://gateway.example"),
        ({"host": "https://gateway.example/api/"}, "https://gateway.example"),
        ({"host": "https://gateway.example/marigold"}, "https://gateway.example/marigold"),
        ({"host": "https://gateway.example/marigold/api"}, "https://gateway.example/marigold"),
        ({"host": "gateway.example"}, "https://gateway.example"),
        ({"host": "gateway.example", "port": 8443}, "https://gateway.example:8443"),
        ({"host": "https://gateway.example/api", "port": 8443}, "https://gateway.example:8443"),
        ({"host": "https://gateway.example:8443", "port": 9999}, "https://gateway.example:8443"),
        ({"host": "http://127.0.0.1", "port": 8765}, "http://127.0.0.1:8765"),
        ({"host": "127.0.0.1", "port": 8765, "schema": "http"}, "http://127.0.0.1:8765"),
        ({"host": "http://localhost:8765/marigold"}, "http://localhost:8765/marigold"),
        ({"host": "http://[::1]:8765"}, "http://[::1]:8765"),
    ],
)
@pytest.mark.parametrize("customer", ["contoso", ...])
def test_a_host_replaces_the_customers(connect: Connect, fields: dict[str, Any], root: str, customer: Any) -> None:
    read = config(connect(**fields, extra={"customer": customer}))
    assert (read.base_url, read.token_url) == (f"{root}/api", f"{root}/oauth/token")


def test_a_host_can_stand_in_a_uri_with_its_scheme_and_port(connect: Connect) -> None:
    read = config(connect(f"marigold://http://client:{SECRET}@127.0.0.1:8765/?account_id=account"))
    assert read.base_url == "http://127.0.0.1:8765/api"
    assert (read.client_id, read.client_secret) == ("client", SECRET)


def test_the_token_url_may_be_elsewhere_than_the_host(connect: Connect) -> None:
    read = config(connect(host="https://gateway.example", extra={"token_url": "https://login.example/t"}))
    assert (read.base_url, read.token_url) == ("https://gateway.example/api", "https://login.example/t")


def test_the_path_of_the_token_can_be_replaced(connect: Connect) -> None:
    read = config(connect(extra={"endpoints": {"token": "/v2/token"}}))
    assert read.token_url == "https://auth.slgnt.eu/v2/token"


REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("no client id", {"login": ""}, "login (client id)", "is missing"),
    ("no secret", {"password": None}, "password (client secret)", "is missing"),
    ("blank secret", {"password": "  "}, "password (client secret)", "is missing"),
    ("redacted secret", {"password": "***"}, "password (client secret)", "type it anew"),
    ("redacted client id", {"login": "***"}, "login (client id)", "type it anew"),
    ("no account", {"extra": {"account_id": None}}, "extra 'account_id'", "is missing"),
    ("redacted account", {"extra": {"account_id": "***"}}, "extra 'account_id'", "type it anew"),
    ("redacted token URL", {"extra": {"token_url": "***"}}, "extra 'token_url'", "type it anew"),
    ("account is an object", {"extra": {"account_id": {"id": 1}}}, "extra 'account_id'", "must be text"),
    ("neither customer nor host", {"extra": {"customer": None}}, "extra 'customer' (or the host)", "base URL"),
    ("customer with a path", {"extra": {"customer": "contoso/x"}}, "extra 'customer'", "first part of a host name"),
    ("customer with a domain", {"extra": {"customer": "contoso.evil.example#"}}, "extra 'customer'", "first part"),
    ("unknown region", {"extra": {"region": "mars"}}, "extra 'region'", "one of eu, us"),
    ("http to another machine", {"host": "http://gateway.example"}, "host", "https://"),
    ("http, by schema", {"host": "gateway.example", "schema": "http"}, "host", "https://"),
    ("http to a look-alike", {"host": "http://127.0.0.1.example"}, "host", "https://"),
    ("token URL on http", {"extra": {"token_url": "http://login.example"}}, "extra 'token_url'", "https://"),
    ("another scheme", {"host": "ftp://gateway.example"}, "host", "URL"),
    ("credentials in the host", {"host": f"https://me:{SECRET}@gateway.example"}, "host", "user name or password"),
    ("query in the host", {"host": "https://gateway.example/?a=b"}, "host", "query"),
    ("port that is none", {"host": "https://gateway.example:port"}, "host", "not a URL"),
    ("unknown endpoint", {"extra": {"endpoints": {"bounce_list": "/b"}}}, "extra 'endpoints'", "bounce_list"),
    ("endpoints in broken JSON", {"extra": {"endpoints": "{"}}, "extra 'endpoints'", "JSON object"),
    ("endpoints in a list", {"extra": {"endpoints": ["/b"]}}, "extra 'endpoints'", "JSON object"),
    ("endpoints with numbers", {"extra": {"endpoints": {"track": 1}}}, "extra 'endpoints'", "JSON object"),
    ("tracking perhaps", {"extra": {"tracking_verified": "perhaps"}}, "extra 'tracking_verified'", "true or false"),
    ("timeout of nothing", {"extra": {"read_timeout": "0"}}, "extra 'read_timeout'", "above 0"),
    ("timeout in words", {"extra": {"connect_timeout": "ten"}}, "extra 'connect_timeout'", "seconds"),
    ("key without certificate", {"extra": {"client_key": "/k.pem"}}, "extra 'client_key'", "client_cert"),
    ("proxy that is no URL", {"extra": {"proxy": f"me:{SECRET}@proxy"}}, "extra 'proxy'", "must be a URL"),
    ("verify is an object", {"extra": {"verify": {"a": 1}}}, "extra 'verify'", "must be a string"),
]


@pytest.mark.parametrize(("fields", "setting", "says"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_connection_that_can_not_work_is_refused_by_the_field_to_change(
    connect: Connect, fields: dict[str, Any], setting: str, says: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        _ = connect(**fields).client
    error = caught.value
    assert (error.setting, error.connection) == (setting, "mailing")
    assert says in str(error)
    assert "'mailing'" in str(error)
    assert SECRET not in str(error)
    assert not error.retryable


@pytest.mark.parametrize("fields", [row[1] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_test_connection_says_what_is_wrong_with_the_connection(connect: Connect, fields: dict[str, Any]) -> None:
    works, text = connect(**fields).test_connection()
    assert not works
    assert "to change: " in text
    assert SECRET not in text


def test_an_extra_that_is_no_json_object_is_refused(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    # Airflow 3.1 does not find such a connection at all.
    found = SimpleNamespace(host="", port=None, schema="", login="client", password=SECRET, extra_dejson=[1])
    monkeypatch.setattr(MarigoldHook, "get_connection", staticmethod(lambda conn_id: found))
    with pytest.raises(ConfigurationError, match="extra must be a JSON object"):
        _ = connect().client


async def test_an_event_loop_gets_the_same_client(connect: Connect) -> None:
    hook = connect(extra=TYPED)
    expected = hook.client
    found = await MarigoldHook("mailing").aclient()
    assert (found.config, found.options, found.api.base_url) == (
        expected.config,
        expected.options,
        expected.api.base_url,
    )


def test_the_default_connection_is_marigold_default() -> None:
    assert MarigoldHook().marigold_conn_id == "marigold_default"


def test_a_connection_is_looked_up_once(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = connect()
    first = hook.client
    monkeypatch.delenv("AIRFLOW_CONN_MAILING")
    assert hook.client is first


def test_making_a_hook_looks_nothing_up() -> None:
    MarigoldHook("there_is_no_such_connection")
