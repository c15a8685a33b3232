"""The example DAGs of EngageOne, Messangi and Press'nXPress, each with its counts and what the vendor has then."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_messaging.sandbox.process import Sandbox
from dev.local_airflow import LocalAirflow
from tests.drivers import eventually

SECRETS = (
    "sandbox-secret",
    "sandbox-password",
    "sandbox-api-key",
    "sandbox-2fa-token",
    "sandbox-touchpoint",
)


@pytest.fixture(scope="module", autouse=True)
def _from_the_beginning(sandbox_process: Sandbox) -> None:
    sandbox_process.reset()


def run(airflow: LocalAirflow, dag_id: str, *tasks: str) -> dict[str, Any]:
    """Run a DAG to success and return what the tasks returned, and the run's id as ``run_id``."""
    airflow.client.wait_for_dag(dag_id)
    run_id = airflow.client.trigger(dag_id)
    state = airflow.client.wait_for_run(dag_id, run_id, timeout=150)
    assert state == "success", airflow.client.log(dag_id, run_id, tasks[-1])[-4000:]
    return {"run_id": run_id} | {name: airflow.client.xcom(dag_id, run_id, name) for name in tasks}


def lines(path: str) -> Iterator[dict[str, Any]]:
    yield from map(json.loads, Path(path).read_text().splitlines())


def test_engageone_suppresses_uploads_sends_and_waits(airflow: LocalAirflow, sandbox_process: Sandbox) -> None:
    found = run(airflow, "engageone_campaign", "suppress", "upload", "create", "send", "wait_until_done")
    suppressed = found["suppress"]
    assert (suppressed["addresses"], suppressed["accepted"], suppressed["rejected"]) == (6, 5, 1)
    assert suppressed["duplicates"] == 1
    listed = {entry["email"] for entry in sandbox_process.state("blacklist", vendor="engageone")}
    assert listed == {
        "gone@example.com",
        "Gone@example.com",
        "customer-3@example.com",
        "customer-7@example.com",
        "günther@bücher.example",
    }
    (asset,) = sandbox_process.state("assets", vendor="engageone")
    banner = Path(__file__).resolve().parents[2] / "example_dags" / "data" / "banner.svg"
    assert asset["size"] == banner.stat().st_size
    send = found["send"]
    assert (send["records"], send["accepted"], send["requests"], len(send["send_ids"])) == (250, 250, 3, 3)
    assert found["wait_until_done"]["reached"] == 3
    delivered = Counter(each["recipient"] for each in sandbox_process.iter_deliveries("engageone"))
    # Two of the recipients are on the blacklist, which is why it is filled first.
    assert (len(delivered), set(delivered.values())) == (248, {1})
    assert {line["send_id"] for line in lines(send["manifest_path"])} == set(send["send_ids"])


def test_messangi_writes_subscribers_and_sends_each_an_sms(airflow: LocalAirflow, sandbox_process: Sandbox) -> None:
    found = run(airflow, "messangi_subscribers", "make_list", "subscribe", "write")
    assert found["subscribe"]["accepted"] == 50
    assert found["subscribe"]["outcomes"] == {"created": 50}
    assert len(sandbox_process.state("subscribers", vendor="messangi")) == 50
    assert (found["write"]["accepted"], found["write"]["ambiguous"]) == (50, 0)
    sent = Counter(each["recipient"] for each in sandbox_process.iter_deliveries("messangi"))
    assert sent == Counter(f"1202555{number:04}" for number in range(100, 150))
    assert all(line["message_id"] for line in lines(found["write"]["manifest_path"]))


def test_pressnxpress_asks_everybody_once_and_rejects_another_spelling(
    airflow: LocalAirflow, sandbox_process: Sandbox
) -> None:
    found = run(airflow, "pressnxpress_feedback", "ask")["ask"]
    assert (found["contacts"], found["accepted"], found["rejected"], found["ambiguous"]) == (60, 59, 1, 0)
    asked = Counter(each["recipient"] for each in sandbox_process.iter_deliveries("pressnxpress"))
    assert asked == Counter(f"customer-{number}@example.com" for number in range(60) if number != 17)
    (reject,) = lines(found["rejects_path"])
    assert reject["orderID"] == "1017"
    spellings = {
        row["name"]: set(row["spellings"]) for row in sandbox_process.state("attributes", vendor="pressnxpress")
    }
    assert spellings["orderid"] == {"orderId"}


def test_mapped_sends_stand_among_functions_that_use_hooks(airflow: LocalAirflow, sandbox_process: Sandbox) -> None:
    sandbox_process.reset()
    found = run(airflow, "marigold_taskflow", "count")
    assert found["count"] == {"segments": 2, "accepted": 8, "subscribers": 1}
    for index, accepted in enumerate((3, 5)):
        sent = airflow.client.xcom("marigold_taskflow", found["run_id"], "send", map_index=index)
        assert (sent["messages"], sent["accepted"]) == (accepted, accepted)
    assert sandbox_process.counts("marigold") == {"total": 8, "distinct": 8, "duplicates": 0}


def test_a_failed_dag_sends_an_sms(airflow: LocalAirflow, sandbox_process: Sandbox) -> None:
    before = sandbox_process.counts("messangi")["total"]
    airflow.client.wait_for_dag("alerting")
    run_id = airflow.client.trigger("alerting")
    assert airflow.client.wait_for_run("alerting", run_id, timeout=120) == "failed"
    # The callback runs in the DAG processor, after the run has ended.
    assert eventually(lambda: sandbox_process.counts("messangi")["total"] == before + 1, seconds=60)
    *_, sms = sandbox_process.iter_deliveries("messangi")
    assert sms["recipient"] == "12025550123"


def test_no_log_of_airflow_holds_a_secret(airflow: LocalAirflow) -> None:
    logs = [*airflow.home.rglob("*.log")]
    assert logs
    for path in logs:
        text = path.read_text(errors="replace")
        assert not [secret for secret in SECRETS if secret in text], path
