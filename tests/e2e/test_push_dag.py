"""The example DAG of push on a real Airflow: sent, followed to the end, and found in the statistics."""

from __future__ import annotations

from typing import Any

from dev.local_airflow import LocalAirflow

DAG_ID = "marigold_push_statistics"


def test_the_pushes_are_accepted_followed_and_counted(airflow: LocalAirflow, sandbox_process: Any) -> None:
    sandbox_process.reset()
    airflow.client.wait_for_dag(DAG_ID)
    run_id = airflow.client.trigger(DAG_ID)
    state = airflow.client.wait_for_run(DAG_ID, run_id)
    assert state == "success", airflow.client.log(DAG_ID, run_id, "statistics")
    assert airflow.client.xcom(DAG_ID, run_id, "send")["accepted"] == 20
    assert airflow.client.xcom(DAG_ID, run_id, "wait_until_done")["reached"] == 20
    assert sandbox_process.counts()["total"] == 20
    totals = airflow.client.xcom(DAG_ID, run_id, "statistics")["totals"]
    assert sum(count for name, count in totals.items() if "mobile" in name and "accepted" in name) >= 20, totals
