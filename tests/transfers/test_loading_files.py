"""What comes out of files: Parquet and NDJSON alike, odd characters, damage."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import ObjectStoragePath

from airflow_provider_messaging.core.feedback import FEEDBACK, SCHEMA_VERSION
from airflow_provider_messaging.sandbox.process import Sandbox
from airflow_provider_messaging.transfers.marigold import FeedbackToObjectStorageOperator
from airflow_provider_messaging.vendors.marigold.feedback import normalise
from tests.contexts import task_context
from tests.transfers.conftest import Database
from tests.transfers.loads import bounce, load, write

CONTRACT = ", ".join(column.name for column in FEEDBACK)
EVENTS = f"SELECT {CONTRACT} FROM {{table}} ORDER BY event_id"


# --------------------------------------------------------------------------------------------------------- Parquet


def parquet(path: Path, events: list[dict[str, Any]], **types: Any) -> str:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    path.parent.mkdir(parents=True, exist_ok=True)
    table = pyarrow.Table.from_pylist(events)
    for name, kind in types.items():
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, table.column(name).cast(kind))
    write_table(table, path)
    return str(path)


def event(reference: str = "m-1", **more: Any) -> dict[str, Any]:
    return {**normalise("bounces", bounce(reference)), **more}


def test_parquet_and_ndjson_of_one_window_make_the_same_table(
    database: Database, sandbox: Sandbox, marigold_conn: str, tmp_path: Path
) -> None:
    pytest.importorskip("pyarrow")
    for kind in ("bounces", "complaints", "list_unsubscribes"):
        sandbox.seed(kind, rows=150, start="2026-03-10T22:00:00Z", end="2026-03-11T02:00:00Z")
    tables = []
    for form in ("ndjson", "parquet"):
        land = FeedbackToObjectStorageOperator(
            task_id="land", path=f"{tmp_path}/{form}", format=form, start="2026-03-10", end="2026-03-12"
        )
        done = load(database, land.execute(task_context()))
        assert done["rows"] == 450
        assert all(name.endswith(form) == (form == "parquet") for name in done["files"])
        tables.append(database.query(EVENTS))
        database.query("DELETE FROM {table}")
    assert tables[0] == tables[1]


def test_a_folder_of_parquet_is_loaded(sqlite: Database, tmp_path: Path) -> None:
    parquet(tmp_path / "kind=bounces" / "a.parquet", [event("m-1")])
    parquet(tmp_path / "kind=bounces" / "b.parquet.part-1", [event("m-2")])
    write(tmp_path / "kind=bounces" / "c.ndjson", [bounce("m-3")])
    assert load(sqlite, str(tmp_path))["rows"] == 2


@pytest.mark.usefixtures("object_storage")
def test_parquet_on_object_storage_is_loaded(sqlite: Database, tmp_path: Path) -> None:
    made = parquet(tmp_path / "made.parquet", [event()])
    with ObjectStoragePath("memory://bucket/kind=bounces/a.parquet").open("wb") as stream:
        stream.write(Path(made).read_bytes())
    assert load(sqlite, "memory://bucket")["rows"] == 1


def test_times_of_any_unit_and_zone_are_read(sqlite: Database, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    events = [event(occurred_at=datetime(2026, 3, 10, 12, tzinfo=UTC))]
    for number, kind in enumerate(
        [pyarrow.timestamp("ns", "Asia/Tokyo"), pyarrow.timestamp("ms"), pyarrow.timestamp("us", "UTC")]
    ):
        load(sqlite, parquet(tmp_path / f"{number}.parquet", events, occurred_at=kind))
        assert sqlite.query("SELECT occurred_at FROM {table}") == [("2026-03-10 12:00:00.000000",)]


def test_parquet_without_a_column_that_may_be_empty_is_read(sqlite: Database, tmp_path: Path) -> None:
    row = event()
    del row["recipient"], row["mailbox"]
    row["another"] = 5
    load(sqlite, parquet(tmp_path / "rows.parquet", [row]))
    assert sqlite.query("SELECT recipient, mailbox, reference FROM {table}") == [(None, None, "m-1")]


BAD: list[tuple[dict[str, Any], str]] = [
    ({"schema_version": SCHEMA_VERSION + 1}, rf"has schema_version {SCHEMA_VERSION + 1} and this release knows"),
    ({"event_id": None, "raw": None}, "is no landed feedback: it has no column event_id, raw"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_parquet_of_another_contract_is_refused(
    sqlite: Database, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    row = {name: value for name, value in event(**change).items() if value is not None}
    with pytest.raises(AirflowFailException, match=message):
        load(sqlite, parquet(tmp_path / "rows.parquet", [row]))


def test_a_file_that_is_no_parquet_is_refused(sqlite: Database, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "rows.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(AirflowFailException, match=r"rows\.parquet' is no Parquet file"):
        load(sqlite, str(tmp_path / "rows.parquet"))


# ------------------------------------------------------------------------------------------------- odd texts, damage


@pytest.mark.parametrize("line", ['{"outcome": "a\\ud800b"}', '{"outcome": "a\\udfff\\ud83d\\ude00"}'])
def test_half_a_character_is_replaced_and_the_row_is_loaded(database: Database, tmp_path: Path, line: str) -> None:
    (tmp_path / "rows.ndjson").write_text(line)
    load(database, str(tmp_path / "rows.ndjson"), kinds="bounces")
    ((outcome, raw),) = database.query("SELECT outcome, raw FROM {table}")
    assert outcome in {"a�b", "a�😀"}
    assert raw == line


@pytest.mark.parametrize("timestamp", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.9999999Z"])
def test_the_ends_of_the_calendar_are_loaded(database: Database, tmp_path: Path, timestamp: str) -> None:
    path = write(tmp_path / "rows.ndjson", [bounce(timestamp=timestamp)])
    load(database, path, kinds="bounces")
    assert load(database, path, kinds="bounces")["updated"] == 0
    assert database.query("SELECT count(*) FROM {table} WHERE occurred_at IS NOT NULL") == [(1,)]


def test_bytes_that_are_no_utf_8_are_replaced(database: Database, tmp_path: Path) -> None:
    (tmp_path / "rows.ndjson").write_bytes('{"outcome": "ünknown"}'.encode("latin-1"))
    load(database, str(tmp_path / "rows.ndjson"), kinds="bounces")
    assert database.query("SELECT outcome FROM {table}") == [("�nknown",)]


def test_a_nul_is_replaced_and_the_row_is_loaded(database: Database, tmp_path: Path) -> None:
    load(database, write(tmp_path / "rows.ndjson", [bounce("m\0-1", outcome="a\0b")]), kinds="bounces")
    assert database.query("SELECT outcome, reference FROM {table}") == [("a�b", "m�-1")]


def test_a_text_that_is_too_long_for_its_column_is_cut_and_raw_keeps_all_of_it(
    database: Database, tmp_path: Path
) -> None:
    row = bounce("ü" * 300, outcome="long " * 20_000, mapping="x" * 40, finalize_reason="y" * 70)
    path = write(tmp_path / "rows.ndjson", [row])
    load(database, path, kinds="bounces")
    assert load(database, path, kinds="bounces")["updated"] == 0
    ((reference, outcome, kind, reason, raw),) = database.query(
        "SELECT reference, outcome, bounce_type, reason, raw FROM {table}"
    )
    assert (reference, outcome, kind, reason) == ("ü" * 255, row["outcome"], "x" * 32, "y" * 64)
    assert "\\u00fc" * 300 in raw


def test_rows_larger_than_a_statement_may_be_are_loaded(database: Database, tmp_path: Path) -> None:
    rows = [bounce(f"m-{number}", outcome=f"{number} " + "x" * 400_000) for number in range(50)]
    assert load(database, write(tmp_path / "rows.ndjson", rows), kinds="bounces")["inserted"] == 50
    assert database.count == 50


def test_a_file_that_is_cut_off_is_refused(sqlite: Database, tmp_path: Path) -> None:
    data = gzip.compress(b"\n".join(b'{"external_reference": "%d"}' % number for number in range(5_000)))
    (tmp_path / "rows.ndjson.gz").write_bytes(data[:-4000])
    with pytest.raises(AirflowFailException, match=r"rows\.ndjson\.gz' is damaged behind line \d+"):
        load(sqlite, str(tmp_path / "rows.ndjson.gz"), kinds="bounces")


def test_a_file_that_is_not_packed_at_all_is_refused(sqlite: Database, tmp_path: Path) -> None:
    (tmp_path / "rows.ndjson.gz").write_text("{}\n")
    with pytest.raises(AirflowFailException, match=r"rows\.ndjson\.gz' is damaged"):
        load(sqlite, str(tmp_path / "rows.ndjson.gz"), kinds="bounces")
