"""Manifests in a table beside the feedback, so that an analyst can join them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_messaging.operators.marigold import SendEmailBatchOperator
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.contexts import TaskInstance, task_context
from tests.transfers.conftest import Database
from tests.transfers.loads import bounce, load, write

LINE: dict[str, Any] = {
    "send_id": "s-1",
    "reference": "m-1",
    "recipient": "ann@example.com",
    "profile": "p-1",
    "tags": ["spring", "günstig"],
    "dag_id": "mailing",
    "run_id": "manual__1",
    "task_id": "send",
    "map_index": -1,
    "row": 7,
    "outcome": "ambiguous",
    "at": "2026-03-10T11:59:00.000+00:00",
}


def test_a_row_holds_the_line(database: Database, tmp_path: Path) -> None:
    done = load(database, write(tmp_path / "manifest.ndjson.gz", [LINE]), kinds=["manifest"])
    assert (done["rows"], done["inserted"]) == (1, 1)
    ((key, tags, details, *row),) = database.query(
        "SELECT manifest_id, tags, details, schema_version, reference, recipient, profile, dag_id, run_id, task_id, "
        "map_index, source_row, outcome FROM {table}"
    )
    assert row == [1, "m-1", "ann@example.com", "p-1", "mailing", "manual__1", "send", -1, 7, "ambiguous"]
    assert len(key) == 32
    assert (json.loads(tags), json.loads(details)) == (["spring", "günstig"], {"send_id": "s-1"})


def test_a_later_try_of_the_same_run_replaces_the_outcome(database: Database, tmp_path: Path) -> None:
    path = write(tmp_path / "manifest.ndjson", [LINE, {**LINE, "reference": "m-2"}])
    load(database, path, kinds="manifest")
    assert load(database, path, kinds="manifest")["updated"] == 0
    write(tmp_path / "manifest.ndjson", [{**LINE, "outcome": "accepted", "row": 8}, {**LINE, "reference": "m-2"}])
    done = load(database, path, kinds="manifest")
    assert (done["inserted"], done["updated"]) == (0, 1)
    found = database.query("SELECT reference, outcome, source_row FROM {table} ORDER BY reference")
    assert found == [("m-1", "accepted", 8), ("m-2", "ambiguous", 7)]


@pytest.mark.parametrize("change", [{"run_id": "manual__2"}, {"map_index": 0}, {"task_id": "other"}, {"dag_id": "x"}])
def test_the_same_reference_of_another_task_or_run_is_another_row(
    sqlite: Database, tmp_path: Path, change: dict[str, Any]
) -> None:
    load(sqlite, write(tmp_path / "manifest.ndjson", [LINE, {**LINE, **change}]), kinds="manifest")
    assert sqlite.count == 2


def test_what_was_sent_and_what_came_back_can_be_joined(
    database: Database, sandbox: Sandbox, marigold_conn: str, tmp_path: Path
) -> None:
    sent = SendEmailBatchOperator(
        task_id="send",
        messages=[
            {"to": f"{name}@example.com", "from": "us@example.com", "subject": "S", "text": "T"} for name in "ab"
        ],
        manifest_path=str(tmp_path / "manifest.ndjson"),
    ).execute(task_context(TaskInstance()))
    assert sent["accepted"] == 2
    [line, _] = [json.loads(text) for text in (tmp_path / "manifest.ndjson").read_text().splitlines()]
    landed = write(tmp_path / "rows.ndjson", [bounce(line["reference"], timestamp="2099-03-10T12:00:00Z")])
    manifest = f"{database.table}_sent"
    try:
        assert load(database, sent, kinds="manifest", table=manifest)["rows"] == 2
        load(database, landed, kinds="bounces")
        joined = database.query(
            "SELECT m.recipient, e.bounce_type FROM {table} e JOIN {table}_sent m ON m.reference = e.reference "
            "WHERE m.outcome = 'accepted' AND e.occurred_at > m.outcome_at"
        )
        assert joined == [(line["recipient"], "hard")]
    finally:
        database.query("DROP TABLE IF EXISTS {table}_sent")


def test_a_folder_of_manifests_is_loaded(sqlite: Database, tmp_path: Path) -> None:
    write(tmp_path / "sent" / "monday" / "a.ndjson", [LINE])
    write(tmp_path / "sent" / "b.ndjson.gz", [{**LINE, "reference": "m-2"}])
    write(tmp_path / "sent" / "c.ndjson.part-7", [{**LINE, "reference": "m-3"}])
    done = load(sqlite, f"{tmp_path}/sent", kinds="manifest")
    assert (done["rows"], len(done["files"])) == (2, 2)


@pytest.mark.parametrize("row", [bounce(), {**LINE, "reference": 5}, {**LINE, "outcome": None}, {**LINE, "at": "soon"}])
def test_what_is_no_line_of_a_manifest_fails_the_task_for_good(
    sqlite: Database, tmp_path: Path, row: dict[str, Any]
) -> None:
    path = write(tmp_path / "manifest.ndjson", [LINE, row])
    with pytest.raises(AirflowFailException, match=r"line 1 of .*manifest\.ndjson' is not a line of a manifest"):
        load(sqlite, path, kinds="manifest")


def test_a_manifest_does_not_go_into_the_table_of_feedback(database: Database, tmp_path: Path) -> None:
    load(database, write(tmp_path / "rows.ndjson", [bounce()]), kinds="bounces")
    with pytest.raises(AirflowFailException, match=r"lacks manifest_id"):
        load(database, write(tmp_path / "manifest.ndjson", [LINE]), kinds="manifest")
