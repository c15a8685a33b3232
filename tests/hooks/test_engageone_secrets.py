"""Neither the secret nor a token gets into a log, an error or a repr."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from airflow_provider_messaging.core.auth import TOKENS
from airflow_provider_messaging.core.errors import MessagingError
from airflow_provider_messaging.hooks.engageone import EngageOneHook
from airflow_provider_messaging.operators.engageone import BlacklistAddressOperator, SendCampaignOperator
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.contexts import StateStore, task_context
from tests.hooks.engageone import SANDBOX_SECRET, Connect, connect, to_sandbox, without_waiting

__all__ = ["connect", "to_sandbox"]

SEND: dict[str, Any] = {"communication": "Example", "email_json_path": "email"}
CALLS: dict[str, Callable[[EngageOneHook], Any]] = {
    "test_connection": lambda hook: hook.test_connection(),
    "blacklist": lambda hook: hook.blacklist("jane@example.com"),
    "unblacklist": lambda hook: hook.unblacklist("jane@example.com"),
    "send_campaign": lambda hook: hook.send_campaign("newsletter", [{"email": "jane@example.com"}], **SEND),
    "create_campaign": lambda hook: hook.create_campaign({"name": "x"}),
    "list_campaigns": lambda hook: list(hook.list_campaigns()),
    "upload_asset": lambda hook: hook.upload_asset(b"x", name="x.bin"),
    "request": lambda hook: hook.request("nlu", "POST", "/v1/x", json={}),
    "blacklist operator": lambda hook: BlacklistAddressOperator(
        task_id="t", emails=["jane@example.com"], engageone_conn_id="letters"
    ).execute(task_context(store=StateStore())),
    "send operator": lambda hook: SendCampaignOperator(
        task_id="t", campaign="newsletter", dataset=[{"email": "jane@example.com"}], engageone_conn_id="letters", **SEND
    ).execute(task_context(store=StateStore())),
}
# For ECHO the vendor answers with the secret and the token, wherever its errors have a text.
ANSWERS: dict[str, dict[str, Any]] = {
    "as usual": {},
    "refused": {"fault": "status", "status": 401, "body": "ECHO"},
    "forbidden": {"fault": "status", "status": 403, "body": "ECHO"},
    "invalid": {"fault": "status", "status": 400, "body": "ECHO"},
    "server error": {"fault": "status", "status": 500, "body": "ECHO"},
    "lost": {"fault": "drop", "when": "after"},
    "malformed": {"fault": "malformed"},
    "truncated": {"fault": "truncate"},
}


# An operator really waits before it repeats.
CASES = [
    pytest.param(call, kind, id=f"{call}-{kind}")
    for call in CALLS
    for kind in ANSWERS
    if call != "blacklist operator" or kind not in {"server error", "lost", "truncated"}
]


@pytest.mark.parametrize(("call", "kind"), CASES)
def test_neither_secret_nor_token_gets_out(
    to_sandbox: Connect,
    sandbox: Sandbox,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    call: str,
    kind: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    with to_sandbox() as hook:
        without_waiting(hook)
        hook.get_campaign("campaign-000001")
        token = TOKENS.get(hook.client.config.auth.key)
        assert token is not None
        secrets = (SANDBOX_SECRET, token.value)
        if fault := dict(ANSWERS[kind]):
            if "body" in fault:
                echo = f"bad {SANDBOX_SECRET} Bearer {token.value}"
                errors = [{"message": echo, "field": echo}]
                fault["body"] = json.dumps({"message": echo, "code": token.value, "errors": errors})
            sandbox.faults([{"vendor": "engageone", **fault}])
        told = ""
        try:
            told = repr(CALLS[call](hook))
        except Exception as error:
            told = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
        told += repr([hook.client, hook.client.config, hook.client.api, vars(hook)])
    told += caplog.text + capfd.readouterr().out
    for secret in secrets:
        assert secret not in told


def test_a_new_token_is_hidden_in_airflows_logs(to_sandbox: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden: list[str] = []
    monkeypatch.setattr("airflow.sdk.log.mask_secret", hidden.append)
    with to_sandbox() as hook:
        hook.get_campaign("campaign-000001")
        token = TOKENS.get(hook.client.config.auth.key)
    assert token is not None
    assert token.value in hidden


def test_no_address_is_logged(
    to_sandbox: Connect, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with to_sandbox() as hook:
        for call in ("blacklist", "unblacklist", "send_campaign", "blacklist operator", "send operator"):
            with suppress(MessagingError):
                CALLS[call](hook)
    log = caplog.text + capfd.readouterr().out
    assert "engageone.blacklist" in log
    for word in ("jane", "%40"):
        assert word not in log
