"""Manifests and landed feedback for tests of attribution and suppression."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_provider_messaging.operators.suppression import AttributeFeedbackOperator, SuppressFeedbackOperator
from tests.contexts import StateStore, TaskInstance, task_context
from tests.operators.conftest import Row, write_lines


def sent(reference: str, recipient: str, outcome: str = "accepted") -> Row:
    """A line of a manifest."""
    task = {"dag_id": "mailing", "run_id": "manual__1", "task_id": "send", "map_index": -1, "row": 0}
    about = {"profile": None, "tags": [], "at": "2026-03-10T12:00:00.000+00:00", "outcome": outcome}
    return {"reference": reference, "recipient": recipient, **task, **about}


def feedback(reference: str | None, day: int = 10, **more: Any) -> Row:
    """A row as the vendor gives it, without what only bounces have."""
    timestamp = f"2026-03-{day:02}T12:00:00.1234567Z"
    return {"account_id": "a", "external_reference": reference, "timestamp": timestamp, "domain": "example.com", **more}


def bounce(reference: str | None, day: int = 10, mapping: str = "hard", **more: Any) -> Row:
    return feedback(reference, day, **{"mapping": mapping, "mode": "direct", **more})


def land(folder: Path, rows: list[Any], kind: str = "bounces", day: int = 10, suffix: str = ".ndjson.gz") -> str:
    """Write rows where a landing of that day would."""
    path = folder / f"kind={kind}" / f"date=2026-03-{day:02}" / f"{kind}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_lines(path, rows)


def manifest(path: Path, recipients: Mapping[str, str]) -> str:
    """Write the lines of accepted messages, recipients by reference."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_lines(path, [sent(reference, recipient) for reference, recipient in recipients.items()])


def run(kind: type[Any], ti: TaskInstance | None = None, store: StateStore | None = None, **arguments: Any) -> Any:
    operator = kind(task_id="task", **arguments)
    return operator.execute(task_context(ti, store=store, task=operator))


def attribute(**arguments: Any) -> Any:
    return run(AttributeFeedbackOperator, **arguments)


def suppress(**arguments: Any) -> Any:
    return run(SuppressFeedbackOperator, **arguments)
