"""Landed feedback on its way into a database, SQLite and PostgreSQL alike."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import DAG, ObjectStoragePath

from airflow_provider_messaging.sandbox.process import Sandbox
from airflow_provider_messaging.transfers.marigold import FeedbackToObjectStorageOperator, FeedbackToSqlOperator
from tests.contexts import task_context
from tests.transfers.conftest import Database
from tests.transfers.loads import bounce, load, write

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture
def landed(sandbox: Sandbox, marigold_conn: str, tmp_path: Path) -> dict[str, Any]:
    """The result of a landing: 250 rows of each kind, of two days."""
    for kind in ("bounces", "complaints", "list_unsubscribes"):
        sandbox.seed(kind, rows=250, start="2026-03-10T22:00:00Z", end="2026-03-11T02:00:00Z")
    window = {"start": "2026-03-10", "end": "2026-03-12"}
    land = FeedbackToObjectStorageOperator(task_id="land", path=f"{tmp_path}/feedback", **window)
    return land.execute(task_context())


def test_what_was_landed_is_loaded_one_row_an_event(database: Database, landed: dict[str, Any]) -> None:
    assert load(database, landed) == {
        "table": database.table,
        "rows": 750,
        "inserted": 750,
        "updated": 0,
        "files": landed["files"],
    }
    assert sorted(database.query("SELECT kind, count(*) FROM {table} GROUP BY kind")) == [
        ("bounce", 250),
        ("complaint", 250),
        ("list_unsubscribe", 250),
    ]


def test_overlapping_files_leave_each_event_once(database: Database, tmp_path: Path) -> None:
    files = [
        write(tmp_path / "kind=bounces" / "a.ndjson", [bounce("m-1"), bounce("m-2"), bounce("m-2")]),
        write(tmp_path / "kind=bounces" / "b.ndjson", [bounce("m-2"), bounce("m-3")]),
    ]
    assert load(database, files, commit_every=2)["rows"] == 5
    assert database.count == 3


def test_a_row_holds_the_normalised_event(database: Database, tmp_path: Path) -> None:
    load(database, write(tmp_path / "rows.ndjson", [bounce()]), kinds=["bounces"])
    ((event_id, raw, *row),) = database.query(
        "SELECT event_id, raw, vendor, kind, bounce_type, mode, category, reason, outcome, reference, domain, mailbox, "
        "account_id FROM {table}"
    )
    assert row == [
        *("marigold", "bounce", "hard", "direct", "badUser", "hardBounce", "550 5.1.1 No such user"),
        *("m-1", "example.com", None, "account"),
    ]
    assert len(event_id) == 32
    assert json.loads(raw) == bounce()


SPELLINGS = [
    "2026-03-10T12:00:00.1234567Z",
    "2026-03-10T12:00:00.123456",
    "2026-03-10T12:00:00.123456+00:00",
    "2026-03-10T14:00:00.123456+02:00",
]


@pytest.mark.parametrize("timestamp", SPELLINGS)
def test_postgresql_keeps_the_moment_whatever_its_time_zone(postgres: Database, tmp_path: Path, timestamp: str) -> None:
    load(postgres, write(tmp_path / "rows.ndjson", [bounce(timestamp=timestamp)]), kinds="bounces")
    ((occurred, loaded),) = postgres.query("SELECT occurred_at, loaded_at FROM {table}")
    assert occurred == NOON + timedelta(microseconds=123456)
    assert occurred.utcoffset() == timedelta(hours=9), "the session's zone is another one than ours"
    assert abs(datetime.now(UTC) - loaded) < timedelta(minutes=1)


@pytest.mark.parametrize("timestamp", SPELLINGS)
def test_sqlite_keeps_utc_as_sortable_text(sqlite: Database, tmp_path: Path, timestamp: str) -> None:
    load(sqlite, write(tmp_path / "rows.ndjson", [bounce(timestamp=timestamp)]), kinds="bounces")
    ((occurred, loaded),) = sqlite.query("SELECT occurred_at, loaded_at FROM {table}")
    assert occurred == "2026-03-10 12:00:00.123456"
    assert abs(datetime.now(UTC) - datetime.fromisoformat(f"{loaded}+00:00")) < timedelta(minutes=1)


def test_days_can_be_compared_in_both_databases(database: Database, tmp_path: Path) -> None:
    rows = [bounce(f"m-{hour}", timestamp=f"2026-03-10T{hour:02}:00:00Z") for hour in range(24)]
    load(database, write(tmp_path / "rows.ndjson", rows), kinds="bounces")
    late = "SELECT count(*) FROM {table} WHERE occurred_at >= '2026-03-10 18:00:00{zone}'"
    zone = "+00" if database.is_postgres else ""
    assert database.query(late.replace("{zone}", zone)) == [(6,)]


def test_rows_with_odd_values_are_loaded(database: Database, tmp_path: Path) -> None:
    rows = [
        bounce("m-1", timestamp="soon", outcome=None, domain=5, surprise={"a": [1]}),
        bounce("m-2", outcome="ünïcödé 'quoted' \"double\" ; -- \\ %s :name {x}", mapping="Martian"),
        {"timestamp": "2026-03-10T12:00:00Z"},
        {},
    ]
    assert load(database, write(tmp_path / "rows.ndjson", rows), kinds="bounces")["rows"] == 4
    assert database.count == 4
    found = database.query("SELECT occurred_at, outcome, domain FROM {table} WHERE reference = 'm-1'")
    assert found == [(None, None, None)]
    ((outcome, kind),) = database.query("SELECT outcome, bounce_type FROM {table} WHERE reference = 'm-2'")
    assert (outcome, kind) == (rows[1]["outcome"], "Martian")


@pytest.mark.parametrize("commit_every", [1, 2, 1000])
def test_the_size_of_a_transaction_does_not_matter(database: Database, tmp_path: Path, commit_every: int) -> None:
    rows = [bounce(f"m-{number}") for number in range(5)]
    path = write(tmp_path / "rows.ndjson", rows)
    assert load(database, path, kinds="bounces", commit_every=commit_every)["rows"] == 5
    assert database.count == 5


# ------------------------------------------------------------------------------------------------------ the source


def test_a_folder_is_loaded_with_all_its_kinds(sqlite: Database, landed: dict[str, Any], tmp_path: Path) -> None:
    done = load(sqlite, f"{tmp_path}/feedback/")
    assert (done["rows"], done["files"]) == (750, sorted(landed["files"]))


def test_a_folder_is_loaded_with_the_kinds_asked_for(sqlite: Database, landed: dict[str, Any], tmp_path: Path) -> None:
    assert load(sqlite, f"{tmp_path}/feedback", kinds=["complaints"])["rows"] == 250
    assert sqlite.query("SELECT DISTINCT kind FROM {table}") == [("complaint",)]


def test_a_file_that_is_being_written_is_not_loaded(sqlite: Database, tmp_path: Path) -> None:
    write(tmp_path / "kind=bounces" / "a.ndjson", [bounce("m-1")])
    write(tmp_path / "kind=bounces" / "b.ndjson.gz", [bounce("m-2")])
    write(tmp_path / "kind=bounces" / "c.ndjson.part-1", [bounce("m-3")])
    write(tmp_path / "kind=bounces" / "d.ndjson.gz.part-1", [bounce("m-4")])
    assert load(sqlite, str(tmp_path))["rows"] == 2


@pytest.mark.parametrize("as_uri", [False, True])
def test_a_single_file_knows_its_kind_by_its_path(sqlite: Database, landed: dict[str, Any], as_uri: bool) -> None:
    name = next(name for name in landed["files"] if "complaints" in name)
    load(sqlite, f"file://{name}" if as_uri else name)
    assert sqlite.query("SELECT DISTINCT kind FROM {table}") == [("complaint",)]


def test_a_single_file_of_unknown_kind_takes_the_one_that_is_given(sqlite: Database, tmp_path: Path) -> None:
    load(sqlite, write(tmp_path / "rows.ndjson", [bounce()]), kinds=["list_unsubscribes"])
    assert sqlite.query("SELECT kind FROM {table}") == [("list_unsubscribe",)]


@pytest.mark.usefixtures("object_storage")
def test_files_on_object_storage_are_loaded(sqlite: Database) -> None:
    with ObjectStoragePath("memory://bucket/kind=bounces/rows.ndjson").open("wb") as stream:
        stream.write(json.dumps(bounce()).encode())
    assert load(sqlite, "memory://bucket/kind=bounces/rows.ndjson")["rows"] == 1
    assert load(sqlite, "memory://bucket")["files"] == ["memory://bucket/kind=bounces/rows.ndjson"]
    assert sqlite.count == 1


@pytest.mark.parametrize("source", [[], {"files": [], "rows": {"bounces": 0}}])
def test_a_landing_without_files_loads_nothing(sqlite: Database, source: Any) -> None:
    assert load(sqlite, source) == {"table": "events", "rows": 0, "inserted": 0, "updated": 0, "files": []}


def test_the_results_of_mapped_landings_are_loaded_and_a_file_that_is_named_twice_is_read_once(
    sqlite: Database, tmp_path: Path
) -> None:
    files = [write(tmp_path / "kind=bounces" / f"{name}.ndjson", [bounce(name)]) for name in "abc"]
    done = load(sqlite, [{"files": files[:2]}, {"files": files[1:]}])
    assert (done["rows"], done["files"]) == (3, files)


@pytest.mark.parametrize("name", ["rows.ndjson", "rows.ndjson.gz"])
def test_an_empty_file_loads_nothing(sqlite: Database, tmp_path: Path, name: str) -> None:
    assert load(sqlite, write(tmp_path / name, []), kinds="bounces")["rows"] == 0
    assert sqlite.count == 0


BAD_ARGUMENTS: list[tuple[str, dict[str, Any], str]] = [
    ("unknown kind", {"kinds": ["opens"]}, "kinds"),
    ("manifest and more", {"kinds": ["manifest", "bounces"]}, "kinds"),
    ("kind not told", {"kinds": ["bounces", "complaints"]}, "kinds"),
    ("injection", {"table": "events; DROP TABLE events"}, "table"),
    ("one quote", {"table": '"events'}, "table"),
    ("nothing in quotes", {"table": '""'}, "table"),
    ("percent in quotes", {"table": '"100% events"'}, "table"),
    ("newline in quotes", {"table": '"mail\nevents"'}, "table"),
    ("comment", {"table": "events--"}, "table"),
    ("blank", {"table": "my events"}, "table"),
    ("empty", {"table": ""}, "table"),
    ("number first", {"table": "1events"}, "table"),
    ("too many parts", {"table": "a.b.c.d"}, "table"),
    ("newline", {"table": "events\n"}, "table"),
    ("no such file", {"source_path": "/no/such/file.ndjson"}, "source_path"),
    ("no such file in a list", {"source_path": ["/no/such/kind=bounces/file.ndjson"]}, "source_path"),
    ("no such storage", {"source_path": "s3://bucket/rows.ndjson"}, "source_path"),
    ("not a SQL database", {"sql_conn_id": "marigold_default"}, "sql_conn_id"),
    ("another task's result", {"source_path": {"messages": 5, "accepted": 5}}, "source_path"),
    ("commit_every", {"commit_every": 0}, "commit_every"),
]


@pytest.mark.parametrize(
    ("arguments", "setting"), [row[1:] for row in BAD_ARGUMENTS], ids=[row[0] for row in BAD_ARGUMENTS]
)
def test_arguments_that_make_no_sense_fail_the_task_for_good(
    sqlite: Database, marigold_conn: str, tmp_path: Path, arguments: dict[str, Any], setting: str
) -> None:
    source = write(tmp_path / "rows.ndjson", [bounce()])
    with pytest.raises(AirflowFailException, match=rf"to change: {setting}\]"):
        load(sqlite, **{"source_path": source, "kinds": ["bounces"], **arguments})


@pytest.mark.parametrize("line", ["no json", "[]", "5", '{"a": '])
def test_a_line_that_is_no_row_fails_the_task_for_good_and_names_the_line(
    sqlite: Database, tmp_path: Path, line: str
) -> None:
    path = tmp_path / "rows.ndjson"
    path.write_text(f"{json.dumps(bounce())}\n{line}\n")
    with pytest.raises(AirflowFailException, match=r"line 1 of .*rows\.ndjson"):
        load(sqlite, str(path), kinds="bounces")


def test_source_table_and_connection_are_templates() -> None:
    made = FeedbackToSqlOperator(
        task_id="load", source_path=["in/{{ ds }}.ndjson"], table="events_{{ x }}", sql_conn_id="db_{{ x }}"
    )
    made.render_template_fields({"ds": "2026-03-10", "x": "shoes"})  # type: ignore[typeddict-unknown-key]
    assert {name: getattr(made, name) for name in made.template_fields} == {
        "source_path": ["in/2026-03-10.ndjson"],
        "table": "events_shoes",
        "sql_conn_id": "db_shoes",
        "since": None,
    }


def test_the_result_of_the_landing_task_can_be_given_as_it_is() -> None:
    with DAG("etl", schedule=None) as dag:
        land = FeedbackToObjectStorageOperator(task_id="land", path="x")
        FeedbackToSqlOperator(task_id="load", source_path=land.output, table="events", sql_conn_id="db")
    assert dag.get_task("load").upstream_task_ids == {"land"}
