"""The example DAG that lands and loads each hour, executed by Airflow."""

from __future__ import annotations

import json
import runpy
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_messaging.sandbox.process import Sandbox
from dev.feedback_truth import SELECT, differences, table_rows, truth
from tests.transfers.conftest import Database

EXAMPLE = Path(__file__).resolve().parents[2] / "example_dags" / "marigold_feedback_hourly.py"
ELEVEN = datetime(2026, 2, 15, 11, tzinfo=UTC)


@pytest.fixture
def dag(airflow_db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The example, from Airflow's own folder."""
    copy = airflow_db / "dags" / EXAMPLE.name
    copy.parent.mkdir(exist_ok=True)
    shutil.copyfile(EXAMPLE, copy)
    monkeypatch.setenv("MESSAGING_DEMO_DIR", str(tmp_path))
    yield runpy.run_path(str(copy))["dag"]
    copy.unlink()


@pytest.mark.timeout(300)
def test_example_loads_what_each_hour_and_the_day_before_it_brought(
    sandbox: Sandbox, marigold_conn: str, dag: Any, sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MESSAGING_DB", json.dumps({"conn_type": "sqlite", "host": sqlite.url}))
    for kind in ("bounces", "complaints", "list_unsubscribes"):
        sandbox.seed(kind, 49 * 6, "2026-02-14", "2026-02-16", lateness=5 * 3600)
    sandbox.settings(feedback_copies=10)
    entries = sandbox.state("feedback", vendor="marigold")
    for hours in (0, 1):
        now = ELEVEN + timedelta(hours=hours, minutes=1)
        sandbox.settings(feedback_now=now.isoformat())
        assert dag.test(logical_date=ELEVEN + timedelta(hours=hours)).state == "success"
        begin, before = ELEVEN - timedelta(hours=25, minutes=15), now - timedelta(minutes=16)
        expected = truth(entries, since=begin, before=before, listed_by=now)
        found = table_rows(sqlite.query(SELECT.replace("{table}", "email_feedback")))
        assert differences(expected, found) == []
        assert sum(found.values()) > 200


def test_example_waits_until_it_is_wanted(dag: Any) -> None:
    assert dag.is_paused_upon_creation
    assert dag.catchup
