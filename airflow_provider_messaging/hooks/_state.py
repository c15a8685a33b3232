"""Airflow's task state store (3.3) as the place of the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Any, Protocol

from airflow_provider_messaging.core.errors import ConfigurationError


class Accessor(Protocol):
    """``context["task_state_store"]``."""

    def get(self, key: str, default: Any = None) -> Any: ...

    def set(self, key: str, value: Any) -> None: ...


LEDGER_KEY = "messaging_ledger"


class TaskStateLedger:
    """Keeps a ledger in the state of a task instance, which outlives retries and even a manual Clear.

    A Clear begins a new `generation`: the ledger of the one before is then not ours, and its last entry is the time
    before which a tracking event proves nothing about this one.
    """

    def __init__(self, accessor: Accessor, *, generation: int) -> None:
        self._accessor = accessor
        self._generation = generation

    def load(self) -> dict[str, Any] | None:
        stored = self._stored
        return stored["ledger"] if stored is not None and stored["generation"] == self._generation else None

    @cached_property
    def cleared_at(self) -> datetime | None:
        """The last entry of the ledger that a Clear put aside, None where there was none."""
        if self._stored is None:
            return None
        ours = self._stored["generation"] == self._generation
        text = self._stored["cleared_at"] if ours else self._stored["ledger"]["updated"]
        return datetime.fromisoformat(text) if text else None

    def save(self, document: dict[str, Any]) -> None:
        cleared_at = self.cleared_at.isoformat() if self.cleared_at else None
        self._accessor.set(LEDGER_KEY, {"generation": self._generation, "cleared_at": cleared_at, "ledger": document})

    @cached_property
    def _stored(self) -> dict[str, Any] | None:
        """What was there when this try began."""
        return stored_ledger(self._accessor.get(LEDGER_KEY))


def stored_ledger(stored: Any) -> dict[str, Any] | None:
    """Return what the task state store has under `LEDGER_KEY`: generation, time of the last Clear, and the ledger.

    :raises ConfigurationError: if it is none of ours.
    """
    if stored is None:
        return None
    if not isinstance(stored, dict) or not {"generation", "cleared_at", "ledger"} <= stored.keys():
        raise ConfigurationError(
            f"the task state {LEDGER_KEY!r} is not a ledger; nothing is sent without one, since nobody could say "
            f"what was "
            "sent before",
            setting="task state store",
        )
    return stored


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
