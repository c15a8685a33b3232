"""What people are told by a real Airflow: mails of callbacks, deadlines and Airflow itself, and links beside a task."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from airflow_provider_messaging.core.documentation import documentation
from airflow_provider_messaging.sandbox.process import Sandbox
from dev.local_airflow import LocalAirflow
from tests.drivers import eventually

VENDOR = "https://meetmarigold.com/"


@pytest.fixture(scope="module", autouse=True)
def _from_the_beginning(sandbox_process: Sandbox) -> None:
    sandbox_process.reset()


def mails(sandbox: Sandbox, to: str) -> dict[str, dict[str, Any]]:
    """What somebody got, by subject."""
    latest = sandbox.state("latest_messages", vendor="marigold")
    return {mail["headers"]["subject"]: mail for mail in latest if mail["headers"]["to"]["address"] == to}


@pytest.fixture(scope="module")
def alerts(airflow: LocalAirflow, sandbox_process: Sandbox) -> tuple[str, dict[str, dict[str, Any]]]:
    """The run of the DAG that fails on purpose, and the mails that told of it."""
    airflow.client.wait_for_dag("marigold_alerts")
    run_id = airflow.client.trigger("marigold_alerts")
    assert airflow.client.wait_for_run("marigold_alerts", run_id, timeout=150) == "failed"
    # The callback of the DAG runs in the DAG processor, after the run has ended.
    eventually(lambda: len(mails(sandbox_process, "oncall@example.com")) == 4, seconds=90)
    return run_id, mails(sandbox_process, "oncall@example.com")


def test_retry_failure_the_dags_failure_and_airflows_own_alert_each_send_one_mail(alerts: Any, airflow: Any) -> None:
    run_id, found = alerts
    assert set(found) == {
        "[Airflow] marigold_alerts.load failed and will be retried, try 1 of 2",
        "[Airflow] marigold_alerts.load failed, try 2 of 2",
        "marigold_alerts needs you: failed (task_failure)",
        f"Airflow alert: marigold_alerts.report, try 1, run {run_id}",
    }


def test_the_mail_of_a_failure_has_the_exception_and_links_into_airflow(alerts: Any, airflow: LocalAirflow) -> None:
    run_id, found = alerts
    mail = found["[Airflow] marigold_alerts.load failed, try 2 of 2"]
    run_url = f"{airflow.url}/dags/marigold_alerts/runs/{quote(run_id, safe='')}"
    html, text = mail["content"]["html"], mail["content"]["text"]
    assert "ValueError: column &lt;amount&gt; is of type numeric, but row 4711 has &#39;12,50&#39;" in html
    assert f'href="{run_url}"' in html
    assert "/tasks/load?try_number=2" in html
    assert f"Open the run: {run_url}" in text
    assert "Raised in: example_dags/marigold_alerts.py, line " in text


def test_airflows_own_alert_comes_through_marigold_with_one_line_of_configuration(alerts: Any) -> None:
    run_id, found = alerts
    mail = found[f"Airflow alert: marigold_alerts.report, try 1, run {run_id}"]
    assert mail["headers"]["from"] == {"alias": "Airflow", "address": "airflow@example.com"}
    assert "there is nothing to report" in mail["content"]["html"]
    assert "there is nothing to report" in mail["content"]["text"]


def test_a_missed_deadline_is_told_by_mail(airflow: LocalAirflow, sandbox_process: Sandbox) -> None:
    airflow.client.wait_for_dag("e2e_deadline")
    run_id = airflow.client.trigger("e2e_deadline")
    assert eventually(lambda: bool(mails(sandbox_process, "late@example.com")), seconds=90)
    [mail] = mails(sandbox_process, "late@example.com").values()
    assert mail["headers"]["subject"] == "[Airflow] e2e_deadline missed its deadline"
    assert run_id in mail["content"]["text"]
    assert airflow.client.wait_for_run("e2e_deadline", run_id) == "success"


def links(airflow: LocalAirflow, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> dict[str, str | None]:
    """What the buttons beside a task in the UI lead to."""
    path = f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances/{task_id}/links"

    def found() -> dict[str, str | None]:
        links: dict[str, str | None] = airflow.client.get(path, map_index=map_index)["extra_links"]
        return links

    # Airflow asks for links after it has told the task's last state; this one comes last.
    eventually(lambda: found()["Vendor"] is not None, seconds=60)
    return found()


def test_each_mapped_task_links_to_its_own_files_also_if_it_fails(airflow: LocalAirflow) -> None:
    airflow.client.wait_for_dag("e2e_links")
    run_id = airflow.client.trigger("e2e_links")
    airflow.client.wait_for_run("e2e_links", run_id)
    pages = f"{airflow.url}/dags/e2e_links/runs/{quote(run_id, safe='')}/tasks/mapped/mapped"
    assert links(airflow, "e2e_links", run_id, "mapped", 0) == {
        "Manifest": f"{pages}/0/rendered_templates",
        "Rejects": f"{pages}/0/rendered_templates",
        "Vendor": VENDOR,
        "What to do": None,
    }
    assert links(airflow, "e2e_links", run_id, "mapped", 1) == {
        "Manifest": None,
        "Rejects": f"{pages}/1/rendered_templates",
        "Vendor": VENDOR,
        "What to do": documentation("errors", "validationerror"),
    }
    assert links(airflow, "e2e_links", run_id, "nothing_written") == {
        "Manifest": None,
        "Rejects": None,
        "Vendor": VENDOR,
        "What to do": None,
    }


def test_a_blocked_send_links_to_what_to_do(airflow: LocalAirflow, sandbox_process: Sandbox) -> None:
    airflow.client.wait_for_dag("e2e_blocked")
    sandbox_process.faults([{"vendor": "marigold", "operation": "send_email", "fault": "drop", "when": "after"}])
    run_id = airflow.client.trigger("e2e_blocked")
    state = airflow.client.wait_for_run("e2e_blocked", run_id)
    sandbox_process.clear_faults("marigold")
    assert state == "failed"
    found = links(airflow, "e2e_blocked", run_id, "send")
    assert found["What to do"] == documentation("errors", "ambiguousdeliveryerror")
