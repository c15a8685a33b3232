"""The example DAG, through scheduler, workers and triggerer: every number adds up."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_messaging.sandbox.process import Sandbox
from dev.local_airflow import LocalAirflow
from dev.make_sample import rows as sample_rows

DAG_ID = "marigold_bounce_etl"
TASKS = ("send", "wait_for_bounces", "land_feedback", "load_feedback")
RETURNS = {
    ("bounce", "hard"): "hard-bounce",
    ("bounce", "soft"): "soft-bounce",
    ("complaint", None): "complaint",
    ("list_unsubscribe", None): "unsubscribe",
}


@dataclass(frozen=True)
class Run:
    """What a run left behind."""

    run_id: str
    states: dict[str, set[str | None]]
    """The states that each task was seen in."""
    results: dict[str, Any]
    deliveries: list[dict[str, Any]]
    requests: list[dict[str, Any]]


@pytest.fixture(scope="module")
def run(airflow: LocalAirflow, sandbox_process: Sandbox) -> Run:
    sandbox_process.reset()
    sandbox_process.settings(feedback_delay=6)
    client = airflow.client
    client.wait_for_dag(DAG_ID)
    returning = sum(1 for row in sample_rows() if row.returns)
    run_id = client.trigger(DAG_ID, {"wait_for": returning})
    states: dict[str, set[str | None]] = {}

    def seen(line: str) -> None:
        task, _, state = line.partition(": ")
        states.setdefault(task, set()).add(state)

    assert client.wait_for_run(DAG_ID, run_id, timeout=150, progress=seen) == "success"
    return Run(
        run_id,
        states,
        {
            task: client.xcom(DAG_ID, run_id, task)
            for task in ("send", "wait_for_bounces", "land_feedback", "load_feedback")
        },
        sandbox_process.deliveries(),
        sandbox_process.requests(),
    )


def read(location: str) -> Iterator[dict[str, Any]]:
    with Path(location.removeprefix("file://")).open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


SAMPLE = list(sample_rows())
VALID = [row for row in SAMPLE if not row.broken]


def test_every_valid_message_is_accepted_once_and_every_other_rejected(run: Run) -> None:
    result = run.results["send"]
    assert result["messages"] == len(SAMPLE)
    assert (result["accepted"], result["ambiguous"]) == (len(VALID), 0)
    assert result["rejected"] == len(SAMPLE) - len(VALID)
    references = Counter(each["reference"] for each in run.deliveries)
    assert len(references) == len(VALID)
    assert set(references.values()) == {1}


def test_the_rejects_file_holds_the_rows_that_break_a_rule_and_no_other(run: Run) -> None:
    rejected = sorted(line["_rejected"]["row"] for line in read(run.results["send"]["rejects_path"]))
    assert rejected == [number for number, row in enumerate(SAMPLE) if row.broken]


def test_the_manifest_tells_who_got_which_reference(run: Run) -> None:
    told = {line["reference"]: line["recipient"] for line in read(run.results["send"]["manifest_path"])}
    assert told == {each["reference"]: each["recipient"] for each in run.deliveries}


def test_the_requests_keep_both_limits(run: Run) -> None:
    sends = [request for request in run.requests if request["operation"] == "send_email"]
    assert len(sends) == run.results["send"]["requests"]
    assert max(request["messages"] for request in sends) <= 100
    assert max(request["request_bytes"] for request in sends) <= 4_000_000


def test_the_sensor_waited_out_of_the_workers_until_everything_was_there(run: Run) -> None:
    assert "deferred" in run.states["wait_for_bounces"]
    assert run.results["wait_for_bounces"]["count"] == sum(1 for row in SAMPLE if row.returns)


def test_all_that_came_back_was_landed_and_loaded_once(run: Run, data_dir: Path) -> None:
    expected = Counter(row.returns for row in SAMPLE if row.returns)
    assert sum(run.results["land_feedback"]["rows"].values()) == expected.total()
    assert run.results["load_feedback"]["rows"] == expected.total()
    with closing(sqlite3.connect(data_dir / "messaging.db")) as database:
        counted = database.execute("SELECT kind, bounce_type, count(*) FROM email_feedback GROUP BY 1, 2").fetchall()
    assert {RETURNS[kind, bounce_type]: number for kind, bounce_type, number in counted} == expected


def test_each_loaded_reference_is_one_of_the_manifest(run: Run, data_dir: Path) -> None:
    known = {line["reference"] for line in read(run.results["send"]["manifest_path"])}
    with closing(sqlite3.connect(data_dir / "messaging.db")) as database:
        loaded = {reference for (reference,) in database.execute("SELECT reference FROM email_feedback")}
    assert loaded <= known


def test_no_log_of_any_task_holds_an_address_or_a_secret(run: Run, airflow: LocalAirflow) -> None:
    logs = [path.read_text() for path in (airflow.home / "logs").rglob("*.log") if run.run_id in str(path)]
    text = "\n".join(logs)
    assert "Sent: 1200 messages" in text
    for word in ("@example", "customer-", "sandbox-secret"):
        assert word not in text


def test_the_triggerer_logs_counts_and_no_addresses(run: Run, airflow: LocalAirflow) -> None:
    text = (airflow.home / "triggerer.log").read_text()
    assert "@example" not in text
    assert "sandbox-secret" not in text
