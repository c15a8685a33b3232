"""What the tests of Messangi share: connections to the sandbox, and what arrived there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_messaging.core.auth import TOKENS
from airflow_provider_messaging.hooks.messangi import MessangiHook
from airflow_provider_messaging.sandbox.messangi.settings import API_KEY, PASSWORD, TWO_FACTOR_TOKEN, USERNAME
from airflow_provider_messaging.sandbox.process import Sandbox

__all__ = ["API_KEY", "PASSWORD", "TWO_FACTOR_TOKEN", "USERNAME"]

VENDOR = "messangi"
LIST = "customers"
SMS: dict[str, Any] = {"to": "+49 151 23456789", "from": "12345", "text": "Hello"}
UNREACHABLE = "+49 151 23450000"
"""A number whose messages the sandbox rejects with status 200."""

Connect = Callable[..., MessangiHook]


@pytest.fixture(autouse=True)
def no_tokens() -> Iterator[None]:
    """A process that has logged in nowhere yet: a reset sandbox knows none of the earlier tokens."""
    TOKENS.reset()
    yield
    TOKENS.reset()


@pytest.fixture
def messangi(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Makes the default connection, one to the sandbox that is changed by field, and its hook."""

    def connect(**changes: Any) -> MessangiHook:
        document = json.loads(sandbox.connections["AIRFLOW_CONN_MESSANGI_DEFAULT"])
        extra = {**document["extra"], **changes.pop("extra", {})}
        extra = {name: value for name, value in extra.items() if value is not ...}
        document = {**document, **changes, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_MESSANGI_DEFAULT", json.dumps(document))
        return MessangiHook()

    connect()
    return connect


@pytest.fixture
def by_key(messangi: Connect) -> MessangiHook:
    """The hook of a connection with an API key and nothing else."""
    return messangi(login=None, password=None, extra={"api_key": API_KEY, "two_factor_token": ...})


def fault(kind: str, operation: str = "send_sms", **more: Any) -> dict[str, Any]:
    return {"vendor": VENDOR, "operation": operation, "fault": kind, **more}


def requests(sandbox: Sandbox, operation: str) -> list[dict[str, Any]]:
    return sandbox.requests(vendor=VENDOR, operation=operation)


def delivered(sandbox: Sandbox) -> list[dict[str, Any]]:
    return sandbox.deliveries(vendor=VENDOR)
