from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import FrozenInstanceError
from urllib.parse import parse_qsl, urlencode

import pytest

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.transport.options import TransportOptions


def test_the_defaults() -> None:
    assert TransportOptions.from_extra("vendor", {}) == TransportOptions(
        connect_timeout=10.0,
        read_timeout=60.0,
        proxy=None,
        verify=True,
        client_cert=None,
        client_key=None,
        user_agent="airflow-provider-messaging/0.1.0",
        pool_size=16,
        keep_alive=75,
    )


def test_options_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        TransportOptions().verify = False  # type: ignore[misc]


def test_the_repr_hides_the_proxys_password() -> None:
    assert "pa55word" not in repr(TransportOptions(proxy="http://user:pa55word@proxy.example"))


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("connect_timeout", "3", 3.0),
        ("connect_timeout", 2, 2.0),
        ("read_timeout", " 0.5 ", 0.5),
        ("read_timeout", 1e3, 1000.0),
        ("proxy", "http://u:p@proxy.example:3128", "http://u:p@proxy.example:3128"),
        ("proxy", "https://proxy.example", "https://proxy.example"),
        ("verify", "false", False),
        ("verify", "False", False),
        ("verify", " NO ", False),
        ("verify", "0", False),
        ("verify", 0, False),
        ("verify", False, False),
        ("verify", "true", True),
        ("verify", "1", True),
        ("verify", 1, True),
        ("verify", True, True),
        ("verify", "/etc/ssl/own.pem", "/etc/ssl/own.pem"),
        ("client_cert", "/etc/ssl/own.pem", "/etc/ssl/own.pem"),
        ("user_agent", "acme/2 (ops@acme.example)", "acme/2 (ops@acme.example)"),
        ("pool_size", "4", 4),
        ("pool_size", 4, 4),
        ("keep_alive", "30", 30.0),
        *[(key, empty, None) for key in ("proxy", "verify", "pool_size", "read_timeout") for empty in (None, "")],
    ],
)
def test_extras_are_read(key: str, value: object, expected: object) -> None:
    options = TransportOptions.from_extra("vendor", {key: value})
    assert getattr(options, key) == (getattr(TransportOptions(), key) if expected is None else expected)
    assert type(getattr(options, key)) is type(getattr(TransportOptions(), key) if expected is None else expected)


def test_extras_of_a_connection_uri_are_strings() -> None:
    query = urlencode({"connect_timeout": 5, "verify": False, "pool_size": 3, "proxy": "http://u:p%40@p.example"})
    options = TransportOptions.from_extra("vendor", dict(parse_qsl(query)))
    assert (options.connect_timeout, options.verify, options.pool_size) == (5.0, False, 3)
    assert options.proxy == "http://u:p%40@p.example"


def test_other_extras_are_left_alone() -> None:
    assert TransportOptions.from_extra("vendor", {"endpoints": {}, "scope": "x"}) == TransportOptions()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("connect_timeout", "soon"),
        ("connect_timeout", "0"),
        ("connect_timeout", -1),
        ("read_timeout", "nan"),
        ("read_timeout", "inf"),
        ("read_timeout", True),
        ("read_timeout", [1]),
        ("read_timeout", "1e999"),
        ("proxy", "proxy.example:3128"),
        ("proxy", "socks5://proxy.example"),
        ("proxy", "http://"),
        ("proxy", "http://p.example:99999"),
        ("proxy", "http://[half"),
        ("proxy", 3128),
        ("verify", ["x"]),
        ("verify", 2),
        ("client_cert", False),
        ("client_key", "/only/the/key.pem"),
        ("user_agent", "two\nlines"),
        ("user_agent", "café"),
        ("pool_size", "0"),
        ("pool_size", "2.5"),
        ("pool_size", 2.5),
        ("pool_size", True),
        ("pool_size", "many"),
        ("keep_alive", "-3"),
    ],
)
def test_a_senseless_extra_is_named(key: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=f"^vendor: extra '{key}' .*to change: extra '{key}'") as caught:
        TransportOptions.from_extra("vendor", {key: value})
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "value", ["ftp://user:pa55word@proxy.example", "user:pa55word@proxy.example", "http://[pa55word"]
)
def test_a_senseless_proxy_is_not_quoted(value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        TransportOptions.from_extra("vendor", {"proxy": value})
    assert "pa55word" not in str(caught.value)


def test_importing_the_drivers_imports_no_http_library() -> None:
    code = (
        "import sys\n"
        "import airflow_provider_messaging.transport.sync, airflow_provider_messaging.transport.aio\n"
        "heavy = {'requests', 'urllib3', 'aiohttp', 'yarl', 'certifi', 'airflow', 'http.client', 'urllib.request'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert run.stdout.strip() == "[]"
