"""Rows into a table by their key: all of a transaction, or nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from airflow_provider_messaging.transfers._contracts import LOADED, Contract
from airflow_provider_messaging.transfers._dialects import Dialect, Table

Row = Mapping[str, Any]

_ENCODER = msgspec.json.Encoder()
_FIRST, _LAST = (column.name for column in LOADED)
_VERSION = "schema_version"
_ROWS_PER_STATEMENT = 500
_BYTES_PER_STATEMENT = 1_000_000
_JSON_TYPES = {"text": "text", "integer": "bigint", "timestamp": "timestamptz"}


class Written(NamedTuple):
    """How many rows are new, and how many had other values than before."""

    inserted: int = 0
    updated: int = 0

    def plus(self, other: Written) -> Written:
        return Written(self.inserted + other.inserted, self.updated + other.updated)


class JsonUpsert:
    """One statement for PostgreSQL, with all rows in one JSON document.

    As fast as COPY into a temporary table, with either driver, and without leaving dead entries in the catalogue. Rows
    that are there already, just so, are left out before the insert: it would lock, and so write, each of them.
    """

    def __init__(self, table: Table, contract: Contract) -> None:
        names = contract.names
        changing = contract.changing
        given = ", ".join(f"s.{name}" for name in names)
        typed = ", ".join(f"{column.name} {_JSON_TYPES[column.type]}" for column in contract.columns)
        assigned = ", ".join(
            f"{name} = COALESCE(excluded.{name}, t.{name})" if name in contract.kept else f"{name} = excluded.{name}"
            for name in changing
        )
        self._statement = (
            f"WITH written AS (INSERT INTO {table.sql} AS t ({', '.join(names)}, {_FIRST}, {_LAST}) "
            f"SELECT {given}, %(now)s::timestamptz, %(now)s::timestamptz "
            f"FROM json_to_recordset(%(rows)s::json) AS s ({typed}) "
            f"WHERE NOT EXISTS (SELECT FROM {table.sql} o WHERE o.{contract.key} = s.{contract.key} "
            f"AND NOT ({_differs('o', 's', contract)})) "
            # In the order of the key: two loads of the same rows wait for each other, and never both.
            f"ORDER BY s.{contract.key} "
            f"ON CONFLICT ({contract.key}) DO UPDATE SET {assigned}, {_LAST} = GREATEST(t.{_LAST}, excluded.{_LAST}) "
            f"WHERE {_differs('t', 'excluded', contract)} RETURNING {_FIRST}) "
            f"SELECT count(*) AS written, count(*) FILTER (WHERE {_FIRST} = %(now)s::timestamptz) AS fresh FROM written"
        )

    def write(self, cursor: Any, rows: Sequence[Row], now: datetime) -> Written:
        """Write rows whose keys differ."""
        cursor.execute(self._statement, {"rows": _ENCODER.encode(rows).decode(), "now": now})
        total, inserted = values_of(cursor.fetchone())
        return Written(inserted, total - inserted)


def _differs(old: str, new: str, contract: Contract) -> str:
    """Return the condition that a row has to be written over: not by an older version, not by what is the same."""
    compared = [name for name in contract.changing if name not in contract.kept]
    differs = [
        f"({', '.join(f'{old}.{name}' for name in compared)}) IS DISTINCT FROM "
        f"({', '.join(f'{new}.{name}' for name in compared)})",
        *(
            f"({new}.{name} IS NOT NULL AND {old}.{name} IS DISTINCT FROM {new}.{name})"
            for name in sorted(contract.kept)
        ),
    ]
    return f"COALESCE({old}.{_VERSION}, 0) <= {new}.{_VERSION} AND ({' OR '.join(differs)})"


class PlainUpsert:
    """Plain SELECT, INSERT and UPDATE, for every other database.

    Two loads at once may both insert a row: the second fails with an integrity error, and has to be done again.
    """

    def __init__(self, table: Table, contract: Contract, dialect: Dialect, placeholder: str) -> None:
        self._contract = contract
        self._dialect = dialect
        self._placeholder = placeholder
        self._times = frozenset(column.name for column in contract.columns if column.type == "timestamp")
        names = (*contract.names, _FIRST, _LAST)
        self._select = (
            f"SELECT {', '.join(contract.names)}, {_LAST} FROM {table.sql} WHERE {contract.key} IN ({{keys}})"
        )
        self._insert = f"INSERT INTO {table.sql} ({', '.join(names)}) VALUES ({', '.join([placeholder] * len(names))})"
        self._update = (
            f"UPDATE {table.sql} SET {', '.join(f'{name} = {placeholder}' for name in contract.changing)}, "
            f"{_LAST} = {placeholder} WHERE {contract.key} = {placeholder}"
        )

    def write(self, cursor: Any, rows: Sequence[Row], now: datetime) -> Written:
        """Write rows whose keys differ."""
        written = Written()
        for part in _parts(rows):
            written = written.plus(self._write(cursor, part, self._moment(now)))
        return written

    def _write(self, cursor: Any, rows: Sequence[Row], now: Any) -> Written:
        given = [self._values(row) for row in rows]
        cursor.execute(self._select.format(keys=", ".join([self._placeholder] * len(given))), [row[0] for row in given])
        there = {row[0]: row for row in (self._read(values_of(row)) for row in cursor.fetchall())}
        new = [(*row, now, now) for row in given if row[0] not in there]
        if new:
            cursor.executemany(self._insert, new)
        changed = []
        for row in given:
            old = there.get(row[0])
            if old and (merged := self._merged(old, row)):
                changed.append((*merged[1:], max(now, old[-1] or now), row[0]))
        if changed:
            cursor.executemany(self._update, changed)
        return Written(len(new), len(changed))

    def _merged(self, old: Sequence[Any], new: Sequence[Any]) -> list[Any] | None:
        names = self._contract.names
        version = names.index(_VERSION)
        if (old[version] or 0) > new[version]:
            return None
        merged = [
            old[at] if name in self._contract.kept and new[at] is None else new[at] for at, name in enumerate(names)
        ]
        return merged if merged != list(old[: len(names)]) else None

    def _values(self, row: Row) -> list[Any]:
        return [self._moment(row[name]) if name in self._times else row[name] for name in self._contract.names]

    def _moment(self, moment: datetime | None) -> Any:
        """Return UTC, as the database keeps it."""
        if moment is None:
            return None
        naive = moment.astimezone(UTC).replace(tzinfo=None)
        return naive.isoformat(sep=" ", timespec="microseconds") if self._dialect.name == "sqlite" else naive

    def _read(self, row: Sequence[Any]) -> list[Any]:
        """Return what a driver reads as it was written."""
        return [
            value.decode()
            if isinstance(value, bytes | bytearray)
            else value.astimezone(UTC).replace(tzinfo=None)
            if isinstance(value, datetime) and value.tzinfo
            else value
            for value in row
        ]


def values_of(row: Any) -> list[Any]:
    """Return a row's values; a connection may ask for rows that are dictionaries."""
    return list(row.values()) if isinstance(row, Mapping) else list(row)


def _parts(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Cut rows so that a statement stays below what servers take."""
    part: list[Row] = []
    size = 0
    for row in rows:
        part.append(row)
        size += weight(row)
        if len(part) >= _ROWS_PER_STATEMENT or size >= _BYTES_PER_STATEMENT:
            yield part
            part, size = [], 0
    if part:
        yield part


def weight(row: Row) -> int:
    """Return about how many bytes a row is long."""
    return 300 + len(row.get("raw") or row.get("details") or "") + len(row.get("outcome") or "")
