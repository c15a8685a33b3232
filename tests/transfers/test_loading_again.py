"""Loading twice, in any order, at the same time, through lost connections: each event is there once, and right."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_messaging.core.feedback import SCHEMA_VERSION
from airflow_provider_messaging.transfers._contracts import FEEDBACK_TABLE
from airflow_provider_messaging.transfers._sql import SqlTable
from airflow_provider_messaging.vendors.marigold.feedback import normalise
from tests.transfers.conftest import Database
from tests.transfers.loads import bounce, load, write

EVERYTHING = "SELECT * FROM {table} ORDER BY event_id"
TIMES = "SELECT first_loaded_at, loaded_at FROM {table}"


def test_an_equal_copy_changes_nothing_not_even_the_time_of_loading(database: Database, tmp_path: Path) -> None:
    path = write(tmp_path / "rows.ndjson", [bounce(f"m-{number}") for number in range(50)])
    assert load(database, path, kinds="bounces")["inserted"] == 50
    first = database.query(EVERYTHING)
    again = load(database, path, kinds="bounces")
    assert (again["rows"], again["inserted"], again["updated"]) == (50, 0, 0)
    assert database.query(EVERYTHING) == first


def test_an_equal_copy_does_not_even_lock_the_row(postgres: Database, tmp_path: Path) -> None:
    path = write(tmp_path / "rows.ndjson", [bounce()])
    load(postgres, path, kinds="bounces")
    load(postgres, path, kinds="bounces")
    assert postgres.query("SELECT xmax::text FROM {table}") == [("0",)]


def test_a_changed_row_replaces_the_one_with_the_same_event(database: Database, tmp_path: Path) -> None:
    path = write(tmp_path / "rows.ndjson", [bounce("m-1", outcome="first"), bounce("m-2"), bounce("m-3")])
    load(database, path, kinds="bounces")
    ((came, changed),) = database.query(f"{TIMES} WHERE reference = 'm-1'")
    assert came == changed
    write(tmp_path / "rows.ndjson", [bounce("m-1", outcome="second"), bounce("m-2"), bounce("m-4")])
    done = load(database, path, kinds="bounces")
    assert (done["rows"], done["inserted"], done["updated"]) == (3, 1, 1)
    assert database.query("SELECT outcome FROM {table} WHERE reference = 'm-1'") == [("second",)]
    ((still, later),) = database.query(f"{TIMES} WHERE reference = 'm-1'")
    assert still == came
    assert later > changed
    assert all(came == changed for came, changed in database.query(f"{TIMES} WHERE reference <> 'm-1'"))


def test_the_last_of_several_copies_in_one_load_is_kept(database: Database, tmp_path: Path) -> None:
    rows = [bounce(outcome="first"), bounce(outcome="second"), bounce(outcome="third")]
    for commit_every in (10, 1):
        load(database, write(tmp_path / "rows.ndjson", rows), kinds="bounces", commit_every=commit_every)
        assert database.query("SELECT outcome FROM {table}") == [("third",)]


def test_loaded_at_never_goes_back(database: Database, tmp_path: Path) -> None:
    """Another worker's clock may be ahead of ours."""
    path = write(tmp_path / "rows.ndjson", [bounce(outcome="first")])
    load(database, path, kinds="bounces")
    database.query("UPDATE {table} SET loaded_at = '2099-01-01 00:00:00.000000'")
    before = database.query("SELECT loaded_at FROM {table}")
    write(tmp_path / "rows.ndjson", [bounce(outcome="second")])
    assert load(database, path, kinds="bounces")["updated"] == 1
    assert database.query("SELECT loaded_at FROM {table}") == before


def test_a_known_recipient_is_not_forgotten(database: Database, tmp_path: Path) -> None:
    """The reads do not tell it; a join with the manifest, or a later source, does."""
    path = write(tmp_path / "rows.ndjson", [bounce(outcome="first")])
    load(database, path, kinds="bounces")
    database.query("UPDATE {table} SET recipient = 'ann@example.com'")
    assert load(database, path, kinds="bounces")["updated"] == 0
    write(tmp_path / "rows.ndjson", [bounce(outcome="second")])
    assert load(database, path, kinds="bounces")["updated"] == 1
    assert database.query("SELECT recipient, outcome FROM {table}") == [("ann@example.com", "second")]


def test_an_older_release_does_not_undo_what_a_newer_one_wrote(database: Database, tmp_path: Path) -> None:
    path = write(tmp_path / "rows.ndjson", [bounce(outcome="first")])
    load(database, path, kinds="bounces")
    newer = SCHEMA_VERSION + 1
    database.query(f"UPDATE {{table}} SET schema_version = {newer}, outcome = 'newer'")
    write(tmp_path / "rows.ndjson", [bounce(outcome="second")])
    assert load(database, path, kinds="bounces")["updated"] == 0
    assert database.query("SELECT schema_version, outcome FROM {table}") == [(newer, "newer")]


# ------------------------------------------------------------------------------------------------- at the same time


def at_once(database: Database, files: list[str], **arguments: Any) -> list[dict[str, Any]]:
    """Load each file in a thread of its own, over and over, all at the same time."""
    start = Barrier(len(files))

    def work(path: str) -> list[dict[str, Any]]:
        start.wait(30)
        return [load(database, path, kinds="bounces", **arguments) for _ in range(3)]

    with ThreadPoolExecutor(len(files)) as threads:
        return [done for each in threads.map(work, files) for done in each]


def overlapping(tmp_path: Path, size: int) -> list[str]:
    """Three windows of `size` rows that share most of them, each in another order and with other words in them."""
    windows = []
    for number in range(3):
        rows = [
            bounce(f"m-{n}", outcome=f"said {number}") for n in range(number * size // 4, number * size // 4 + size)
        ]
        windows.append(write(tmp_path / f"{number}.ndjson", rows[:: -1 if number % 2 else 1]))
    return windows


def test_overlapping_loads_at_the_same_time_lose_nothing(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = overlapping(tmp_path, 400)
    done = at_once(database, files, commit_every=90)
    assert database.count == 600
    assert sum(each["inserted"] for each in done) == 600
    assert [each["rows"] for each in done] == [400] * 9
    if database.is_postgres:
        assert "done again" not in caplog.text, "rows are locked in the order of their key: there is no deadlock"


def test_a_load_that_loses_against_another_one_is_done_again(
    postgres: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = json.dumps({"options": "-c default_transaction_isolation=serializable"})
    monkeypatch.setenv("AIRFLOW_CONN_FEEDBACK_POSTGRES", f"{postgres.url}?__extra__={strict}")
    load(postgres, write(tmp_path / "none.ndjson", []), kinds="bounces")
    done = at_once(postgres, overlapping(tmp_path, 600), commit_every=200, create_table=False)
    assert postgres.count == 900
    assert sum(each["inserted"] for each in done) == 900
    assert "SerializationFailure (40001)" in caplog.text


@pytest.mark.postgres
@pytest.mark.parametrize("driver", ["postgres", "psycopg2"])
def test_a_lost_connection_is_made_again(
    driver: str, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    database: Database = request.getfixturevalue(driver)
    monkeypatch.setenv("AIRFLOW_CONN_FEEDBACK_POSTGRES", f"{database.url}?application_name={database.table}")
    first, second = ([dict(normalise("bounces", bounce(f"m-{n}")))] for n in range(2))
    with SqlTable(BaseHook.get_hook(database.conn_id), database.table, FEEDBACK_TABLE) as table:
        table.prepare(create=True)
        table.upsert(first)
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{table}'"
        assert database.query(ended) == [(True,)]
        assert table.upsert(second) == (1, 0)
    assert database.count == 2
    assert "the transaction is done again" in caplog.text


@pytest.mark.parametrize(
    "server",
    [pytest.param("postgres", marks=pytest.mark.postgres), pytest.param("mysql", marks=pytest.mark.mysql)],
)
def test_an_error_that_does_not_pass_is_not_repeated(
    server: str, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    database: Database = request.getfixturevalue(server)
    row = dict(normalise("bounces", bounce())) | {"schema_version": "x"}
    with SqlTable(BaseHook.get_hook(database.conn_id), database.table, FEEDBACK_TABLE) as table:
        table.prepare(create=True)
        with pytest.raises(Exception, match=r"invalid input syntax|Incorrect integer value"):
            table.upsert([row])
    assert "done again" not in caplog.text
    assert database.count == 0


KILLED = """
import sys
from airflow_provider_messaging.transfers.marigold import FeedbackToSqlOperator
print("ready", flush=True)
FeedbackToSqlOperator(
    task_id="load", source_path=sys.argv[1], kinds="bounces", table=sys.argv[2], sql_conn_id="feedback_postgres",
    create_table=True, commit_every=500,
).execute({})
"""


@pytest.mark.slow
def test_a_load_that_is_killed_is_finished_by_the_next_one(postgres: Database, tmp_path: Path) -> None:
    path = write(tmp_path / "rows.ndjson", [bounce(f"m-{number}") for number in range(20_000)])
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, path, postgres.table], env=dict(os.environ), stdout=subprocess.PIPE
    )
    try:
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up:
            if postgres.query("SELECT to_regclass('{table}') IS NOT NULL") == [(True,)] and postgres.count:
                break
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.communicate()
    half = postgres.count
    assert 0 < half < 20_000, "killed in the middle"
    assert half % 500 == 0, "whole transactions only"
    assert load(postgres, path, kinds="bounces")["inserted"] == 20_000 - half
    assert postgres.count == 20_000


def test_the_time_of_loading_is_the_time_of_loading(database: Database, tmp_path: Path) -> None:
    load(database, write(tmp_path / "rows.ndjson", [bounce()]), kinds="bounces")
    ((came, changed),) = database.query(TIMES)
    if isinstance(came, str):
        came = datetime.fromisoformat(came)
    if came.tzinfo is None:
        came = came.replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - came) < timedelta(minutes=1)
    assert changed is not None


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "airflow_provider_messaging.transfers")
