"""Airflow's task state store (3.3) as the place of the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from airflow_provider_messaging.core.errors import ConfigurationError


class Accessor(Protocol):
    """``context["task_state_store"]``."""

    def get(self, key: str, default: Any = None) -> Any: ...

    def set(self, key: str, value: Any) -> None: ...


class TaskStateLedger:
    """Keeps a ledger in the state of a task instance. A manual Clear changes `generation` and so begins a new one."""

    def __init__(self, accessor: Accessor, *, generation: int) -> None:
        self._accessor = accessor
        self._key = f"messaging_ledger_{generation}"

    def load(self) -> dict[str, Any] | None:
        document = self._accessor.get(self._key)
        if document is not None and not isinstance(document, dict):
            raise ConfigurationError(f"the task state {self._key!r} is not a ledger", setting="task state store")
        return document

    def save(self, document: dict[str, Any]) -> None:
        self._accessor.set(self._key, document)


class NoLedger:
    """For Airflow 3.1 and 3.2, which have no task state store."""

    def load(self) -> dict[str, Any] | None:
        return None

    def save(self, document: dict[str, Any]) -> None:
        pass


def state_accessor(context: Mapping[str, Any]) -> Accessor | None:
    """Return the task state store, None before Airflow 3.3."""
    accessor: Accessor | None = context.get("task_state_store")
    return accessor
