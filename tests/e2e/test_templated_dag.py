"""The example DAG of templated sending on a real Airflow: each recipient gets a message of their own."""

from __future__ import annotations

import email
import json
from collections.abc import Iterator
from contextlib import closing
from email.policy import default
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from dev.local_airflow import LocalAirflow
from tests.sandbox.conftest import Marigold

DAG_ID = "marigold_templated_send"


@pytest.fixture(scope="module")
def result(airflow: LocalAirflow, sandbox_process: Any) -> dict[str, Any]:
    """What the task returned."""
    sandbox_process.reset()
    airflow.client.wait_for_dag(DAG_ID)
    run_id = airflow.client.trigger(DAG_ID)
    state = airflow.client.wait_for_run(DAG_ID, run_id)
    assert state == "success", airflow.client.log(DAG_ID, run_id, "send")
    found: dict[str, Any] = airflow.client.xcom(DAG_ID, run_id, "send")
    return found


@pytest.fixture
def archive(sandbox_process: Any) -> Iterator[Marigold]:
    with closing(Marigold(sandbox_process.url)) as client:
        yield client


def lines(location: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(unquote(urlsplit(location).path)).read_bytes().splitlines()]


def test_every_recipient_with_all_variables_is_sent_to(result: dict[str, Any]) -> None:
    assert {name: result[name] for name in ("messages", "accepted", "rejected", "ambiguous")} == {
        "messages": 5,
        "accepted": 4,
        "rejected": 1,
        "ambiguous": 0,
    }


def test_the_recipient_without_a_name_is_a_reject_that_says_so(result: dict[str, Any]) -> None:
    [reject] = lines(result["rejects_path"])
    assert reject["to"] == "nobody@example.com"
    assert [(error["field"], error["code"]) for error in reject["_rejected"]["errors"]] == [
        (name, "MISSING_VARIABLE") for name in ("subject", "html", "text")
    ]
    assert "'name'" in reject["_rejected"]["errors"][0]["message"]


def test_each_recipient_got_a_body_and_attachments_of_their_own(result: dict[str, Any], archive: Marigold) -> None:
    sent: dict[str, Any] = {}
    for line in lines(result["manifest_path"]):
        answer = archive.get(f"/api/archive/v1/{line['profile']}/{line['reference']}/download")
        assert answer.status_code == 200
        sent[line["recipient"]] = email.message_from_bytes(answer.content, policy=default)
    assert sent.keys() == {f"{name}@example.com" for name in ("ada", "grace", "alan", "katherine")}
    html = {to: mail.get_body(("html",)).get_content() for to, mail in sent.items()}
    text = {to: mail.get_body(("plain",)).get_content() for to, mail in sent.items()}
    assert sent["ada@example.com"]["Subject"] == "Ada, your 1250 points"
    assert "Dear Ada," in html["ada@example.com"]
    assert "Dear Ada," in text["ada@example.com"]
    assert "Tea for two: 12.50" in html["ada@example.com"]
    assert "A walk in the garden: free" in text["ada@example.com"]
    assert "Dear Alan &lt;the runner&gt;," in html["alan@example.com"]
    assert "Dear Alan <the runner>," in text["alan@example.com"]
    assert "no offer" in html["alan@example.com"]
    assert "Ada" not in html["grace@example.com"]
    assert "profile=CRM.1002" in html["grace@example.com"]
    attached = {to: [part.get_filename() for part in mail.iter_attachments()] for to, mail in sent.items()}
    assert attached["ada@example.com"] == ["terms.txt"]
    assert attached["katherine@example.com"] == ["orbit.txt"]
    assert {mail["X-Campaign"] for mail in sent.values()} == {"bonus"}
    assert {mail["Reply-To"] for mail in sent.values()} == {"help@example.com"}
