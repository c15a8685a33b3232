"""What a load tells Airflow: asset events, lineage, progress."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector
from airflow.sdk import Asset, AssetAlias
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_messaging.hooks._lineage import Lineage
from airflow_provider_messaging.transfers import _loading
from airflow_provider_messaging.transfers.marigold import FeedbackToSqlOperator
from tests.contexts import task_context
from tests.transfers.conftest import Database
from tests.transfers.loads import bounce, write


def execute(database: Database, source: Any, **arguments: Any) -> tuple[FeedbackToSqlOperator, OutletEventAccessors]:
    made = FeedbackToSqlOperator(
        task_id="load",
        source_path=source,
        table=database.table,
        sql_conn_id=database.conn_id,
        create_table=True,
        kinds=["bounces"],
        **arguments,
    )
    events = OutletEventAccessors()
    made.execute(task_context(task=made, outlet_events=events))
    return made, events


def test_an_outlet_gets_the_counts_the_window_and_the_table(postgres: Database, tmp_path: Path) -> None:
    landed = {
        "files": [write(tmp_path / "a.ndjson", [bounce("m-1"), bounce("m-2"), bounce("m-2")])],
        "rows": {"bounces": 3},
        "start": "2026-03-10T00:00:00+00:00",
        "end": "2026-03-10T01:00:00+00:00",
    }
    asset = Asset("feedback")
    _, events = execute(postgres, landed, outlets=[asset])
    parts = urlsplit(postgres.url)
    assert events[asset].extra == {
        "table": postgres.table,
        "rows": 3,
        "inserted": 2,
        "updated": 0,
        "files": 1,
        "start": "2026-03-10T00:00:00+00:00",
        "end": "2026-03-10T01:00:00+00:00",
        "location": f"postgres://{parts.hostname}:{parts.port or 5432}/{parts.path.strip('/')}/public/{postgres.table}",
    }


def test_an_alias_gets_an_asset_of_the_table(database: Database, tmp_path: Path) -> None:
    alias = AssetAlias("loaded")
    _, events = execute(database, write(tmp_path / "a.ndjson", [bounce()]), outlets=[alias])
    [event] = events[alias].asset_alias_events
    assert event.extra["rows"] == 1
    assert event.dest_asset_key.uri.endswith(f"/{database.table}")
    assert event.dest_asset_key.uri.split(":")[0] in {"sqlite", "postgres", "mysql"}


def test_files_and_table_are_in_the_hook_lineage(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector = get_hook_lineage_collector()
    inputs, outputs = [], []
    monkeypatch.setattr(collector, "add_input_asset", lambda context, uri: inputs.append(uri))
    monkeypatch.setattr(collector, "add_output_asset", lambda context, uri: outputs.append(uri))
    path = write(tmp_path / "a.ndjson", [bounce()])
    execute(database, path)
    assert inputs == [f"file://{path}"]
    assert [uri.rpartition("/")[2] for uri in outputs] == [database.table]


def test_a_password_is_in_no_lineage(postgres: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = urlsplit(postgres.url)
    secret = f"postgresql://{parts.username}:very-secret@{parts.hostname}:{parts.port or 5432}{parts.path}"
    monkeypatch.setenv("AIRFLOW_CONN_FEEDBACK_POSTGRES", secret)
    asset = Asset("feedback")
    made, events = execute(postgres, write(tmp_path / "a.ndjson", [bounce()]), outlets=[asset])
    told: Lineage = made._lineage
    assert told.outputs[0].rows == 1
    assert "very-secret" not in f"{told} {events[asset].extra}"


def test_openlineage_gets_the_columns_and_the_name_of_the_table(postgres: Database, tmp_path: Path) -> None:
    made, _ = execute(postgres, write(tmp_path / "a.ndjson", [bounce()]))
    [output] = made._lineage.outputs
    parts = urlsplit(postgres.url)
    assert output.namespace == f"postgres://{parts.hostname}:{parts.port or 5432}"
    assert output.name == f"{parts.path.strip('/')}.public.{postgres.table}"
    assert [name for name, _, _ in output.columns][-2:] == ["first_loaded_at", "loaded_at"]
    assert [source.name for source in made._lineage.inputs] == [str(tmp_path / "a.ndjson")]
    made.get_openlineage_facets_on_complete(None)


def test_progress_is_told(
    sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_loading, "PROGRESS_SECONDS", 0.0)
    caplog.set_level(logging.INFO)
    files = [write(tmp_path / f"{n}.ndjson", [bounce(f"m-{n}-{i}") for i in range(4)]) for n in range(2)]
    execute(sqlite, files, commit_every=3)
    told = [message for message in caplog.messages if "rows are in" in message]
    assert [message.split()[0] for message in told] == ["3", "6", "8", "8"]
    assert told[0].endswith("3 are new, 0 have changed; 0 of 2 files are read")
    assert told[-1].endswith("8 are new, 0 have changed; all of 2 files")
