"""The task group in a DAG, and the example DAG with it, executed by Airflow."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_messaging.operators.engageone import BlacklistAddressOperator
from airflow_provider_messaging.operators.marigold import SendEmailBatchOperator
from airflow_provider_messaging.operators.suppression import AttributeFeedbackOperator, suppress_feedback
from airflow_provider_messaging.sandbox.process import Sandbox
from airflow_provider_messaging.transfers.marigold import FeedbackToObjectStorageOperator
from tests.contexts import StateStore
from tests.operators.conftest import message, read_lines
from tests.operators.suppressing import run

EXAMPLE = Path(__file__).resolve().parents[2] / "example_dags" / "bounces_to_blacklist.py"
PLACES: dict[str, Any] = {"manifest_path": "m", "source_path": "s", "addresses_path": "a"}


def test_the_group_has_two_tasks_one_after_the_other() -> None:
    with DAG("etl", schedule=None) as dag:
        land = FeedbackToObjectStorageOperator(task_id="land", path="x")
        group = suppress_feedback(**PLACES)
        land >> group
    assert set(dag.task_ids) == {"land", "suppress_feedback.attribute", "suppress_feedback.blacklist"}
    assert dag.get_task("suppress_feedback.attribute").upstream_task_ids == {"land"}
    assert dag.get_task("suppress_feedback.blacklist").upstream_task_ids == {"suppress_feedback.attribute"}


def test_the_groups_arguments_go_to_its_tasks() -> None:
    with DAG("etl", schedule=None) as dag:
        suppress_feedback(
            "suppress",
            **PLACES,
            unattributed_path="u",
            reached_path="r",
            suppressed_path="b",
            rejects_path="j",
            category="news",
            soft_bounces=5,
            soft_window=timedelta(days=7),
            since="2026-03-10",
            max_concurrency=16,
            rate_limit=10,
            engageone_conn_id="other",
        )
    attribute, blacklist = dag.get_task("suppress.attribute"), dag.get_task("suppress.blacklist")
    assert isinstance(attribute, AttributeFeedbackOperator)
    assert isinstance(blacklist, BlacklistAddressOperator)
    assert (attribute.unattributed_path, attribute.reached_path, attribute.category) == ("u", "r", "news")
    assert (attribute.soft_bounces, attribute.soft_window, attribute.since) == (5, timedelta(days=7), "2026-03-10")
    assert (blacklist.manifest_path, blacklist.rejects_path, blacklist.category) == ("b", "j", "news")
    assert (blacklist.max_concurrency, blacklist.rate_limit, blacklist.engageone_conn_id) == (16, 10, "other")
    assert blacklist.on_rejected == "continue"


def test_two_groups_fit_into_one_dag() -> None:
    with DAG("etl", schedule=None) as dag:
        for account in ("shop", "club"):
            suppress_feedback(f"suppress_{account}", **PLACES)
    assert len(dag.task_ids) == 4


@pytest.fixture
def example(airflow_db: Path) -> Iterator[Path]:
    """The example DAG, in Airflow's own folder."""
    copy = airflow_db / "dags" / EXAMPLE.name
    copy.parent.mkdir(exist_ok=True)
    shutil.copyfile(EXAMPLE, copy)
    yield copy
    copy.unlink()


@pytest.mark.usefixtures("connections")
@pytest.mark.timeout(180)
def test_the_example_dag_blacklists_who_bounced_two_hours_ago(
    sandbox: Sandbox, example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESSAGING_DEMO_DIR", str(tmp_path))
    sandbox.settings(clock_skew=-2 * 3600)
    names = ["hard-bounce", "soft-bounce", "complaint", "unsubscribe", "user"]
    rows = [message(number, to=f"{name}@example.com") for number, name in enumerate(names)]
    send = {"messages": rows, "manifest_path": str(tmp_path / "run" / "manifest.ndjson")}
    run(SendEmailBatchOperator, store=StateStore(), **send)

    spec = importlib.util.spec_from_file_location("bounces_to_blacklist", example)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    done = module.dag.test(logical_date=datetime.now(UTC))

    assert done.state == "success"
    listed = sandbox.state("blacklist", vendor="engageone")
    assert {row["email"]: row["reason"] for row in listed} == {
        "hard-bounce@example.com": "Hard Bounce",
        "complaint@example.com": "Complaint",
        "unsubscribe@example.com": "Recipient Unsubscribed",
    }
    [addresses] = tmp_path.glob("suppression/*/addresses.ndjson")
    assert {line["email"] for line in read_lines(addresses)} == {row["email"] for row in listed}
