"""``airflow-messaging ledger show`` on a real Airflow, by its database and by its API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dev.local_airflow import LocalAirflow
from tests.cli.commands import run, write

DAG_ID = "marigold_push_statistics"


@pytest.fixture(scope="module")
def sent(airflow: LocalAirflow, sandbox_process: Any) -> str:
    """The id of a run whose task ``send`` has sent 20 messages."""
    sandbox_process.reset()
    airflow.client.wait_for_dag(DAG_ID)
    run_id = airflow.client.trigger(DAG_ID)
    assert airflow.client.wait_for_run(DAG_ID, run_id) == "success"
    return run_id


@pytest.mark.airflow33
def test_the_database_and_the_api_tell_the_same_of_a_send(airflow: LocalAirflow, sent: str) -> None:
    token = {"AIRFLOW_API_TOKEN": airflow.client.get("/auth/token")["access_token"]}
    of_database = run("ledger", "show", DAG_ID, sent, "send", "--json", env=airflow.env).json
    of_api = run("ledger", "show", DAG_ID, sent, "send", "--api", airflow.url, "--json", env=token).json
    assert of_database == of_api
    counts = {name: of_api[name] for name in ("recorded", "accepted", "in_flight", "ambiguous", "not_taken")}
    assert counts == {"recorded": 20, "accepted": 20, "in_flight": 0, "ambiguous": 0, "not_taken": 0}
    assert of_api["complete"] is True
    told = run("ledger", "show", DAG_ID, sent, "send", env=airflow.env).out
    assert "20  accepted" in told


@pytest.mark.airflow33
@pytest.mark.parametrize("over_the_api", [False, True])
def test_a_task_without_a_ledger_and_an_unknown_task_are_told_apart(
    airflow: LocalAirflow, sent: str, over_the_api: bool
) -> None:
    token = airflow.client.get("/auth/token")["access_token"]
    api = ["--api", airflow.url] if over_the_api else []
    env = {**airflow.env, "AIRFLOW_API_TOKEN": token}
    without = run("ledger", "show", DAG_ID, sent, "statistics", *api, env=env, code=2)
    assert f"task statistics of {DAG_ID}, run {sent}, has no ledger" in without.err
    unknown = run("ledger", "show", DAG_ID, "no-such-run", "send", *api, env=env, code=2)
    assert f"Airflow knows no task send of {DAG_ID}, run no-such-run" in unknown.err


@pytest.mark.airflow33
def test_a_missing_token_and_a_dead_server_are_told(airflow: LocalAirflow) -> None:
    refused = run("ledger", "show", "d", "r", "t", "--api", airflow.url, env={"AIRFLOW_API_TOKEN": "wrong"}, code=2)
    assert "the token is missing, expired or may not read tasks" in refused.err
    dead = run("ledger", "show", "d", "r", "t", "--api", "http://127.0.0.1:9", code=3)
    assert "does not answer" in dead.err


@pytest.mark.airflow33
def test_the_ledger_confirms_the_manifest_of_the_last_try_and_no_older_one(
    airflow: LocalAirflow, sent: str, tmp_path: Path
) -> None:
    messages = write(tmp_path / "in.ndjson", *[{"n": number} for number in range(30)])
    origin = {"dag_id": DAG_ID, "run_id": sent, "task_id": "send", "map_index": -1}
    lines = [{"reference": f"r-{row}", "row": row, "outcome": "accepted", **origin} for row in range(20)]
    out = tmp_path / "out.ndjson"
    manifest = write(tmp_path / "manifest.ndjson", *lines)
    found = run("remaining", messages, "--manifest", manifest, "-o", out, "--json", env=airflow.env).json
    assert (found["accepted"], found["written"]) == (20, 10)
    out.unlink()
    older = write(tmp_path / "older.ndjson", *lines[:10])
    done = run("remaining", messages, "--manifest", older, "-o", out, env=airflow.env, code=2)
    assert "names 10 messages as accepted or ambiguous, the ledger has 20" in done.err
    assert not out.exists()
