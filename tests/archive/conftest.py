from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_messaging.core.connection import ConnectionParts
from airflow_provider_messaging.core.retry import RetryPolicy
from airflow_provider_messaging.hooks._base import Client
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.operators.marigold import ExportArchiveOperator
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.contexts import TaskInstance, fresh_tokens, task_context

__all__ = ["fresh_tokens"]

Result = dict[str, Any]
Export = Callable[..., Result]


def row(reference: str, profile: str = "p-1", **more: Any) -> dict[str, Any]:
    """An e-mail that is archived."""
    return {
        "reference": reference,
        "to": "jane@example.com",
        "from": "news@example.com",
        "subject": "Hi",
        "text": "Hello",
        "html": "<p>Hello</p>",
        "profile": profile,
        "archive_enabled": True,
        **more,
    }


def attachment(name: str, data: str = "aGVsbG8=") -> dict[str, str]:
    return {"file_name": name, "mime_type": "text/plain", "data": data}


def seeded(message_id: str, timestamp: str = "2026-03-10T12:00:00Z", *names: str, **more: Any) -> dict[str, Any]:
    """A message for `Sandbox.seed_archive`, with attachments of these names."""
    attachments = [{"file_name": name} for name in names]
    return {"message_id": message_id, "timestamp": timestamp, "attachments": attachments, **more}


def index(path: Path | str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_bytes().splitlines()]


def folder_of(target: Path, message_id: str) -> Path:
    (line,) = [line for line in index(target / "index.ndjson") if line["message_id"] == message_id]
    return target / line["folder"]


def metadata(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "metadata.json").read_bytes())
    return document


def fetched(sandbox: Sandbox) -> list[str]:
    """The paths of all downloads and metadata that were asked for."""
    return [
        each["path"]
        for each in sandbox.requests()
        if (each["operation"] or "").startswith("archive_") and each["operation"] != "archive_list"
    ]


@pytest.fixture
def hook(marigold_conn: str) -> Iterator[MarigoldHook]:
    with MarigoldHook(marigold_conn) as hook:
        yield hook


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where exports go: a folder of its own, so that what escapes it can be seen."""
    return tmp_path / "outer" / "export"


@pytest.fixture
def export(marigold_conn: str, target: Path) -> Export:
    """Executes an `ExportArchiveOperator` of profile ``p-1`` to `target`."""

    def run(ti: TaskInstance | None = None, **arguments: Any) -> Result:
        if "profile_ids_path" not in arguments:
            arguments.setdefault("profile_ids", ["p-1"])
        operator = ExportArchiveOperator(task_id="export", **{"export_path": str(target), **arguments})
        return operator.execute(task_context(ti))

    return run


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let calls be repeated almost at once."""
    build = MarigoldHook.build_client

    def impatient(hook: MarigoldHook, parts: ConnectionParts) -> Client:
        client = build(hook, parts)
        return replace(client, api=replace(client.api, retry=RetryPolicy(base=0.01)))

    monkeypatch.setattr(MarigoldHook, "build_client", impatient)
