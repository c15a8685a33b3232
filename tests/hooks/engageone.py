"""Hooks of connections of type engageone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_messaging.hooks.engageone import EngageOneHook
from airflow_provider_messaging.sandbox.engageone.settings import CLIENT_ID, CUSTOMER_ID
from airflow_provider_messaging.sandbox.engageone.settings import SECRET as SANDBOX_SECRET
from airflow_provider_messaging.sandbox.process import Sandbox
from airflow_provider_messaging.transport.sync import SyncTransport
from tests.hooks.connections import connecting

SECRET = "s3cret-s3cret"
Connect = Callable[..., EngageOneHook]

__all__ = ["CUSTOMER_ID", "SANDBOX_SECRET", "SECRET", "Connect", "connect", "hook", "to_sandbox", "without_waiting"]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """See `connecting`."""
    extra = {"customer_id": "eocm-Acme"}
    valid = {"conn_type": "engageone", "login": "client", "password": SECRET}
    return connecting(monkeypatch, EngageOneHook, "letters", extra=extra, **valid)


@pytest.fixture
def to_sandbox(connect: Connect, sandbox: Sandbox) -> Connect:
    """Makes hooks of a connection to the sandbox, changed by field."""

    def make(**fields: Any) -> EngageOneHook:
        extra = {"customer_id": CUSTOMER_ID, **fields.pop("extra", {})}
        valid = {"host": sandbox.vendor_url("engageone"), "login": CLIENT_ID, "password": SANDBOX_SECRET}
        return connect(**{**valid, **fields}, extra=extra)

    return make


@pytest.fixture
def hook(to_sandbox: Connect) -> Iterator[EngageOneHook]:
    with to_sandbox() as hook:
        yield hook


def without_waiting(hook: EngageOneHook) -> EngageOneHook:
    """A hook that repeats at once what it would repeat after a pause."""
    vars(hook)["_transport"] = SyncTransport(hook.client.options, sleep=lambda seconds: None)
    return hook
