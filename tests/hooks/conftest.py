from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.contexts import fresh_tokens

__all__ = ["fresh_tokens"]

SECRET = "s3cret-s3cret"
Connect = Callable[..., MarigoldHook]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Makes the hook of a connection that is given as a URI or by its fields; they start from a valid one."""

    def make(uri: str | None = None, **fields: Any) -> MarigoldHook:
        valid = {"conn_type": "marigold", "login": "client", "password": SECRET}
        extra = {"account_id": "account", "customer": "contoso", **fields.pop("extra", {})}
        extra = {name: value for name, value in extra.items() if value is not ...}
        document = json.dumps({**valid, "extra": extra, **fields})
        monkeypatch.setenv("AIRFLOW_CONN_MAILING", document if uri is None else uri)
        return MarigoldHook("mailing")

    return make


@pytest.fixture
def to_sandbox(connect: Connect, sandbox: Sandbox) -> Connect:
    """Makes hooks of a connection to the sandbox, changed by field."""

    def make(**fields: Any) -> MarigoldHook:
        extra = {"account_id": "sandbox-account", "customer": ..., **fields.pop("extra", {})}
        url = sandbox.vendor_url("marigold")
        return connect(**{"host": url, "login": "sandbox", "password": "sandbox-secret", **fields}, extra=extra)

    return make


@pytest.fixture
def hook(to_sandbox: Connect) -> Iterator[MarigoldHook]:
    with to_sandbox() as hook:
        yield hook
