"""The table: how it is made, what it is called, and what is said where it does not fit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_messaging.core.feedback import FEEDBACK
from tests.transfers.conftest import Database
from tests.transfers.loads import bounce, load, write

COLUMNS = [*(column.name for column in FEEDBACK), "first_loaded_at", "loaded_at"]
INDEXES = [
    "domain,occurred_at",
    "event_id",
    "kind,bounce_type,occurred_at",
    "occurred_at",
    "reference",
]


@pytest.fixture
def rows(tmp_path: Path) -> str:
    return write(tmp_path / "rows.ndjson", [bounce("m-1"), bounce("m-2")])


def test_a_table_in_postgresql_has_the_types_and_indexes_of_an_analyst(postgres: Database, rows: str) -> None:
    load(postgres, rows, kinds="bounces")
    found = dict(
        postgres.query(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = '{table}'::regclass AND attnum > 0 ORDER BY attnum"
        )
    )
    assert list(found) == COLUMNS
    assert {name: found[name] for name in ("schema_version", "reference", "outcome", "occurred_at", "loaded_at")} == {
        "schema_version": "bigint",
        "reference": "character varying(255)",
        "outcome": "text",
        "occurred_at": "timestamp with time zone",
        "loaded_at": "timestamp with time zone",
    }
    definitions = [text for (text,) in postgres.query("SELECT indexdef FROM pg_indexes WHERE tablename = '{table}'")]
    assert sorted(text.rpartition("(")[2].rstrip(")").replace(" ", "") for text in definitions) == INDEXES


def test_a_table_in_sqlite_has_the_same_columns_and_indexes(sqlite: Database, rows: str) -> None:
    load(sqlite, rows, kinds="bounces")
    assert [name for (name,) in sqlite.query("SELECT name FROM pragma_table_info('{table}')")] == COLUMNS
    found = sqlite.query(
        "SELECT (SELECT group_concat(name) FROM pragma_index_info(l.name)) FROM pragma_index_list('{table}') l"
    )
    assert sorted(columns for (columns,) in found) == INDEXES


def test_a_table_in_mysql_has_the_same_and_tells_upper_from_lower_case(mysql: Database, tmp_path: Path) -> None:
    load(mysql, write(tmp_path / "rows.ndjson", [bounce("m-A"), bounce("m-a")]), kinds="bounces")
    columns = mysql.query(
        "SELECT column_name, column_type FROM information_schema.columns "
        "WHERE table_schema = DATABASE() AND table_name = '{table}' ORDER BY ordinal_position"
    )
    assert [name for name, _ in columns] == COLUMNS
    assert dict(columns)["occurred_at"] == "datetime(6)"
    found = mysql.query(
        "SELECT GROUP_CONCAT(column_name ORDER BY seq_in_index) FROM information_schema.statistics "
        "WHERE table_schema = DATABASE() AND table_name = '{table}' GROUP BY index_name"
    )
    assert sorted(columns for (columns,) in found) == INDEXES
    assert mysql.query("SELECT reference FROM {table} WHERE reference = 'm-a'") == [("m-a",)]


def test_a_table_that_is_there_is_left_as_it_is(postgres: Database, rows: str) -> None:
    load(postgres, rows, kinds="bounces")
    postgres.query("DROP INDEX {table}_reference_idx")
    postgres.query("ALTER TABLE {table} ADD COLUMN attributed_to varchar")
    load(postgres, rows, kinds="bounces", create_table=True)
    load(postgres, rows, kinds="bounces", create_table=False)
    assert postgres.count == 2
    assert postgres.query("SELECT to_regclass('{table}_reference_idx')") == [(None,)]


def test_the_table_is_not_made_unless_asked_for(database: Database, rows: str) -> None:
    with pytest.raises(AirflowFailException, match=rf"no table {database.table}.*to change: table, create_table"):
        load(database, rows, kinds="bounces", create_table=False)


# ------------------------------------------------------------------------------------------------------- its name


def test_a_table_may_stand_in_a_schema(postgres: Database, rows: str) -> None:
    schema = f"s_{postgres.table}"
    postgres.query(f"CREATE SCHEMA {schema}")
    try:
        for _ in range(2):
            assert load(postgres, rows, kinds="bounces", table=f"{schema}.events")["rows"] == 2
        assert postgres.query(f"SELECT count(*) FROM {schema}.events") == [(2,)]
        assert postgres.query("SELECT to_regclass('public.events')") == [(None,)]
    finally:
        postgres.query(f"DROP SCHEMA {schema} CASCADE")


def test_a_schema_that_is_not_there_is_not_made(postgres: Database, rows: str) -> None:
    with pytest.raises(Exception, match="no_such_schema"):
        load(postgres, rows, kinds="bounces", table="no_such_schema.events")


def test_a_name_follows_the_rules_of_postgresql_and_in_quotes_it_is_exact(postgres: Database, rows: str) -> None:
    name = postgres.table
    try:
        load(postgres, rows, kinds="bounces", table=name.upper())
        load(postgres, rows, kinds="bounces", table=f'public."{name.upper()}"')
        found = postgres.query("SELECT tablename FROM pg_tables WHERE lower(tablename) = '{table}' ORDER BY 1")
        assert found == [(name.upper(),), (name,)]
        assert postgres.query(f'SELECT count(*) FROM "{name.upper()}"') == [(2,)]
    finally:
        postgres.query(f'DROP TABLE IF EXISTS "{name.upper()}"')


@pytest.mark.parametrize("name", ["order", '"mail events"', "main.events", 'main."mail-events"', '"Zustände"', '"a.b"'])
def test_a_name_may_be_any_in_sqlite(sqlite: Database, rows: str, name: str) -> None:
    load(sqlite, rows, kinds="bounces", table=name)
    assert load(sqlite, rows, kinds="bounces", table=name)["inserted"] == 0
    quoted = name if '"' in name or "." in name else f'"{name}"'
    assert sqlite.query(f"SELECT count(*) FROM {quoted}") == [(2,)]


def test_a_name_may_be_a_reserved_word_with_its_database_in_mysql(mysql: Database, rows: str) -> None:
    database = mysql.query("SELECT DATABASE()")[0][0]
    try:
        for name in (f"{database}.order", "order"):
            load(mysql, rows, kinds="bounces", table=name)
        assert mysql.query("SELECT count(*) FROM `order`") == [(2,)]
    finally:
        mysql.query("DROP TABLE IF EXISTS `order`")


def test_a_long_name_has_indexes_of_its_own(postgres: Database, rows: str) -> None:
    names = [f"{postgres.table}_{'x' * (57 - len(postgres.table))}{end}" for end in ("_one", "_two")]
    try:
        for name in names:
            load(postgres, rows, kinds="bounces", table=name)
            assert len(postgres.query(f"SELECT 1 FROM pg_indexes WHERE tablename = '{name}'")) == len(INDEXES)
    finally:
        for name in names:
            postgres.query(f"DROP TABLE IF EXISTS {name}")


# -------------------------------------------------------------------------------------------- tables that do not fit

FIRST_RELEASE = """CREATE TABLE {table} (
    event_id VARCHAR(32) NOT NULL PRIMARY KEY, vendor VARCHAR(32) NOT NULL, kind VARCHAR(32) NOT NULL,
    bounce_type VARCHAR(32), mode VARCHAR(32), category VARCHAR(64), reason VARCHAR(64), outcome TEXT,
    reference VARCHAR(255), domain VARCHAR(255), mailbox VARCHAR(320), account_id VARCHAR(255), occurred_at TIMESTAMP,
    raw TEXT, loaded_at TIMESTAMP NOT NULL)"""


def test_an_older_table_is_told_what_it_lacks_and_how_to_add_it(database: Database, rows: str) -> None:
    mysql = database.conn_id == "feedback_mysql"
    database.query(FIRST_RELEASE.replace("TIMESTAMP", "DATETIME(6)") if mysql else FIRST_RELEASE)
    with pytest.raises(AirflowFailException) as told:
        load(database, rows, kinds="bounces")
    message = str(told.value)
    assert f"{database.table} lacks schema_version, recipient, first_loaded_at" in message
    assert "docs/feedback.md" in message
    assert "to change: table]" in message
    statements = re.findall(r"ALTER TABLE [^;]+;", message)
    assert len(statements) == 3
    for statement in statements:
        database.query(statement)
    assert load(database, rows, kinds="bounces")["inserted"] == 2
    assert load(database, rows, kinds="bounces")["updated"] == 0


def test_rows_of_an_older_table_are_completed_by_the_next_load(postgres: Database, rows: str) -> None:
    load(postgres, rows, kinds="bounces")
    postgres.query("ALTER TABLE {table} DROP COLUMN schema_version, DROP COLUMN first_loaded_at")
    postgres.query("ALTER TABLE {table} ADD COLUMN schema_version bigint, ADD COLUMN first_loaded_at timestamptz")
    assert load(postgres, rows, kinds="bounces")["updated"] == 2
    assert postgres.query("SELECT DISTINCT schema_version FROM {table}") == [(1,)]


KEYLESS: list[tuple[str, str]] = [
    ("sqlite", "CREATE TABLE {table} AS SELECT * FROM other WHERE 1 = 0"),
    ("postgres", "ALTER TABLE {table} DROP CONSTRAINT {table}_pkey, ADD PRIMARY KEY (event_id, kind)"),
    ("mysql", "ALTER TABLE {table} DROP PRIMARY KEY, ADD PRIMARY KEY (event_id, kind)"),
]


@pytest.mark.parametrize(
    ("name", "change"), [pytest.param(*row, marks=getattr(pytest.mark, row[0])) for row in KEYLESS[1:]] + [KEYLESS[0]]
)
def test_a_table_without_the_key_is_refused(name: str, change: str, request: Any, rows: str) -> None:
    database: Database = request.getfixturevalue(name)
    load(database, rows, kinds="bounces", table="other" if name == "sqlite" else database.table)
    database.query(change)
    with pytest.raises(AirflowFailException, match=r"no primary or unique key of just event_id.*to change: table\]"):
        load(database, rows, kinds="bounces")


# ------------------------------------------------------------------------------------------------- odd connections


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("driver", "cursor"), [("postgres", "dictcursor"), ("psycopg2", "dictcursor"), ("psycopg2", "realdictcursor")]
)
def test_a_connection_may_ask_for_rows_that_are_dictionaries(
    driver: str, cursor: str, request: pytest.FixtureRequest, rows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database: Database = request.getfixturevalue(driver)
    monkeypatch.setenv("AIRFLOW_CONN_FEEDBACK_POSTGRES", f"{database.url}?cursor={cursor}")
    assert load(database, rows, kinds="bounces")["inserted"] == 2
    assert load(database, rows, kinds="bounces")["updated"] == 0


# ------------------------------------------------------------------------------------- databases we know nothing of


def test_a_database_without_a_dialect_of_ours_is_loaded_in_plain_sql(
    postgres: Database, rows: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL in the part of Redshift, which has its protocol and neither its upsert nor its indexes."""
    monkeypatch.setenv("AIRFLOW_CONN_FEEDBACK_POSTGRES", f"{postgres.url}?redshift=true")
    assert load(postgres, rows, kinds="bounces")["inserted"] == 2
    changed = write(tmp_path / "changed.ndjson", [bounce("m-1", outcome="other"), bounce("m-2"), bounce("m-3")])
    done = load(postgres, changed, kinds="bounces")
    assert (done["inserted"], done["updated"]) == (1, 1)
    assert load(postgres, changed, kinds="bounces")["updated"] == 0
    assert postgres.query("SELECT count(*) FROM pg_indexes WHERE tablename = '{table}'") == [(1,)]
