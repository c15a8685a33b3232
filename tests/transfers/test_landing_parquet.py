"""Feedback as Parquet: the events of the data contract, and the same ones as from NDJSON."""

from __future__ import annotations

import gzip
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_messaging.core.feedback import FEEDBACK, SCHEMA_VERSION
from airflow_provider_messaging.sandbox.process import Sandbox
from airflow_provider_messaging.transfers import _files
from airflow_provider_messaging.transfers._landing import FeedbackToObjectStorageOperator
from airflow_provider_messaging.vendors.marigold.feedback import normalise
from tests.contexts import task_context

parquet = pytest.importorskip("pyarrow.parquet")

KINDS = ("bounces", "complaints", "list_unsubscribes")


@pytest.fixture(autouse=True)
def connected(marigold_conn: str) -> None:
    """All operators find the sandbox."""


def land(path: object, **arguments: Any) -> dict[str, Any]:
    window = {"start": "2026-03-10T12:00:00Z", "end": "2026-03-10T13:00:00Z"}
    operator = FeedbackToObjectStorageOperator(task_id="land", path=str(path), **{**window, **arguments})
    result: dict[str, Any] = operator.execute(task_context())
    return result


def seed(sandbox: Sandbox, rows: int = 250, *kinds: str) -> None:
    for kind in kinds or KINDS:
        sandbox.seed(kind, rows=rows, start="2026-03-10T12:00:00Z", end="2026-03-10T12:59:59Z")


@pytest.mark.parametrize("kind", KINDS)
def test_it_holds_the_same_events_as_ndjson(sandbox: Sandbox, tmp_path: Path, kind: str) -> None:
    seed(sandbox)
    land(tmp_path / "rows.ndjson.gz", kinds=[kind])
    land(tmp_path / "rows.parquet", kinds=[kind])
    with gzip.open(tmp_path / "rows.ndjson.gz", "rt") as lines:
        expected = [normalise(kind, json.loads(line), raw=line.rstrip("\n")) for line in lines]
    assert parquet.read_table(tmp_path / "rows.parquet").to_pylist() == expected
    assert len(expected) == 250


def test_its_columns_are_those_of_the_data_contract(sandbox: Sandbox, tmp_path: Path) -> None:
    land(tmp_path / "rows.parquet", kinds=["bounces"])
    schema = parquet.read_schema(tmp_path / "rows.parquet")
    types = {"text": "string", "integer": "int64", "timestamp": "timestamp[us, tz=UTC]"}
    assert [(field.name, str(field.type), not field.nullable) for field in schema] == [
        (column.name, types[column.type], column.required) for column in FEEDBACK
    ]
    assert schema.metadata[b"schema_version"] == str(SCHEMA_VERSION).encode()


def test_a_window_without_feedback_makes_a_file_without_rows(tmp_path: Path) -> None:
    land(tmp_path / "rows.parquet", kinds=["bounces"])
    assert parquet.read_table(tmp_path / "rows.parquet").num_rows == 0


def test_a_folder_of_parquet_is_asked_for_by_format(sandbox: Sandbox, tmp_path: Path) -> None:
    seed(sandbox)
    result = land(tmp_path / "feedback", format="parquet")
    assert [name.rpartition("/")[2] for name in result["files"]] == [
        f"{kind}-20260310T120000Z-20260310T130000Z.parquet" for kind in KINDS
    ]
    assert [parquet.read_metadata(name).num_rows for name in result["files"]] == [250] * 3


def test_row_groups_are_bounded(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_files, "ROW_GROUP", 100)
    seed(sandbox, 250, "bounces")
    land(tmp_path / "rows.parquet", kinds=["bounces"], page_size=30)
    found = parquet.ParquetFile(tmp_path / "rows.parquet")
    sizes = [found.metadata.row_group(group).num_rows for group in range(found.num_row_groups)]
    assert sizes == [100, 100, 50]
    moments = [row["occurred_at"] for row in found.read(columns=["occurred_at"]).to_pylist()]
    assert moments == sorted(moments)
    assert all(isinstance(moment, datetime) and moment.tzinfo for moment in moments)


def test_a_rerun_makes_the_same_file(sandbox: Sandbox, tmp_path: Path) -> None:
    seed(sandbox)
    for name in ("a.parquet", "b.parquet"):
        land(tmp_path / name, kinds=["bounces"])
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_a_failure_leaves_no_file(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    seed(sandbox)
    sandbox.faults([{"operation": "bounces", "fault": "status", "status": 403, "skip": 1}])
    with pytest.raises(Exception, match="403"):
        land(tmp_path / "out" / "rows.parquet", kinds=["bounces"])
    assert not (tmp_path / "out").exists()
    assert list(temporary.iterdir()) == []


def test_rows_of_any_shape_are_kept(tmp_path: Path) -> None:
    import msgspec

    from airflow_provider_messaging.delivery.outputs import copy_to

    rows = [b"null", b'"text"', b'{"timestamp": 5, "external_reference": ["x"]}']
    file = _files.ParquetFile(copy_to(str(tmp_path / "rows.parquet")))
    file.write("bounces", [msgspec.Raw(row) for row in rows])
    file.finish(publish=True)
    found = parquet.read_table(tmp_path / "rows.parquet").to_pylist()
    assert [row["raw"] for row in found] == [row.decode() for row in rows]
    assert {row["occurred_at"] for row in found} == {None}


def test_without_pyarrow_it_says_what_to_install(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(Exception, match=r"airflow-provider-messaging\[parquet\]"):
        land(tmp_path / "rows.parquet", kinds=["bounces"])
    assert sandbox.requests(operation="bounces") == []
