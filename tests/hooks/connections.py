"""Connections of any vendor, and the ways in which Airflow takes one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import pytest

from airflow_provider_messaging.hooks._base import MessagingHook

LEFT_EMPTY = {"proxy": None, "user_agent": ""}
"""Fields of the form in which nobody wrote anything."""

Hook = TypeVar("Hook", bound=MessagingHook)


def connecting(
    monkeypatch: pytest.MonkeyPatch,
    hook: Callable[[str], Hook],
    conn_id: str,
    *,
    extra: Mapping[str, Any] | None = None,
    **valid: Any,
) -> Callable[..., Hook]:
    """Return what makes the hook of a connection that is given as a URI or by its fields; they start from valid ones.

    An extra that is ``...`` is left out.
    """

    def make(uri: str | None = None, **fields: Any) -> Hook:
        changed = {**(extra or {}), **fields.pop("extra", {})}
        changed = {name: value for name, value in changed.items() if value is not ...}
        document = json.dumps({**valid, "extra": changed, **fields})
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", document if uri is None else uri)
        return hook(conn_id)

    return make


def as_uri(conn_type: str, extra: Mapping[str, str], *, login: str = "", password: str = "", host: str = "") -> str:
    return f"{conn_type}://{quote(login, safe='')}:{quote(password, safe='')}@{host}/?{urlencode(extra)}"


def ways(conn_type: str, extra: Mapping[str, Any], *, login: str = "", password: str = "") -> list[Any]:
    """Return parameters for `connecting` that all mean the same connection."""
    texts = {name: value if isinstance(value, str) else json.dumps(value).strip('"') for name, value in extra.items()}
    objects_as_text = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in extra.items()}
    form = {"host": "", "port": None, "schema": "", **({} if login else {"login": ""})}
    return [
        pytest.param({"uri": as_uri(conn_type, texts, login=login, password=password)}, id="uri"),
        pytest.param({"extra": extra}, id="json"),
        pytest.param({"extra": texts}, id="json with text only"),
        pytest.param({"extra": {**extra, **LEFT_EMPTY}, **form}, id="form"),
        pytest.param({"extra": {**objects_as_text, **LEFT_EMPTY}, **form}, id="form's json"),
    ]
