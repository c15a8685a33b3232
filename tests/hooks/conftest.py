from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.contexts import fresh_tokens
from tests.hooks.connections import connecting

__all__ = ["fresh_tokens"]

SECRET = "s3cret-s3cret"
Connect = Callable[..., MarigoldHook]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """See `connecting`."""
    extra = {"account_id": "account", "customer": "contoso"}
    valid = {"conn_type": "marigold", "login": "client", "password": SECRET}
    return connecting(monkeypatch, MarigoldHook, "mailing", extra=extra, **valid)


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
