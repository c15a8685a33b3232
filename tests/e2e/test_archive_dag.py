"""The example DAG of the archive on a real Airflow: sent, waited for, exported, deleted with a receipt."""

from __future__ import annotations

import json
from pathlib import Path

from airflow_provider_messaging.sandbox.process import Sandbox
from dev.local_airflow import LocalAirflow

DAG_ID = "marigold_archive_export"
PEOPLE = {"Ada", "Grace", "Edsger"}


def test_the_archive_is_exported_and_a_profile_deleted(
    airflow: LocalAirflow, sandbox_process: Sandbox, data_dir: Path
) -> None:
    sandbox_process.reset()
    # Both waits have to go through the triggerer, and the deletion has to be waited for.
    sandbox_process.settings(tracking_lag=12, archive_delay=30, archive_delete_delay=2)
    client = airflow.client
    client.wait_for_dag(DAG_ID)
    run_id = client.trigger(DAG_ID)
    seen: set[str] = set()
    assert client.wait_for_run(DAG_ID, run_id, timeout=150, progress=seen.add) == "success"
    assert {"wait_until_delivered: deferred", "wait_until_archived: deferred"} <= seen

    folder = data_dir / "archive" / run_id
    delivered = client.xcom(DAG_ID, run_id, "wait_until_delivered")
    assert (delivered["total"], delivered["states"]) == (3, {"delivered": 3})
    assert client.xcom(DAG_ID, run_id, "wait_until_archived")["states"] == {"archived": 3}

    result = client.xcom(DAG_ID, run_id, "export")
    assert (result["profiles"], result["messages"], result["exported"], result["files"]) == (3, 3, 3, 12)
    lines = [json.loads(line) for line in (folder / "export" / "index.ndjson").read_bytes().splitlines()]
    assert {line["profile"] for line in lines} == {f"CUSTOMERS.{name}" for name in PEOPLE}
    for line in lines:
        message = folder / "export" / line["folder"]
        assert (message / "attachments" / "0001-contract.txt").read_bytes() == b"Your contract."
        assert b"Subject: Your contract" in (message / "message.eml").read_bytes()
        assert (message / "preview.pdf").read_bytes().startswith(b"%PDF")
        tracked = json.loads((message / "metadata.json").read_bytes())["metadata"]["tracking"]
        assert any(event["type"].endswith("archived") for event in tracked)

    (receipt,) = [json.loads(line) for line in (folder / "receipt.ndjson").read_bytes().splitlines()]
    assert (receipt["profile"], receipt["listed"], receipt["verified"]) == ("CUSTOMERS.Ada", 1, True)
    assert (receipt["dag_id"], receipt["run_id"]) == (DAG_ID, run_id)

    # The triggerer looks and never exports; what is in no event is an address.
    for task in ("wait_until_delivered", "wait_until_archived"):
        assert "@example.com" not in client.log(DAG_ID, run_id, task)
