from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.contexts import fresh_tokens, object_storage

__all__ = ["fresh_tokens", "object_storage"]


@dataclass(frozen=True)
class Database:
    """A database behind an Airflow connection, and a table name in it that nobody else uses."""

    conn_id: str
    table: str
    url: str

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Return the rows of a statement in which ``{table}`` stands for the table."""
        text = statement.format(table=self.table)
        if self.url.startswith("postgresql:"):
            import psycopg2

            with closing(psycopg2.connect(self.url)) as connection, connection, connection.cursor() as cursor:
                cursor.execute("SET TIME ZONE 'Asia/Tokyo'")
                cursor.execute(text)
                return list(cursor.fetchall()) if cursor.description else []
        with closing(sqlite3.connect(self.url)) as connection, connection:
            return list(connection.execute(text))

    @property
    def count(self) -> int:
        number: int = self.query("SELECT count(*) FROM {table}")[0][0]
        return number


@pytest.fixture
def sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    path = tmp_path / "feedback.db"
    monkeypatch.setenv("AIRFLOW_CONN_FEEDBACK_SQLITE", json.dumps({"conn_type": "sqlite", "host": str(path)}))
    return Database("feedback_sqlite", "events", str(path))


@pytest.fixture
def postgres(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setenv("AIRFLOW_CONN_FEEDBACK_POSTGRES", postgres_url)
    made = Database("feedback_postgres", f"events_{uuid.uuid4().hex[:12]}", postgres_url)
    yield made
    made.query("DROP TABLE IF EXISTS {table}")


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> Database:
    """The test runs once on each database."""
    found: Database = request.getfixturevalue(request.param)
    return found
