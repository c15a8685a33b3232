"""API keys, logins, tokens that expire, second factors; and never a secret in a text."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from airflow_provider_messaging.core.auth import TOKENS
from airflow_provider_messaging.core.errors import AuthenticationError, ConfigurationError, MessagingError, VendorError
from airflow_provider_messaging.hooks.messangi import MessangiHook
from airflow_provider_messaging.sandbox.process import Sandbox
from airflow_provider_messaging.vendors.messangi.auth import LIFE, MARGIN, log_in
from airflow_provider_messaging.vendors.messangi.config import MessangiConfig
from airflow_provider_messaging.vendors.messangi.endpoints import SEND_SMS
from tests.messangi import (
    API_KEY,
    PASSWORD,
    SMS,
    TWO_FACTOR_TOKEN,
    UNREACHABLE,
    USERNAME,
    Connect,
    by_key,
    delivered,
    fault,
    messangi,
    no_tokens,
    requests,
)

__all__ = ["by_key", "messangi", "no_tokens"]


def send(hook: MessangiHook) -> str:
    return hook.send_message("sms", SMS)


def config(hook: MessangiHook) -> MessangiConfig:
    read = hook.client.config
    assert isinstance(read, MessangiConfig)
    return read


# API keys ---------------------------------------------------------------------------------------------------------


def test_an_api_key_needs_no_login(by_key: MessangiHook, sandbox: Sandbox) -> None:
    assert send(by_key)
    assert not requests(sandbox, "login")


def test_an_expired_api_key_is_told_as_such_and_tried_once(by_key: MessangiHook, sandbox: Sandbox) -> None:
    sandbox.settings("messangi", api_key_expired=True)
    with pytest.raises(AuthenticationError) as caught:
        send(by_key)
    assert caught.value.setting == "extra 'api_key' (keys may expire)"
    assert caught.value.trace_id
    assert not caught.value.retryable
    assert len(requests(sandbox, "send_sms")) == 1


# Logins -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["bearer", "bare"])
def test_the_token_of_a_login_is_in_its_header_with_or_without_a_scheme(
    messangi: Connect, sandbox: Sandbox, form: str
) -> None:
    sandbox.settings("messangi", login_header_form=form)
    assert send(messangi())


def test_hooks_share_the_token_of_a_login(messangi: Connect, sandbox: Sandbox) -> None:
    for _ in range(3):
        send(messangi())
    assert len(requests(sandbox, "login")) == 1


def test_another_password_is_another_login(messangi: Connect) -> None:
    keys = {config(messangi(password=password)).cache_key for password in ("a", "b", "a")}
    assert len(keys) == 2


def test_a_token_is_used_for_a_day_less_a_margin(messangi: Connect) -> None:
    hook = messangi()
    token = hook.run(log_in(config(hook), clock=lambda: 1000.0))
    assert token.expires_at == 1000.0 + LIFE - MARGIN == 1000.0 + 86_100


def test_a_token_that_expired_early_is_renewed_once_and_the_message_sent_once(
    messangi: Connect, sandbox: Sandbox
) -> None:
    send(messangi())
    sandbox.faults([fault("expire_token", times=1)])
    send(messangi())
    assert len(requests(sandbox, "login")) == 2
    assert len(delivered(sandbox)) == 2


def test_a_token_that_stays_refused_is_renewed_once_only(messangi: Connect, sandbox: Sandbox) -> None:
    sandbox.faults([fault("status", status=401)])
    with pytest.raises(AuthenticationError) as caught:
        send(messangi())
    assert caught.value.setting == "login (user name) and password"
    assert len(requests(sandbox, "login")) == 2


def test_a_bad_login_names_login_and_password(messangi: Connect, sandbox: Sandbox) -> None:
    with pytest.raises(AuthenticationError) as caught:
        send(messangi(password="wrong-password"))
    assert caught.value.setting == "login (user name) and password"
    assert caught.value.operation == "login"
    assert not caught.value.retryable
    assert [request["status"] for request in requests(sandbox, "login")] == [403]
    assert "wrong-password" not in str(caught.value)


def test_a_login_without_a_token_is_an_error_of_the_vendor(messangi: Connect, sandbox: Sandbox) -> None:
    sandbox.faults([fault("status", "login", status=200, body="{}")])
    with pytest.raises(VendorError, match="no token in its Authorization header"):
        send(messangi())


def test_a_throttled_login_is_waited_for(messangi: Connect, sandbox: Sandbox) -> None:
    sandbox.faults([fault("status", "login", status=429, times=1)])
    assert send(messangi())


# The second factor ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("extra", [{}, {"api_key": API_KEY}])
def test_a_402_is_answered_once_with_the_second_factor(
    messangi: Connect, sandbox: Sandbox, extra: dict[str, str]
) -> None:
    sandbox.settings("messangi", two_factor=True)
    assert send(messangi(extra=extra))
    assert [request["status"] for request in requests(sandbox, "send_sms")] == [402, 200]
    assert len(delivered(sandbox)) == 1


def test_without_a_second_factor_a_402_says_where_to_put_it(messangi: Connect, sandbox: Sandbox) -> None:
    sandbox.settings("messangi", two_factor=True)
    with pytest.raises(AuthenticationError) as caught:
        send(messangi(extra={"two_factor_token": ...}))
    assert caught.value.setting == "extra 'two_factor_token' (the vendor asks for one)"
    assert len(requests(sandbox, "send_sms")) == 1


def test_a_wrong_second_factor_is_tried_once(messangi: Connect, sandbox: Sandbox) -> None:
    sandbox.settings("messangi", two_factor=True)
    with pytest.raises(AuthenticationError) as caught:
        send(messangi(extra={"two_factor_token": "wrong-factor"}))
    assert caught.value.setting == "extra 'two_factor_token' (the vendor does not take this one)"
    assert "wrong-factor" not in str(caught.value)
    assert len(requests(sandbox, "send_sms")) == 2


def test_a_login_may_ask_for_the_second_factor_as_well(messangi: Connect, sandbox: Sandbox) -> None:
    sandbox.faults([fault("status", "login", status=402, times=1)])
    assert send(messangi())
    assert len(requests(sandbox, "login")) == 2


def test_a_token_and_a_second_factor_can_both_be_asked_for(messangi: Connect, sandbox: Sandbox) -> None:
    sandbox.settings("messangi", two_factor=True)
    send(messangi())
    sandbox.faults([fault("expire_token", times=1)])
    send(messangi())
    statuses = [request["status"] for request in requests(sandbox, "send_sms")]
    assert statuses == [402, 200, 401, 402, 200]


def test_the_second_factor_is_not_sent_unasked(messangi: Connect) -> None:
    hook = messangi()
    authorized = hook.run(hook.client.api.auth.authorize(hook.client.api.request(SEND_SMS)))
    assert sorted(authorized.headers) == ["Accept", "Authorization", "Content-Type"]


# Test Connection --------------------------------------------------------------------------------------------------


def test_the_form_says_who_logged_in_and_what_is_seen(messangi: Connect, sandbox: Sandbox) -> None:
    sandbox.seed_listing("subscribers", 1, vendor="messangi", list="news")
    assert messangi().test_connection() == (True, f"Logged in as {USERNAME}, lists: 1")


def test_the_form_asks_the_vendor_even_if_a_token_is_at_hand(messangi: Connect, sandbox: Sandbox) -> None:
    send(messangi())
    messangi().test_connection()
    assert len(requests(sandbox, "login")) == 2


def test_the_form_tries_an_api_key_without_a_prefix(messangi: Connect, sandbox: Sandbox) -> None:
    hook = messangi(extra={"api_key": API_KEY, "subscribers_prefix": ...})
    ok, message = hook.test_connection()
    assert ok
    assert message.startswith("The API key is accepted. Lists and subscribers were not tried")
    sandbox.settings("messangi", api_key_expired=True)
    ok, message = hook.test_connection()
    assert not ok
    assert "extra 'api_key' (keys may expire)" in message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"password": "wrong-password"}, "login (user name) and password"),
        ({"extra": {"subscribers_prefix": "/wrong/v1"}}, "extra 'subscribers_prefix'"),
        ({"extra": {"two_factor_token": ...}}, "extra 'two_factor_token'"),
    ],
)
def test_the_form_says_what_to_mend(messangi: Connect, sandbox: Sandbox, changes: dict[str, Any], said: str) -> None:
    sandbox.settings("messangi", two_factor="two_factor_token" in changes.get("extra", {}))
    ok, message = messangi(**changes).test_connection()
    assert not ok
    assert said in message


def test_the_form_does_not_wait_for_a_vendor_that_throttles(messangi: Connect, sandbox: Sandbox) -> None:
    sandbox.faults([fault("status", "list_lists", status=503)])
    ok, message = messangi().test_connection()
    assert not ok
    assert "HTTP 503" in message
    assert len(requests(sandbox, "list_lists")) == 1


# Secrets ----------------------------------------------------------------------------------------------------------

SECRETS = (PASSWORD, API_KEY, TWO_FACTOR_TOKEN)
TROUBLE: dict[str, list[dict[str, Any]]] = {
    "none": [],
    "an expired token": [fault("expire_token", times=1)],
    "a refusal": [fault("status", status=403)],
    "a second factor": [fault("status", status=402)],
    "a lost reply": [fault("drop", when="after")],
    "a malformed answer": [fault("malformed")],
    "a refused login": [fault("status", "login", status=403)],
    "an echo": [
        fault(
            "status", status=400, body=json.dumps({"errors": {"details": [{"field": "x", "message": secret}]}}), times=1
        )
        for secret in SECRETS
    ]
    + [
        fault("status", status=400, body=json.dumps({"errors": {"reason": f"who are you, {secret}?"}}), times=1)
        for secret in SECRETS
    ],
}


@pytest.mark.parametrize("trouble", TROUBLE)
@pytest.mark.parametrize("with_key", [False, True], ids=["login", "api key"])
def test_no_log_no_error_and_no_repr_shows_a_secret(
    messangi: Connect, sandbox: Sandbox, caplog: pytest.LogCaptureFixture, trouble: str, with_key: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("urllib3", "requests", "aiohttp", "airflow_provider_messaging"):
        caplog.set_level(logging.DEBUG, logger=name)
    hook = messangi(extra={"api_key": API_KEY} if with_key else {})
    sandbox.faults(TROUBLE[trouble])
    errors = []
    for number in ("+49 151 23456789", UNREACHABLE):
        try:
            hook.send_message("sms", {**SMS, "to": number})
        except MessagingError as error:
            errors += [str(error), repr(error), repr(error.__cause__), repr(error.__context__)]
    tokens = [token.value for token in TOKENS._tokens.values()]
    assert bool(tokens) is (not with_key and trouble != "a refused login")
    shown = caplog.text + "".join(errors) + repr(hook.client) + repr(TOKENS._tokens)
    ours = SECRETS if with_key else (PASSWORD, TWO_FACTOR_TOKEN)
    assert not any(secret in shown for secret in (*ours, *tokens))


def test_a_generic_request_can_not_replace_the_credentials(messangi: Connect) -> None:
    for name in ("Authorization", "cb-2fa-token"):
        with pytest.raises(ConfigurationError, match="not yours to set"):
            messangi().request("GET", "/x", headers={name: "mine"})
