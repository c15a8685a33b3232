from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.contexts import fresh_tokens, object_storage

__all__ = ["fresh_tokens", "object_storage"]


@dataclass(frozen=True)
class Database:
    """A database behind an Airflow connection, and a table name in it that nobody else uses."""

    conn_id: str
    table: str
    url: str

    def connect(self) -> Any:
        if self.url.startswith("postgresql:"):
            import psycopg2

            return psycopg2.connect(self.url)
        if self.url.startswith("mysql:"):
            import mysql.connector

            parts = urlsplit(self.url)
            return mysql.connector.connect(
                host=parts.hostname,
                port=parts.port or 3306,
                user=parts.username,
                password=parts.password or "",
                database=parts.path.strip("/"),
            )
        return sqlite3.connect(self.url)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Return the rows of a statement in which ``{table}`` stands for the table."""
        with closing(self.connect()) as connection, closing(connection.cursor()) as cursor:
            if self.url.startswith("postgresql:"):
                cursor.execute("SET TIME ZONE 'Asia/Tokyo'")
            cursor.execute(statement.format(table=self.table))
            rows = list(cursor.fetchall()) if cursor.description else []
            connection.commit()
            return rows

    @property
    def count(self) -> int:
        number: int = self.query("SELECT count(*) FROM {table}")[0][0]
        return number

    @property
    def is_postgres(self) -> bool:
        return self.url.startswith("postgresql:")


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


@pytest.fixture
def psycopg2(postgres: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """PostgreSQL through the older driver, which Airflow's hook takes where psycopg 3 is not installed."""
    monkeypatch.setattr("airflow.providers.postgres.hooks.postgres.USE_PSYCOPG3", False, raising=False)
    return postgres


@pytest.fixture
def mysql(mysql_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setenv("AIRFLOW_CONN_FEEDBACK_MYSQL", mysql_url)
    made = Database("feedback_mysql", f"events_{uuid.uuid4().hex[:12]}", mysql_url)
    yield made
    made.query("DROP TABLE IF EXISTS {table}")


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("psycopg2", marks=pytest.mark.postgres),
        pytest.param("mysql", marks=pytest.mark.mysql),
    ]
)
def database(request: pytest.FixtureRequest) -> Database:
    """The test runs once on each database."""
    found: Database = request.getfixturevalue(request.param)
    return found
