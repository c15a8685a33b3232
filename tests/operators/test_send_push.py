"""Push goes through the same engine as e-mail: judged by its own rules, sent exactly once, named in the manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_messaging.operators.marigold import SendPushBatchOperator
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.contexts import StateStore, TaskInstance, task_context
from tests.operators.conftest import Row, read_lines

PUSHES = {"operation": "send_push"}


def push(number: int, **more: Any) -> Row:
    return {"token": f"device-{number}", "provider": "apple", "title": f"No. {number}", "body": "Hello", **more}


@pytest.fixture
def send(marigold_conn: str) -> Any:
    def run(*, ti: TaskInstance | None = None, store: StateStore | None = None, **arguments: Any) -> dict[str, Any]:
        operator = SendPushBatchOperator(task_id="push", reconcile_window=1.0, **arguments)
        return operator.execute(task_context(ti, store=store, task=operator))

    return run


def test_every_push_arrives_once_although_a_reply_is_lost(send: Any, sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.faults(
        [
            {**PUSHES, "fault": "drop", "when": "after", "times": 1},
            {**PUSHES, "fault": "status", "status": 500, "when": "before", "times": 1},
        ]
    )
    manifest = tmp_path / "manifest.ndjson"
    result = send(messages=[push(number) for number in range(250)], manifest_path=str(manifest), store=StateStore())
    assert (result["accepted"], result["reconciled"]) == (250, 100)
    assert sandbox.counts() == {"total": 250, "distinct": 250, "duplicates": 0}
    assert {line["recipient"] for line in read_lines(manifest)} == {f"device-{number}" for number in range(250)}


def test_a_retry_of_a_push_goes_on_where_the_last_try_stopped(send: Any, sandbox: Sandbox) -> None:
    store, messages = StateStore(), [push(number) for number in range(250)]
    sandbox.faults([{**PUSHES, "fault": "status", "status": 403, "skip": 1}])
    with pytest.raises(AirflowFailException):
        send(messages=messages, max_concurrency=1, store=store, ti=TaskInstance(max_tries=1))
    sandbox.clear_faults()
    result = send(messages=messages, store=store, ti=TaskInstance(max_tries=1, try_number=2))
    assert (result["accepted"], result["resumed"]) == (250, 100)
    assert sandbox.counts() == {"total": 250, "distinct": 250, "duplicates": 0}


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        ({"token": ""}, "INVALID_EMPTY_TOKEN"),
        ({"title": ""}, "INVALID_EMPTY_TITLE"),
        ({"body": ""}, "INVALID_EMPTY_BODY"),
        ({"provider": "nokia"}, "UNKNOWN_PROVIDER"),
    ],
)
def test_a_push_that_breaks_a_rule_is_a_reject_and_the_others_are_sent(
    send: Any, sandbox: Sandbox, tmp_path: Path, broken: Row, code: str
) -> None:
    rejects = tmp_path / "rejects.ndjson"
    rows = [push(0), push(1, **broken), push(2)]
    result = send(messages=rows, on_rejected="continue", rejects_path=str(rejects))
    assert (result["accepted"], result["rejected"]) == (2, 1)
    (line,) = read_lines(rejects)
    assert line["_rejected"]["row"] == 1
    assert [error["code"] for error in line["_rejected"]["errors"]] == [code]
    assert sandbox.counts()["total"] == 2


def test_a_silent_push_needs_neither_title_nor_body(send: Any, sandbox: Sandbox) -> None:
    assert send(messages=[{"token": "device-1", "type": "Silent"}])["accepted"] == 1
    assert sandbox.counts()["total"] == 1
