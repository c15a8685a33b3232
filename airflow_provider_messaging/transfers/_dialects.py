"""What databases differ in: quoting, types, catalogues."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, ClassVar

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.core.feedback import Column
from airflow_provider_messaging.transfers._contracts import LOADED, Contract

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook

Query = tuple[str, tuple[str | None, ...]]
"""A statement with ``?`` for its parameters, which yields one row with a count."""

_PART = r'(?:[A-Za-z_][A-Za-z0-9_$]*|"[^"%\x00-\x1f\x7f]+")'
_TABLE = re.compile(rf"{_PART}(?:\.{_PART}){{0,2}}")
_LONGEST_NAME = 63


@dataclass(frozen=True, slots=True)
class Table:
    """A table's name: as it is written in a statement, and its parts as the catalogue holds them."""

    sql: str
    schema: str | None
    name: str


class Dialect:
    """Standard SQL, for databases that we know nothing of: a name is left as it is given."""

    name: ClassVar[str] = ""
    quote: ClassVar[str] = ""
    text: ClassVar[str] = "TEXT"
    timestamp: ClassVar[str] = "TIMESTAMP"
    begin: ClassVar[str] = ""
    """What opens a transaction where the driver does not do so by itself."""

    def table(self, text: str) -> Table:
        """Return the table of that name. What stands in double quotes is exact, the rest follows the database's rules.

        :raises ConfigurationError: if it is no name.
        """
        if not _TABLE.fullmatch(text):
            raise ConfigurationError(f"{text!r} is not a table name", setting="table")
        parts = re.findall(_PART, text)
        names = [part[1:-1] if part.startswith('"') else self.folded(part) for part in parts]
        sql = ".".join(self.quoted(name) for name in names) if self.quote else text
        return Table(sql, names[-2] if len(names) > 1 else None, names[-1])

    def folded(self, name: str) -> str:
        return name

    def quoted(self, name: str) -> str:
        return self.quote + name.replace(self.quote, self.quote * 2) + self.quote if self.quote else name

    def type_of(self, column: Column) -> str:
        if column.type == "timestamp":
            return self.timestamp
        if column.type == "integer":
            return "BIGINT"
        return f"VARCHAR({column.length})" if column.length else self.text

    def creation(self, table: Table, contract: Contract) -> list[str]:
        """Return the statements that make the table."""
        return [f"CREATE TABLE IF NOT EXISTS {table.sql} ({self._columns(contract)})"]

    def addition(self, table: Table, column: Column) -> str:
        """Return the statement that adds a column to a table with rows in it."""
        return f"ALTER TABLE {table.sql} ADD COLUMN {column.name} {self.type_of(column)}"

    def exists(self, table: Table) -> Query | None:
        """Return what counts the tables of that name, None where it can't be asked."""
        return None

    def unique(self, table: Table, column: str) -> Query | None:
        """Return what counts the unique keys over just that column, None where it can't be asked."""
        return None

    def _columns(self, contract: Contract) -> str:
        return ", ".join(
            f"{column.name} {self.type_of(column)}"
            + (" NOT NULL" if column.required else "")
            + (" PRIMARY KEY" if column.name == contract.key else "")
            for column in (*contract.columns, *LOADED)
        )


class Postgresql(Dialect):
    name = "postgresql"
    quote = '"'
    timestamp = "TIMESTAMP WITH TIME ZONE"

    def folded(self, name: str) -> str:
        return name.lower()

    def creation(self, table: Table, contract: Contract) -> list[str]:
        return [
            f"CREATE TABLE {table.sql} ({self._columns(contract)})",
            *(
                f"CREATE INDEX {self.quoted(_index_name(table, columns))} ON {table.sql} ({', '.join(columns)})"
                for columns in contract.indexes
            ),
        ]

    def exists(self, table: Table) -> Query:
        return "SELECT count(*) FROM pg_catalog.pg_class WHERE oid = to_regclass(?)", (table.sql,)

    def unique(self, table: Table, column: str) -> Query:
        return (
            "SELECT count(*) FROM pg_catalog.pg_index i "
            "JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] "
            "WHERE i.indrelid = to_regclass(?) AND a.attname = ? "
            "AND i.indisunique AND i.indisvalid AND i.indnkeyatts = 1 AND i.indpred IS NULL",
            (table.sql, column),
        )


class MySql(Dialect):
    """MySQL and MariaDB. A reference is compared letter by letter, hence the collation."""

    name = "mysql"
    quote = "`"
    text = "LONGTEXT"
    timestamp = "DATETIME(6)"

    def creation(self, table: Table, contract: Contract) -> list[str]:
        indexes = "".join(f", INDEX ({', '.join(columns)})" for columns in contract.indexes)
        return [
            f"CREATE TABLE IF NOT EXISTS {table.sql} ({self._columns(contract)}{indexes}) "
            "DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
        ]

    def exists(self, table: Table) -> Query:
        return (
            "SELECT count(*) FROM information_schema.tables "
            "WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ?",
            (table.schema, table.name),
        )

    def unique(self, table: Table, column: str) -> Query:
        return (
            "SELECT count(*) FROM (SELECT index_name FROM information_schema.statistics "
            "WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ? AND non_unique = 0 "
            "GROUP BY index_name HAVING count(*) = 1 AND max(column_name) = ? AND max(sub_part) IS NULL) keys_",
            (table.schema, table.name, column),
        )


class Sqlite(Dialect):
    """SQLite has no timestamps: they are text that sorts, in UTC."""

    name = "sqlite"
    quote = '"'
    begin = "BEGIN IMMEDIATE"

    def creation(self, table: Table, contract: Contract) -> list[str]:
        schema = f"{self.quoted(table.schema)}." if table.schema else ""
        return [
            *super().creation(table, contract),
            *(
                f"CREATE INDEX IF NOT EXISTS {schema}{self.quoted(_index_name(table, columns))} "
                f"ON {self.quoted(table.name)} ({', '.join(columns)})"
                for columns in contract.indexes
            ),
        ]

    def exists(self, table: Table) -> Query:
        return (
            f"SELECT count(*) FROM {self.quoted(table.schema or 'main')}.sqlite_master "
            "WHERE type = 'table' AND name = ? COLLATE NOCASE",
            (table.name,),
        )

    def unique(self, table: Table, column: str) -> Query:
        return (
            'SELECT count(*) FROM pragma_index_list(?, ?) l WHERE l."unique" AND NOT l.partial '
            "AND (SELECT group_concat(i.name) FROM pragma_index_info(l.name, ?) i) = ?",
            (table.name, table.schema or "main", table.schema or "main", column),
        )


_DIALECTS = {"postgresql": Postgresql, "mysql": MySql, "mariadb": MySql, "sqlite": Sqlite}


def dialect_of(hook: DbApiHook) -> Dialect:
    """Return the dialect of the database behind a hook."""
    name = str(getattr(hook, "dialect_name", "") or "")
    if name == "postgresql" and hook.connection_extra_lower.get("redshift"):
        # It speaks PostgreSQL's protocol, and has neither its upsert nor its indexes.
        return Dialect()
    return _DIALECTS.get(name, Dialect)()


def _index_name(table: Table, columns: Sequence[str]) -> str:
    """Return a name that is the table's own, also where it has to be cut."""
    name = f"{table.name}_{'_'.join(columns)}_idx"
    if len(name.encode()) <= _LONGEST_NAME:
        return name
    digest = blake2b(name.encode(), digest_size=4).hexdigest()
    return name.encode()[: _LONGEST_NAME - len("_idx") - 9].decode("utf-8", "ignore") + f"_{digest}_idx"
