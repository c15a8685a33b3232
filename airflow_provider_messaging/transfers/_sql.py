"""The table of normalised feedback events."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_messaging.core.errors import ConfigurationError

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook

_TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*){0,2}")

COLUMNS = {
    "event_id": "VARCHAR(32) NOT NULL PRIMARY KEY",
    "vendor": "VARCHAR(32) NOT NULL",
    "kind": "VARCHAR(32) NOT NULL",
    "bounce_type": "VARCHAR(32)",
    "mode": "VARCHAR(32)",
    "category": "VARCHAR(64)",
    "reason": "VARCHAR(64)",
    "outcome": "TEXT",
    "reference": "VARCHAR(255)",
    "domain": "VARCHAR(255)",
    "mailbox": "VARCHAR(320)",
    "account_id": "VARCHAR(255)",
    "occurred_at": "{timestamp}",
    "raw": "TEXT",
    "loaded_at": "{timestamp} NOT NULL",
}
_TIMESTAMPS = {"postgresql": "TIMESTAMP WITH TIME ZONE", "mysql": "DATETIME(6)", "mariadb": "DATETIME(6)"}


class EventTable:
    """One table behind one SQL hook.

    :raises ConfigurationError: if the hook is not one of the common SQL provider, or the name is no table name.
    """

    def __init__(self, hook: Any, table: str) -> None:
        from airflow.providers.common.sql.hooks.sql import DbApiHook

        if not isinstance(hook, DbApiHook):
            raise ConfigurationError(
                f"its hook is {type(hook).__name__}, not one of Airflow's common SQL provider",
                setting="sql_conn_id",
            )
        if not _TABLE.fullmatch(table):
            raise ConfigurationError(f"{table!r} is not a table name", setting="table")
        self._hook: DbApiHook = hook
        self._table = table

    def create(self) -> None:
        """Create the table if it does not exist."""
        timestamp = _TIMESTAMPS.get(self._dialect, "TIMESTAMP")
        columns = ", ".join(f"{name} {kind.format(timestamp=timestamp)}" for name, kind in COLUMNS.items())
        self._hook.run(f"CREATE TABLE IF NOT EXISTS {self._table} ({columns})")

    def upsert(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Insert events, or replace those with the same ``event_id``, in one transaction."""
        now = self._time(datetime.now(UTC))
        names = list(COLUMNS)
        rows = {
            event["event_id"]: tuple(
                now if name == "loaded_at" else self._time(event[name]) if name == "occurred_at" else event[name]
                for name in names
            )
            for event in events
        }
        self._hook.insert_rows(
            self._table,
            list(rows.values()),
            target_fields=names,
            replace=True,
            replace_index="event_id",
            executemany=True,
            commit_every=0 if not rows else len(rows),
        )

    @property
    def _dialect(self) -> str:
        return str(getattr(self._hook, "dialect_name", "") or "")

    def _time(self, moment: datetime | None) -> Any:
        """Return a value that the database keeps as UTC; SQLite has no such type and gets sortable text."""
        if moment is None or self._dialect == "postgresql":
            return moment
        naive = moment.astimezone(UTC).replace(tzinfo=None)
        return naive.isoformat(sep=" ", timespec="microseconds")
