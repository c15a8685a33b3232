"""``airflow-messaging remaining``: a failed send and the rest of it send every message once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_messaging.delivery.ledger import overview
from airflow_provider_messaging.hooks._state import LEDGER_KEY
from airflow_provider_messaging.operators.marigold import SendEmailBatchOperator
from tests.cli.commands import read, run, write
from tests.contexts import StateStore, TaskInstance, task_context

ORIGIN = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1}


def email(number: int) -> dict[str, Any]:
    return {"to": f"user{number}@example.com", "from": "shop@example.com", "subject": "Order", "text": f"{number}"}


def line(row: int, outcome: str, reference: str = "") -> dict[str, Any]:
    return {"reference": reference or f"r-{row}", "row": row, "outcome": outcome, **ORIGIN}


def send(path: Path, run_id: str, store: StateStore | None = None, **arguments: Any) -> dict[str, Any]:
    operator = SendEmailBatchOperator(task_id="send", messages_path=str(path), max_concurrency=1, **arguments)
    return operator.execute(task_context(TaskInstance(run_id=run_id), store=store, task=operator))


def test_a_send_that_broke_off_and_its_rest_reach_everybody_once(
    sandbox: Any, connections: None, tmp_path: Path
) -> None:
    messages = write(tmp_path / "in.ndjson", *map(email, range(350)))
    manifest, rest = tmp_path / "manifest.ndjson", tmp_path / "rest.ndjson"
    store = StateStore()
    sandbox.faults([{"operation": "send_email", "fault": "status", "status": 403, "skip": 2}])
    with pytest.raises(AirflowFailException, match=r"the send broke off: .*200 accepted"):
        send(messages, "first", store, manifest_path=str(manifest))
    ledger = overview(store.get(LEDGER_KEY)["ledger"])
    # What the command compares where it can read the ledger.
    assert ledger["recorded"] - ledger["not_taken"] == len(read(manifest)) == 200
    found = run("remaining", messages, "--manifest", manifest, "-o", rest, "--without-ledger", "--json").json
    assert (found["rows"], found["accepted"], found["written"]) == (350, 200, 150)
    sandbox.clear_faults()
    assert send(rest, "second")["accepted"] == 150
    assert sandbox.counts() == {"total": 350, "distinct": 350, "duplicates": 0}
    assert len({each["recipient"] for each in sandbox.deliveries()}) == 350


def test_accepted_and_ambiguous_rows_are_left_out_and_rejects_where_they_are_given(tmp_path: Path) -> None:
    messages = write(tmp_path / "in.ndjson", *[{"n": number} for number in range(5)])
    manifest = write(tmp_path / "m.ndjson", line(0, "accepted"), line(1, "ambiguous"), line(2, "rejected"))
    errors = [{"field": "to", "code": "A", "message": "m"}]
    rejects = write(tmp_path / "r.ndjson", {"n": 2, "_rejected": {"row": 2, "errors": errors}})
    out = tmp_path / "o.ndjson"
    arguments = ("remaining", messages, "--manifest", manifest, "-o", out, "--without-ledger")
    assert "1 left out: perhaps accepted" in run(*arguments, code=1).out
    assert read(out) == [{"n": 2}, {"n": 3}, {"n": 4}]
    run(*arguments, "--rejects", rejects, code=1)
    assert read(out) == [{"n": 3}, {"n": 4}]


@pytest.mark.parametrize(
    ("rows", "lines", "message"),
    [
        (
            [{"reference": "other"}],
            [line(0, "accepted", "mine")],
            "row 0 has the reference 'other', in the manifest 'mine'",
        ),
        ([{"n": 0}], [line(7, "accepted")], "the manifest names row 7, and"),
        ([{"n": 0}], [{"reference": "r"}], "line 1 of"),
        ([{"n": 0}], [line(0, "accepted"), {**line(0, "accepted"), "run_id": "other"}], "is of 2 tasks, not of one"),
    ],
)
def test_a_manifest_of_another_input_is_refused_and_nothing_is_written(
    rows: list[Any], lines: list[Any], message: str, tmp_path: Path
) -> None:
    messages, manifest = write(tmp_path / "in.ndjson", *rows), write(tmp_path / "m.ndjson", *lines)
    out = tmp_path / "o.ndjson"
    done = run("remaining", messages, "--manifest", manifest, "-o", out, "--without-ledger", "--json", code=2)
    assert message in done.json["error"]["message"]
    assert not out.exists()


def test_without_a_ledger_nothing_is_written_unless_that_is_said(airflow_db: Path, tmp_path: Path) -> None:
    messages = write(tmp_path / "in.ndjson", {"n": 0})
    manifest = write(tmp_path / "m.ndjson", line(0, "accepted"))
    run("remaining", messages, "--manifest", manifest, "-o", tmp_path / "o.ndjson", code=2)
    assert not (tmp_path / "o.ndjson").exists()
    assert json.loads(messages.read_text()) == {"n": 0}
