"""Stand-ins for what Airflow gives to a running task: as much of a context as our operators read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_messaging.core.auth import TOKENS


class StateStore:
    """``context["task_state_store"]``: keeps JSON, as the real one does, and outlives the tries of a task."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return json.loads(self.values[key]) if key in self.values else default

    def set(self, key: str, value: Any) -> None:
        self.values[key] = json.dumps(value)
        # Airflow refuses what is not JSON as it is: tuples, for instance.
        assert json.loads(self.values[key]) == value


@dataclass
class TaskInstance:
    dag_id: str = "mailing"
    run_id: str = "manual__1"
    task_id: str = "send"
    map_index: int = -1
    try_number: int = 1
    max_tries: int = 0
    xcoms: dict[str, Any] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value


@dataclass
class DagRun:
    start_date: datetime = field(default_factory=lambda: datetime.now(UTC))
    run_type: str = "manual"
    run_after: datetime | None = None


def task_context(ti: TaskInstance | None = None, *, store: StateStore | None = None, **more: Any) -> Any:
    """Return a context; without a store, that of an Airflow before 3.3."""
    context: dict[str, Any] = {"ti": ti or TaskInstance(), "dag_run": DagRun(), **more}
    if store is not None:
        context["task_state_store"] = store
    return context


@pytest.fixture(autouse=True)
def fresh_tokens() -> Iterator[None]:
    """A process that has fetched no token yet: a reset sandbox knows none of the earlier ones."""
    TOKENS.reset()
    yield
    TOKENS.reset()


@pytest.fixture
def object_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty object storage at ``memory://``, gone after the test: Airflow keeps what is attached first for good."""
    monkeypatch.setattr("airflow.sdk.io.store._STORE_CACHE", {})
    empty = type("Memory", (MemoryFileSystem,), {"store": {}, "pseudo_dirs": [""]})
    attach("memory", fs=empty(skip_instance_cache=True))
