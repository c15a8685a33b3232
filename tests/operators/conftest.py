from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_messaging.operators.marigold import SendEmailBatchOperator
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.contexts import StateStore, TaskInstance, fresh_tokens, object_storage, task_context
from tests.operators.archived import Archived, archived_messages
from tests.sandbox.conftest import Marigold

__all__ = ["fresh_tokens", "object_storage"]

Row = dict[str, Any]
Send = Callable[..., dict[str, Any]]


def message(number: int, **more: Any) -> Row:
    """A valid row in the short form, without a reference."""
    row = {"to": f"user{number}@example.com", "from": "News <news@example.com>", "subject": f"No. {number}"}
    return {**row, "text": f"Hello {number}", **more}


def messages(count: int) -> list[Row]:
    return [message(number) for number in range(count)]


def write_lines(path: Path, rows: list[Any]) -> str:
    """Write rows as NDJSON and return the path as text."""
    data = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return str(path)


def read_lines(path: str | Path) -> list[Row]:
    data = Path(str(path).removeprefix("file://")).read_bytes()
    return [json.loads(line) for line in (gzip.decompress(data) if str(path).endswith(".gz") else data).splitlines()]


@pytest.fixture(params=["task state store", "no task state store"])
def store(request: pytest.FixtureRequest) -> StateStore | None:
    """What Airflow 3.3 offers, and what older ones do."""
    return StateStore() if request.param == "task state store" else None


@pytest.fixture
def send(marigold_conn: str) -> Send:
    """Executes a `SendEmailBatchOperator` in a context of its own, or in the one given by `ti` and `store`."""

    def run(*, ti: TaskInstance | None = None, store: StateStore | None = None, **arguments: Any) -> dict[str, Any]:
        operator = SendEmailBatchOperator(task_id="send", **{"reconcile_window": 1.0, **arguments})
        return operator.execute(task_context(ti, store=store, task=operator))

    return run


@pytest.fixture
def marigold(sandbox: Sandbox) -> Iterator[Marigold]:
    """A plain client of the vendor."""
    with closing(Marigold(sandbox.url)) as client:
        yield client


@pytest.fixture
def archived(sandbox: Sandbox, marigold: Marigold) -> Archived:
    """Reads what the sandbox keeps of the messages that it accepted with ``archive_enabled`` and a profile."""
    return partial(archived_messages, sandbox, marigold)
