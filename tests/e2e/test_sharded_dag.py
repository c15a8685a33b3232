"""The example DAG of a sharded send on a real Airflow: mapped tasks send each message once, and all adds up."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from airflow_provider_messaging.sandbox.process import Sandbox
from dev.local_airflow import LocalAirflow
from dev.make_sample import ROWS
from dev.make_sample import rows as sample_rows

DAG_ID = "marigold_sharded_send"
VALID = [row for row in sample_rows() if not row.broken]
REPEATED = 4
"""Rows whose reference, which no send would take, stands three times in the sample: two of each kind are left out."""


@pytest.fixture(scope="module")
def run_id(airflow: LocalAirflow, sandbox_process: Sandbox) -> str:
    """A run that ended well."""
    sandbox_process.reset()
    airflow.client.wait_for_dag(DAG_ID)
    run_id = airflow.client.trigger(DAG_ID)
    state = airflow.client.wait_for_run(DAG_ID, run_id, timeout=240)
    assert state == "success", airflow.client.log(DAG_ID, run_id, "shard")[-4000:]
    return run_id


@pytest.fixture(scope="module")
def total(airflow: LocalAirflow, run_id: str) -> dict[str, Any]:
    """What the last task returned."""
    found: dict[str, Any] = airflow.client.xcom(DAG_ID, run_id, "combine")
    return found


def lines(location: str) -> Iterator[dict[str, Any]]:
    yield from map(json.loads, Path(unquote(urlsplit(location).path)).read_bytes().splitlines())


def test_there_is_a_send_for_each_shard(airflow: LocalAirflow, run_id: str) -> None:
    sends = [task for task in airflow.client.task_instances(DAG_ID, run_id) if task["task_id"] == "send"]
    assert sorted(task["map_index"] for task in sends) == [0, 1, 2]
    counts = [airflow.client.xcom(DAG_ID, run_id, "send", map_index=number)["messages"] for number in range(3)]
    assert counts == [400, 400, ROWS - 800 - REPEATED]


def test_the_results_add_up_to_the_whole_file(total: dict[str, Any]) -> None:
    assert (total["shards"], total["messages"], total["repeated"]) == (3, ROWS - REPEATED, REPEATED)
    rejected = ROWS - REPEATED - len(VALID)
    assert (total["accepted"], total["rejected"], total["ambiguous"]) == (len(VALID), rejected, 0)


def test_every_valid_message_is_accepted_once_with_a_reference_of_its_own(
    total: dict[str, Any], sandbox_process: Sandbox
) -> None:
    assert sandbox_process.counts("marigold") == {"total": len(VALID), "distinct": len(VALID), "duplicates": 0}


def test_the_manifests_name_what_the_vendor_has(total: dict[str, Any], sandbox_process: Sandbox) -> None:
    told = Counter((line["reference"], line["recipient"]) for path in total["manifest_path"] for line in lines(path))
    assert told == Counter(
        (each["reference"], each["recipient"]) for each in sandbox_process.iter_deliveries("marigold")
    )


def test_the_rejects_files_hold_all_other_rows(total: dict[str, Any]) -> None:
    folder = total["rejects_path"][0].rpartition("/")[0]
    paths = [*total["rejects_path"], f"{folder}/repeated.ndjson"]
    assert [sum(1 for _ in lines(path)) for path in paths[3:]] == [REPEATED]
    assert sum(1 for path in paths for _ in lines(path)) == ROWS - len(VALID)
