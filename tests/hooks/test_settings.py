"""The section [messaging] of Airflow's configuration."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_messaging.core.errors import ConfigurationError, VendorError
from airflow_provider_messaging.core.retry import RetryPolicy
from airflow_provider_messaging.hooks._settings import limited
from airflow_provider_messaging.hooks.messangi import MessangiHook
from airflow_provider_messaging.provider_info import get_provider_info
from airflow_provider_messaging.transport.options import TransportOptions

OPTIONS: dict[str, dict[str, Any]] = get_provider_info()["config"]["messaging"]["options"]
VENDORS = ("marigold", "engageone", "messangi", "pressnxpress")
REQUIRED = {
    "account_id": "account",
    "customer": "contoso",
    "customer_id": "eocm-Contoso",
    "touchpoint_token": "shop",
}


def client(monkeypatch: pytest.MonkeyPatch, vendor: str = "marigold", **extra: Any) -> Any:
    """The client of a connection with this extra."""
    document = {"conn_type": vendor, "login": "id", "password": "secret", "extra": {**REQUIRED, **extra}}
    monkeypatch.setenv("AIRFLOW_CONN_ACME", json.dumps(document))
    module = import_module(f"airflow_provider_messaging.hooks.{vendor}")
    names = {"engageone": "EngageOneHook"}
    return getattr(module, names.get(vendor, f"{vendor.capitalize()}Hook"))("acme").client


def set_option(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"AIRFLOW__MESSAGING__{name.upper()}", value)


@pytest.mark.parametrize("vendor", VENDORS)
def test_without_settings_the_code_decides(vendor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = client(monkeypatch, vendor)
    assert made.options == TransportOptions()
    assert made.api.retry == RetryPolicy()


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("connect_timeout", "3", 3.0),
        ("read_timeout", "7.5", 7.5),
        ("pool_size", "2", 2),
        ("user_agent", "acme/1", "acme/1"),
    ],
)
def test_a_setting_goes_before_the_code(
    vendor: str, name: str, value: str, expected: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_option(monkeypatch, name, value)
    assert getattr(client(monkeypatch, vendor).options, name) == expected


@pytest.mark.parametrize("name", ["connect_timeout", "read_timeout", "pool_size"])
def test_a_connections_extra_goes_before_the_setting(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_option(monkeypatch, name, "3")
    assert getattr(client(monkeypatch, **{name: "9"}).options, name) == 9
    assert getattr(client(monkeypatch, **{name: ""}).options, name) == 3


@pytest.mark.parametrize("vendor", VENDORS)
def test_retries_are_set_by_the_setting_or_the_extra(vendor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_option(monkeypatch, "retry_attempts", "2")
    set_option(monkeypatch, "retry_budget", "30")
    assert client(monkeypatch, vendor).api.retry == RetryPolicy(max_attempts=2, budget=30.0)
    assert client(monkeypatch, vendor, retry_attempts="7").api.retry == RetryPolicy(max_attempts=7, budget=30.0)


def test_the_retries_of_the_setting_are_those_of_the_calls(
    sandbox: Any, connections: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_option(monkeypatch, "retry_attempts", "2")
    sandbox.faults([{"vendor": "messangi", "operation": "list_owners", "fault": "status", "status": 502}])
    with MessangiHook() as hook, pytest.raises(VendorError):
        list(hook.list_owners())
    asked = [each for each in sandbox.requests(vendor="messangi") if each["operation"] == "list_owners"]
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("connect_timeout", "soon"),
        ("read_timeout", "0"),
        ("pool_size", "2.5"),
        ("user_agent", "café"),
        ("retry_attempts", "0"),
        ("retry_budget", "-1"),
    ],
)
def test_a_senseless_setting_is_named_with_both_of_its_places(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_option(monkeypatch, name, value)
    with pytest.raises(ConfigurationError) as caught:
        client(monkeypatch)
    assert str(caught.value).startswith(f"[messaging] {name} must be ")
    assert f"{name} in section [messaging] of airflow.cfg" in caught.value.setting
    assert f"AIRFLOW__MESSAGING__{name.upper()}" in caught.value.setting


@pytest.mark.parametrize("name", ["retry_attempts", "retry_budget"])
def test_a_senseless_extra_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match=f"extra '{name}' must be .* to change: extra '{name}'"):
        client(monkeypatch, **{name: "many"})


def test_concurrency_is_as_asked_for_without_a_limit() -> None:
    assert limited(64) == 64


def test_the_limit_holds_whatever_a_task_asks_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    set_option(monkeypatch, "concurrency_limit", "3")
    with caplog.at_level("INFO"):
        assert (limited(64), limited(3), limited(1)) == (3, 3, 1)
    assert "3 requests in flight instead of 64: [messaging] concurrency_limit" in caplog.text


def test_the_limit_reaches_the_send_of_an_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider_messaging.operators.marigold import SendEmailBatchOperator

    operator = SendEmailBatchOperator(task_id="send", messages=[], max_concurrency=8)
    set_option(monkeypatch, "concurrency_limit", "2")
    assert operator.max_concurrency == 8
    assert operator.options().max_concurrency == 2


DEFAULTS: list[tuple[str, object]] = [
    ("connect_timeout", TransportOptions().connect_timeout),
    ("read_timeout", TransportOptions().read_timeout),
    ("pool_size", TransportOptions().pool_size),
    ("retry_attempts", RetryPolicy().max_attempts),
    ("retry_budget", RetryPolicy().budget),
    ("user_agent", None),
    ("concurrency_limit", None),
]


@pytest.mark.parametrize(("name", "value"), DEFAULTS)
def test_the_documented_default_is_that_of_the_code(name: str, value: object) -> None:
    assert OPTIONS[name]["default"] == (None if value is None else str(value))


def test_every_setting_of_sending_is_tried_here() -> None:
    assert {name for name in OPTIONS if not name.startswith("webhook")} == {name for name, _ in DEFAULTS}


def test_airflow_lists_the_section_with_our_defaults_and_what_the_environment_says(airflow_db: Path) -> None:
    def asked(*arguments: str) -> str:
        environment = os.environ | {"AIRFLOW__MESSAGING__READ_TIMEOUT": "7"}
        command = [sys.executable, "-m", "airflow", "config", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, timeout=120)
        return done.stdout

    listed = asked("list", "--section", "messaging", "--include-descriptions", "--include-env-vars")
    assert "[messaging]" in listed
    for name, option in OPTIONS.items():
        assert f"{name} = " in listed
        assert option["description"].splitlines()[0] in listed
        assert f"AIRFLOW__MESSAGING__{name.upper()}" in listed
    assert asked("get-value", "messaging", "read_timeout").splitlines()[-1] == "7"
    assert asked("get-value", "messaging", "connect_timeout").splitlines()[-1] == "10.0"


def test_every_setting_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    for name in OPTIONS:
        assert f"| `{name}` |" in page, name
