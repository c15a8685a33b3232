"""Test Connection: what an admin reads when it works, and when it does not."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.sandbox.process import Sandbox
from airflow_provider_messaging.transport.sync import SyncTransport
from dev.processes import free_port
from tests.hooks.conftest import Connect

WRONG = "wr0ng-wr0ng"


def without_waiting(hook: MarigoldHook) -> MarigoldHook:
    """A hook that repeats at once what it would repeat after a pause."""
    vars(hook)["_transport"] = SyncTransport(hook.client.options, sleep=lambda seconds: None)
    return hook


def test_a_good_connection_tells_how_long_its_token_lives_and_what_it_may(hook: MarigoldHook) -> None:
    works, text = hook.test_connection()
    assert works
    assert text == "Token valid for 119 minutes, scopes send:email"


def test_it_asks_the_vendor_even_if_a_token_is_at_hand(hook: MarigoldHook, sandbox: Sandbox) -> None:
    hook.track("some-message")
    hook.test_connection()
    assert len(sandbox.requests(operation="token")) == 2


def test_it_sends_and_reads_nothing_but_the_token(hook: MarigoldHook, sandbox: Sandbox) -> None:
    hook.test_connection()
    assert [request["operation"] for request in sandbox.requests()] == ["token"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"password": WRONG}, "gives no token for this client id, secret, account and audience"),
        ({"login": "nobody"}, "gives no token"),
        ({"extra": {"account_id": "stranger"}}, "gives no token"),
        ({"extra": {"audience": "https://elsewhere.example"}}, "gives no token"),
    ],
)
def test_wrong_credentials_are_named_after_a_single_request(
    to_sandbox: Connect, sandbox: Sandbox, changes: dict[str, Any], says: str
) -> None:
    with to_sandbox(**changes) as hook:
        works, text = hook.test_connection()
    assert not works
    assert says in text
    assert "connection 'mailing'" in text
    assert "password (client secret)" in text
    assert len(sandbox.requests()) == 1


FAULTS: list[tuple[str, dict[str, Any], str]] = [
    ("server error", {"fault": "status", "status": 500}, "HTTP 500"),
    ("throttled", {"fault": "status", "status": 429}, "HTTP 429"),
    ("redirect", {"fault": "status", "status": 302, "headers": {"Location": "/x"}}, "redirects are not followed"),
    ("not found", {"fault": "status", "status": 404, "body": "gone"}, "HTTP 404"),
    ("dropped", {"fault": "drop"}, "connection was lost"),
    ("malformed", {"fault": "malformed"}, "not the documented JSON"),
    ("truncated", {"fault": "truncate"}, "broke off"),
    ("no token in the answer", {"fault": "status", "status": 200, "body": '{"expires_in": 5}'}, "documented JSON"),
    ("empty token", {"fault": "status", "status": 200, "body": '{"access_token": ""}'}, "documented JSON"),
    ("a list", {"fault": "status", "status": 200, "body": "[]"}, "documented JSON"),
]


@pytest.mark.parametrize(("fault", "says"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_a_vendor_that_fails_is_described(
    hook: MarigoldHook, sandbox: Sandbox, fault: dict[str, Any], says: str
) -> None:
    sandbox.faults([{"operation": "token", **fault}])
    works, text = without_waiting(hook).test_connection()
    assert not works
    assert says in text
    assert "marigold token" in text
    assert "connection 'mailing'" in text


def test_nobody_listening_is_described(to_sandbox: Connect) -> None:
    with without_waiting(to_sandbox(host=f"http://127.0.0.1:{free_port()}")) as hook:
        works, text = hook.test_connection()
    assert not works
    assert "the connection was refused" in text


def test_an_unknown_host_is_described(to_sandbox: Connect) -> None:
    with without_waiting(to_sandbox(host="https://no-such-host.invalid")) as hook:
        works, text = hook.test_connection()
    assert not works
    assert "the host name could not be resolved" in text


def test_a_proxy_that_nobody_answers_at_is_described_without_its_password(to_sandbox: Connect) -> None:
    proxy = f"http://me:{WRONG}@127.0.0.1:{free_port()}"
    with without_waiting(to_sandbox(extra={"proxy": proxy})) as hook:
        works, text = hook.test_connection()
    assert not works
    assert "the proxy could not be used" in text
    assert WRONG not in text


def test_a_server_that_speaks_no_tls_is_described(to_sandbox: Connect, sandbox: Sandbox) -> None:
    with without_waiting(to_sandbox(host=sandbox.url.replace("http:", "https:"))) as hook:
        works, text = hook.test_connection()
    assert not works
    assert "TLS" in text


def test_a_missing_file_of_certificates_is_described(to_sandbox: Connect) -> None:
    with to_sandbox(host="https://127.0.0.1:1", extra={"verify": "/no/such/file.pem"}) as hook:
        works, text = hook.test_connection()
    assert not works
    assert "extra 'verify'" in text


@pytest.mark.parametrize("fault", [{"fault": "status", "status": 401}, {"fault": "status", "status": 400}])
def test_no_secret_that_the_vendor_echoes_reaches_the_text(
    to_sandbox: Connect, sandbox: Sandbox, fault: dict[str, Any]
) -> None:
    body = f'{{"title": "bad secret {WRONG}", "detail": "client_secret {WRONG} is wrong"}}'
    sandbox.faults([{"operation": "token", "body": body, **fault}])
    with to_sandbox(password=WRONG) as hook:
        works, text = hook.test_connection()
    assert not works
    assert WRONG not in text
