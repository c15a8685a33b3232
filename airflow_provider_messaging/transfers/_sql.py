"""One table behind one Airflow connection: made, checked, loaded. A transaction is repeated where that helps."""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.transfers._contracts import LOADED, Contract
from airflow_provider_messaging.transfers._dialects import Postgresql, Query, dialect_of
from airflow_provider_messaging.transfers._upserts import JsonUpsert, PlainUpsert, Row, Written, values_of

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Location:
    """Where a table is, without credentials.

    :param uri: for assets.
    :param namespace: with `name`, what OpenLineage calls it.
    """

    uri: str
    namespace: str
    name: str


log = logging.getLogger(__name__)

_TRIES = 6
_FIRST_WAIT = 0.1
_LONGEST_WAIT = 5.0

# A repeat helps: connection lost (08), conflict with another transaction (40), no lock (55P03), server restarts (57P).
_PASSING_STATES = ("08", "40", "55P03", "57P")
# MySQL and MariaDB: lock wait timeout, deadlock, server gone or lost.
_PASSING_NUMBERS = frozenset({1205, 1213, 2006, 2013, 2055})
_PORTS = {"postgresql": 5432, "mysql": 3306}
_SQLITE_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")


class SqlTable:
    """A table, as a context manager: its connection is closed at the end.

    :param hook: a hook of Airflow's common SQL provider.
    :param name: the table, with its schema where the database needs one.
    :raises ConfigurationError: if the hook is of another kind, or the name is no table name.
    """

    def __init__(self, hook: Any, name: str, contract: Contract) -> None:
        from airflow.providers.common.sql.hooks.sql import DbApiHook

        if not isinstance(hook, DbApiHook):
            raise ConfigurationError(
                f"the hook of sql_conn_id is {type(hook).__name__}, not one of Airflow's common SQL provider",
                setting="sql_conn_id",
            )
        self._hook: DbApiHook = hook
        self._name = name
        self._contract = contract
        self._dialect = dialect_of(hook)
        self._connection: Any = None
        self.table = self._dialect.table(name)
        self._upsert: JsonUpsert | PlainUpsert = (
            JsonUpsert(self.table, contract)
            if isinstance(self._dialect, Postgresql)
            else PlainUpsert(self.table, contract, self._dialect, hook.placeholder)
        )

    def __enter__(self) -> SqlTable:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._disconnect()

    def prepare(self, *, create: bool) -> None:
        """Make the table if it is not there and `create` is set; a table that is there is left as it is.

        :raises ConfigurationError: if there is no table, or if it can't hold the rows.
        """
        if create and not self._transaction(self._is_there):
            try:
                self._transaction(self._create)
            except Exception:
                # Somebody else was faster.
                if not self._transaction(self._is_there):
                    raise
        self._transaction(self._check)

    def upsert(self, rows: Sequence[Row]) -> Written:
        """Insert rows, or update those with the same key, in one transaction. The last of several rows with a key wins.

        A transaction that lost against another one, or its connection, is done again.
        """
        key = self._contract.key
        single = {row[key]: row for row in rows}
        ordered = [single[name] for name in sorted(single)]
        if not ordered:
            return Written()
        return self._transaction(lambda cursor: self._upsert.write(cursor, ordered, datetime.now(UTC)))

    def location(self) -> Location:
        """Return where the table is."""
        found = self._hook.connection
        scheme = "postgres" if self._dialect.name == "postgresql" else self._dialect.name or found.conn_type or "sql"
        if self._dialect.name == "sqlite":
            path = quote(os.path.abspath(found.host or ""))
            return Location(f"sqlite://{path}/{self.table.name}", f"sqlite://{path}", self.table.name)
        schema = self.table.schema
        parts = [str(found.schema or ""), schema or "", self.table.name]
        if self._dialect.name == "postgresql":
            parts[1] = schema or self._transaction(self._current_schema)
        elif self._dialect.name == "mysql":
            parts = [schema or str(found.schema or ""), self.table.name]
        port = found.port or _PORTS.get(self._dialect.name)
        namespace = f"{scheme}://{found.host or 'localhost'}" + (f":{port}" if port else "")
        names = [part for part in parts if part]
        return Location(f"{namespace}/{'/'.join(map(quote, names))}", namespace, ".".join(names))

    def _current_schema(self, cursor: Any) -> str:
        cursor.execute(
            "SELECT n.nspname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
            f"WHERE c.oid = to_regclass({self._hook.placeholder})",
            (self.table.sql,),
        )
        return str(values_of(cursor.fetchone())[0])

    def _is_there(self, cursor: Any) -> bool:
        query = self._dialect.exists(self.table)
        return query is not None and self._count(cursor, query) > 0

    def _create(self, cursor: Any) -> None:
        if self._dialect.begin:
            cursor.execute(self._dialect.begin)
        for statement in self._dialect.creation(self.table, self._contract):
            cursor.execute(statement)
        log.info("Table %s is made", self._name)

    def _check(self, cursor: Any) -> None:
        table = self.table
        if self._dialect.exists(table) is not None and not self._is_there(cursor):
            raise ConfigurationError(
                f"there is no table {self._name}: make it, or set create_table", setting="table, create_table"
            )
        cursor.execute(f"SELECT * FROM {table.sql} WHERE 1 = 0")
        there = {str(column[0]).lower() for column in cursor.description}
        cursor.fetchall()
        missing = [column for column in (*self._contract.columns, *LOADED) if column.name not in there]
        if missing:
            statements = "".join(f"\n  {self._dialect.addition(table, column)};" for column in missing)
            raise ConfigurationError(
                f"the table {self._name} lacks {', '.join(column.name for column in missing)}: it was made for another "
                f"version of the data contract, ours is {self._contract.version}. Add them (see 'Older tables' in "
                f"docs/feedback.md):{statements}\n",
                setting="table",
            )
        unique = self._dialect.unique(table, self._contract.key)
        if unique is not None and not self._count(cursor, unique):
            raise ConfigurationError(
                f"the table {self._name} has no primary or unique key of just {self._contract.key}, "
                "without which rows would be there twice",
                setting="table",
            )

    def _count(self, cursor: Any, query: Query) -> int:
        statement, parameters = query
        cursor.execute(statement.replace("?", self._hook.placeholder), parameters)
        (count,) = values_of(cursor.fetchone())
        return int(count)

    def _transaction(self, work: Callable[[Any], T]) -> T:
        """Do the work in one transaction, and again if it did not succeed for a reason that passes."""
        for attempt in range(1, _TRIES + 1):
            try:
                connection = self._connected()
                cursor = connection.cursor()
                try:
                    done = work(cursor)
                finally:
                    cursor.close()
                connection.commit()
                return done
            except Exception as error:
                passes = self._passes(error)
                # What is not committed goes with its connection.
                self._disconnect()
                if attempt == _TRIES or not passes:
                    raise
                wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2**attempt) * random.uniform(0.5, 1.0)
                log.warning(
                    "%s: the transaction is done again in %.1f s (try %d of %d)",
                    _name_of(error),
                    wait,
                    attempt + 1,
                    _TRIES,
                )
                time.sleep(wait)
        raise AssertionError("unreachable")

    def _passes(self, error: Exception) -> bool:
        """Whether a repeat may succeed where this did not."""
        if any(kind.__name__ == "IntegrityError" for kind in type(error).__mro__):
            # Another load has inserted the same row since we looked.
            return isinstance(self._upsert, PlainUpsert)
        state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or ""
        number = getattr(error, "errno", None) or next(iter(error.args), None)
        return (
            str(state).startswith(_PASSING_STATES)
            or (isinstance(number, int) and number in _PASSING_NUMBERS)
            or str(getattr(error, "sqlite_errorname", "")).startswith(_SQLITE_BUSY)
            # PostgreSQL's drivers say it of the connection only.
            or (self._connection is not None and bool(getattr(self._connection, "closed", False)))
        )

    def _connected(self) -> Any:
        if self._connection is None:
            connection = self._hook.get_conn()
            if self._hook.supports_autocommit:
                self._hook.set_autocommit(connection, False)
            if hasattr(connection, "prepare_threshold"):
                # psycopg 3: a plan made for an empty table must not outlive its growth.
                connection.prepare_threshold = None
            self._connection = connection
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            connection.rollback()
        except Exception as error:
            log.debug("No rollback: %s", _name_of(error))
        finally:
            connection.close()


def _name_of(error: Exception) -> str:
    """Return the kind of an error. Its text may hold rows."""
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    return f"{type(error).__name__} ({state})" if state else type(error).__name__
