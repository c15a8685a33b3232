"""One task over several tries: what was accepted is never sent again, and errors say whether a retry is of use."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_messaging.core.errors import AmbiguousDeliveryError, MessagingError, RateLimitedError
from airflow_provider_messaging.operators.marigold import SendEmailBatchOperator
from airflow_provider_messaging.sandbox.process import Sandbox
from dev.processes import wait_until
from tests.contexts import DagRun, StateStore, TaskInstance, task_context
from tests.operators.conftest import Send, message, messages, read_lines

WRONG = "wr0ng-wr0ng"
SENDS = {"operation": "send_email"}
REFUSED = {**SENDS, "fault": "status", "status": 403}


def exactly_once(sandbox: Sandbox, count: int) -> None:
    assert sandbox.counts() == {"total": count, "distinct": count, "duplicates": 0}
    assert sorted(each["recipient"] for each in sandbox.deliveries()) == sorted(each["to"] for each in messages(count))


def test_a_wrong_secret_fails_for_good_names_the_connection_and_wastes_no_request(
    send: Send, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = sandbox.connections["AIRFLOW_CONN_MARIGOLD_DEFAULT"]
    monkeypatch.setenv("AIRFLOW_CONN_SHOES", good.replace("sandbox-secret", WRONG))
    with pytest.raises(AirflowFailException) as caught:
        send(messages=messages(250), marigold_conn_id="shoes")
    assert "connection 'shoes'" in str(caught.value)
    assert WRONG not in str(caught.value)
    assert [each["operation"] for each in sandbox.requests()] == ["token"]


def test_a_connection_that_can_not_work_fails_for_good(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SHOES", '{"conn_type": "marigold", "login": "a", "password": "***"}')
    with pytest.raises(AirflowFailException, match=r"connection 'shoes', to change: password"):
        send(messages=messages(1), marigold_conn_id="shoes")


def test_a_missing_scope_fails_for_good(send: Send, sandbox: Sandbox) -> None:
    sandbox.faults([REFUSED])
    with pytest.raises(AirflowFailException, match="lack the scope"):
        send(messages=messages(1))


def test_a_vendor_that_throttles_beyond_our_patience_is_worth_a_retry(send: Send, sandbox: Sandbox) -> None:
    sandbox.faults([{**SENDS, "fault": "status", "status": 429, "retry_after": 3600}])
    with pytest.raises(RateLimitedError) as caught:
        send(messages=messages(1))
    assert caught.value.retry_after == 3600
    assert not isinstance(caught.value, AirflowException)


def test_a_throttled_send_waits_as_long_as_asked_and_succeeds(send: Send, sandbox: Sandbox) -> None:
    sandbox.faults([{**SENDS, "fault": "status", "status": 429, "retry_after": 1, "times": 1}])
    assert send(messages=messages(1))["accepted"] == 1
    first, second = sandbox.requests(operation="send_email")
    assert second["at"] - first["at"] >= 1.0


def test_a_token_that_expires_in_the_middle_loses_and_repeats_nothing(send: Send, sandbox: Sandbox) -> None:
    sandbox.faults([{**SENDS, "fault": "expire_token", "skip": 3, "times": 1}])
    result = send(messages=messages(1000), max_concurrency=2)
    assert result["accepted"] == 1000
    exactly_once(sandbox, 1000)
    assert len(sandbox.requests(operation="token")) == 2


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "drop", "when": "after"},
        {"fault": "drop", "when": "before"},
        {"fault": "status", "status": 500, "when": "after"},
        {"fault": "status", "status": 504, "when": "before"},
        {"fault": "truncate"},
    ],
    ids=lambda fault: "-".join(str(value) for value in fault.values()),
)
def test_a_lost_answer_is_looked_up_and_every_message_arrives_once(
    send: Send, sandbox: Sandbox, tmp_path: Path, fault: dict[str, Any], store: StateStore | None
) -> None:
    sandbox.faults([{**SENDS, **fault, "skip": 1, "times": 1}])
    manifest = tmp_path / "manifest.ndjson"
    result = send(messages=messages(250), max_concurrency=1, manifest_path=str(manifest), store=store)
    assert (result["accepted"], result["ambiguous"], result["resumed"]) == (250, 0, 0)
    assert result["reconciled"] == (100 if fault.get("when") == "after" else 0)
    exactly_once(sandbox, 250)
    assert {line["outcome"] for line in read_lines(manifest)} == {"accepted"}


def test_malformed_json_with_a_2xx_is_acceptance(send: Send, sandbox: Sandbox) -> None:
    sandbox.faults([{**SENDS, "fault": "malformed"}])
    assert send(messages=messages(250))["accepted"] == 250
    exactly_once(sandbox, 250)


def test_ambiguous_messages_stay_so_where_look_ups_are_not_wanted(send: Send, sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.faults([{**SENDS, "fault": "drop", "when": "after", "times": 1}])
    manifest = tmp_path / "manifest.ndjson"
    with pytest.raises(AirflowFailException, match="3 ambiguous") as caught:
        send(messages=messages(3), on_ambiguous="fail", manifest_path=str(manifest))
    assert isinstance(caught.value.__cause__, AmbiguousDeliveryError)
    assert sandbox.requests(operation="track") == []
    exactly_once(sandbox, 3)
    assert [line["outcome"] for line in read_lines(manifest)] == ["ambiguous"] * 3


@pytest.fixture
def unverified(marigold_conn: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection of which nobody has said that the path of look-ups is right."""
    document = json.loads(sandbox.connections["AIRFLOW_CONN_MARIGOLD_DEFAULT"])
    del document["extra"]["tracking_verified"]
    monkeypatch.setenv("AIRFLOW_CONN_MARIGOLD_DEFAULT", json.dumps(document))


@pytest.mark.usefixtures("unverified")
def test_a_task_that_may_continue_looks_up_and_succeeds_with_what_stays_ambiguous(
    send: Send, sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.faults(
        [
            {**SENDS, "fault": "drop", "when": "before", "times": 1},
            {"operation": "track", "fault": "status", "status": 404},
        ]
    )
    manifest = tmp_path / "manifest.ndjson"
    result = send(messages=messages(3), on_ambiguous="continue", reconcile_window=0, manifest_path=str(manifest))
    assert (result["accepted"], result["ambiguous"]) == (0, 3)
    assert sandbox.requests(operation="track")
    assert [line["outcome"] for line in read_lines(manifest)] == ["ambiguous"] * 3
    assert sandbox.counts()["total"] == 0


@pytest.mark.usefixtures("unverified")
def test_messages_that_nothing_can_clear_up_are_reported_and_worth_a_retry(
    send: Send, sandbox: Sandbox, store: StateStore | None
) -> None:
    sandbox.faults(
        [
            {**SENDS, "fault": "drop", "when": "after", "times": 1},
            {"operation": "track", "fault": "status", "status": 404},
        ]
    )
    with pytest.raises(AmbiguousDeliveryError, match="3 ambiguous") as caught:
        send(messages=messages(3), reconcile_window=0.2, store=store)
    assert caught.value.retryable
    assert not isinstance(caught.value, AirflowException)
    assert all(setting in str(caught.value) for setting in ("'endpoints' → 'track'", "'tracking_verified'"))
    exactly_once(sandbox, 3)


def test_a_token_endpoint_that_vanishes_during_the_look_up_lets_nothing_be_sent_twice(
    send: Send, sandbox: Sandbox
) -> None:
    sandbox.faults(
        [
            {**SENDS, "fault": "drop", "when": "after", "times": 1},
            {"operation": "track", "fault": "expire_token", "times": 1},
            {"operation": "token", "fault": "status", "status": 404, "skip": 1, "times": 2},
        ]
    )
    with suppress(MessagingError):
        send(messages=messages(1), reconcile_window=0.2)
    exactly_once(sandbox, 1)


def broken_off(send: Send, sandbox: Sandbox, **arguments: Any) -> None:
    """A first try of 550 messages that ends after two requests."""
    sandbox.faults([{**REFUSED, "skip": 2}])
    with pytest.raises(AirflowFailException):
        send(messages=messages(550), max_concurrency=1, **arguments)
    sandbox.clear_faults()
    assert sandbox.counts()["total"] == 200


def test_a_retry_goes_on_where_the_last_try_stopped(send: Send, sandbox: Sandbox, tmp_path: Path) -> None:
    store, manifest = StateStore(), tmp_path / "manifest.ndjson"
    broken_off(send, sandbox, store=store, ti=TaskInstance(max_tries=1), manifest_path=str(manifest))
    result = send(
        messages=messages(550), store=store, ti=TaskInstance(max_tries=1, try_number=2), manifest_path=str(manifest)
    )
    assert (result["messages"], result["accepted"], result["resumed"]) == (550, 550, 200)
    exactly_once(sandbox, 550)
    lines = read_lines(manifest)
    assert sorted(line["row"] for line in lines) == list(range(550))
    assert {line["outcome"] for line in lines} == {"accepted"}


def test_without_a_state_store_a_retry_looks_everything_up_before_it_sends(send: Send, sandbox: Sandbox) -> None:
    dag_run = DagRun()
    operator = SendEmailBatchOperator(
        task_id="send", messages=messages(550), max_concurrency=1, reconcile_window=0.5, retries=1
    )
    sandbox.faults([{**REFUSED, "skip": 2}])
    with pytest.raises(AirflowFailException):
        operator.execute(task_context(TaskInstance(max_tries=1), task=operator, dag_run=dag_run))
    sandbox.clear_faults()
    result = operator.execute(task_context(TaskInstance(max_tries=1, try_number=2), task=operator, dag_run=dag_run))
    assert (result["messages"], result["accepted"], result["reconciled"]) == (550, 550, 200)
    exactly_once(sandbox, 550)


def test_a_retry_after_everything_was_accepted_sends_nothing(send: Send, sandbox: Sandbox) -> None:
    store = StateStore()
    send(messages=messages(150), store=store)
    result = send(messages=messages(150), store=store, ti=TaskInstance(try_number=2))
    assert (result["accepted"], result["resumed"], result["requests"]) == (150, 150, 0)
    exactly_once(sandbox, 150)


def test_a_clear_sends_again_with_new_references(send: Send, sandbox: Sandbox) -> None:
    store = StateStore()
    send(messages=messages(3), store=store, ti=TaskInstance(try_number=1, max_tries=0))
    result = send(messages=messages(3), store=store, ti=TaskInstance(try_number=2, max_tries=1))
    assert (result["accepted"], result["resumed"]) == (3, 0)
    assert sandbox.counts() == {"total": 6, "distinct": 6, "duplicates": 0}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(lambda rows: rows[1:], "differ", id="a row less at the start"),
        pytest.param(lambda rows: [*rows[:10], message(10, text="other"), *rows[11:]], "differ", id="another text"),
        pytest.param(lambda rows: rows[:50], "shorter|differ", id="cut off"),
    ],
)
def test_a_retry_with_changed_input_fails_for_good_and_sends_nothing(
    send: Send, sandbox: Sandbox, change: Any, says: str
) -> None:
    store = StateStore()
    broken_off(send, sandbox, store=store)
    before = len(sandbox.requests())
    with pytest.raises(AirflowFailException, match=says) as caught:
        send(messages=change(messages(550)), store=store, ti=TaskInstance(try_number=2))
    assert "200 messages were accepted by then" in str(caught.value)
    assert len(sandbox.requests()) == before


def test_references_are_the_same_at_every_try(send: Send, sandbox: Sandbox) -> None:
    send(messages=messages(3), store=StateStore())
    first = {each["recipient"]: each["reference"] for each in sandbox.deliveries()}
    sandbox.reset()
    send(messages=messages(3), store=StateStore(), ti=TaskInstance(try_number=2))
    assert {each["recipient"]: each["reference"] for each in sandbox.deliveries()} == first
    assert len(set(first.values())) == 3


def killing(operator: SendEmailBatchOperator, *, when: Callable[[], bool]) -> threading.Thread:
    """Start to wait for a moment at which the task is asked to end."""

    def wait() -> None:
        wait_until(when, timeout=30, what="the moment to kill", every=0.02)
        operator.on_kill()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_on_kill_lets_requests_in_flight_end_and_the_next_try_sends_the_rest(
    marigold_conn: str, send: Send, sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.faults([{**SENDS, "fault": "latency", "delay": 0.4}])
    store, manifest = StateStore(), tmp_path / "manifest.ndjson"
    operator = SendEmailBatchOperator(
        task_id="send", messages=messages(1000), max_concurrency=2, manifest_path=str(manifest)
    )
    killer = killing(operator, when=lambda: sandbox.counts()["total"] >= 200)
    with pytest.raises(AirflowException, match="asked to end") as caught:
        operator.execute(task_context(store=store))
    killer.join()
    assert not isinstance(caught.value, AirflowFailException)
    sent = sandbox.counts()["total"]
    assert 0 < sent < 1000
    assert len(read_lines(manifest)) == sent
    sandbox.clear_faults()
    result = send(messages=messages(1000), store=store, ti=TaskInstance(try_number=2), manifest_path=str(manifest))
    assert (result["accepted"], result["resumed"], result["reconciled"]) == (1000, sent, 0)
    exactly_once(sandbox, 1000)


def test_on_kill_ends_a_long_wait_at_once(marigold_conn: str, sandbox: Sandbox) -> None:
    sandbox.faults([{**SENDS, "fault": "status", "status": 429, "retry_after": 60}])
    operator = SendEmailBatchOperator(task_id="send", messages=messages(1))
    killer = killing(operator, when=lambda: len(sandbox.requests(operation="send_email")) == 1)
    began = time.monotonic()
    with pytest.raises((AirflowException, MessagingError)):
        operator.execute(task_context(store=StateStore()))
    killer.join()
    assert time.monotonic() - began < 30


def test_on_kill_before_execute_does_nothing() -> None:
    SendEmailBatchOperator(task_id="send", messages=[]).on_kill()


def test_a_manifest_line_says_who_got_what_from_which_task(send: Send, sandbox: Sandbox, tmp_path: Path) -> None:
    manifest = tmp_path / "out" / "manifest.ndjson.gz"
    rows = [message(0, to="Jane <jane@example.com>", profile="LIST.1", tags=["a", "b"], reference="m-1"), message(1)]
    send(messages=rows, manifest_path=str(manifest), ti=TaskInstance(map_index=3))
    first, second = read_lines(manifest)
    at = first.pop("at")
    assert first == {
        "reference": "m-1",
        "recipient": "jane@example.com",
        "profile": "LIST.1",
        "tags": ["a", "b"],
        "dag_id": "mailing",
        "run_id": "manual__1",
        "task_id": "send",
        "map_index": 3,
        "row": 0,
        "outcome": "accepted",
    }
    assert at.endswith("+00:00")
    assert second["reference"] == sandbox.deliveries()[1]["reference"]


def test_the_state_store_holds_no_address_and_stays_small(send: Send) -> None:
    store = StateStore()
    send(messages=messages(5000), store=store)
    (document,) = store.values.values()
    for word in ("example", "user", "Hello"):
        assert word not in document
    assert len(document) < 8_000


def test_the_log_holds_no_address_and_no_text(
    send: Send, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("DEBUG")
    rows = [message(0, text="Top secret"), message(1, to="nobody@here@there", subject="Top secret")]
    send(messages=rows, on_rejected="continue")
    # The operator's own logger writes to standard output, outside of a task.
    log = caplog.text + capfd.readouterr().out
    assert "1 rows were rejected" in log
    assert "marigold.send_email: HTTP 202" in log
    for word in ("user0", "example.com", "Top secret", "nobody", "sandbox-secret"):
        assert word not in log


def test_an_old_airflow_is_told_of_in_the_log(send: Send, caplog: pytest.LogCaptureFixture) -> None:
    send(messages=messages(1))
    assert "no task state store" in caplog.text
    caplog.clear()
    send(messages=messages(1), store=StateStore())
    assert "no task state store" not in caplog.text


def test_nothing_is_sent_any_more_after_the_task_was_timed_out(
    send: Send, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    class TimedOut(BaseException):
        pass

    joined = threading.Thread.join
    began = time.monotonic()

    def join(thread: threading.Thread, timeout: float | None = None) -> None:
        """Airflow raises out of the wait of the task's main thread, from a signal handler."""
        if thread.name == "messaging-delivery" and began + 1.0 < time.monotonic() and not sent:
            sent.append(sandbox.counts()["total"])
            raise TimedOut
        joined(thread, timeout)

    sent: list[int] = []
    monkeypatch.setattr(threading.Thread, "join", join)
    sandbox.faults([{**SENDS, "fault": "latency", "delay": 0.3}])
    store = StateStore()
    with pytest.raises(TimedOut):
        send(messages=messages(5_000), store=store, max_concurrency=1, ti=TaskInstance(max_tries=1))
    accepted = sandbox.counts()["total"]
    assert accepted < 5_000
    time.sleep(1.0)
    assert sandbox.counts()["total"] == accepted
    sandbox.clear_faults()
    result = send(messages=messages(5_000), store=store, ti=TaskInstance(max_tries=1, try_number=2))
    assert result["accepted"] == 5_000
    exactly_once(sandbox, 5_000)
