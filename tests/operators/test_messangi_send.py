"""Messages through the operator: inputs, tries, doubts, files."""

from __future__ import annotations

import json
import logging
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_messaging.core.auth import TOKENS
from airflow_provider_messaging.core.errors import AmbiguousDeliveryError, RateLimitedError
from airflow_provider_messaging.operators.messangi import SendMessageOperator
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.contexts import StateStore, TaskInstance, task_context
from tests.messangi import (
    PASSWORD,
    TWO_FACTOR_TOKEN,
    UNREACHABLE,
    VENDOR,
    Connect,
    delivered,
    fault,
    messangi,
    no_tokens,
    requests,
)
from tests.operators.conftest import read_lines, write_lines
from tests.operators.operator_victim import Order, finish, kill_when

__all__ = ["messangi", "no_tokens"]

Send = Callable[..., dict[str, Any]]
LOOKED_UP = {"extra": {"lookup_by_reference": True}}


@pytest.fixture
def send(messangi: Connect) -> Send:
    """Executes a `SendMessageOperator` in a context of its own, or in the one given by `ti` and `store`."""

    def run(*, ti: TaskInstance | None = None, store: StateStore | None = None, **arguments: Any) -> dict[str, Any]:
        operator = SendMessageOperator(task_id="send", **{"reconcile_window": 0.3, **arguments})
        return operator.execute(task_context(ti, store=store or StateStore(), task=operator))

    return run


def number(row: int) -> str:
    return f"49151{20_000_001 + row:08}"


def rows(count: int) -> list[dict[str, Any]]:
    return [{"to": f"+{number(row)}", "from": "12345", "text": f"No. {row}"} for row in range(count)]


def recipients(sandbox: Sandbox) -> Counter[str]:
    return Counter(found["recipient"] for found in delivered(sandbox))


# Inputs --------------------------------------------------------------------------------------------------------


def test_the_result_counts_messages_and_names_the_files(send: Send, tmp_path: Path) -> None:
    manifest, rejects = str(tmp_path / "m.ndjson"), str(tmp_path / "r.ndjson")
    given = [*rows(3), {"to": "12", "from": "1", "text": "x"}]
    found = send(messages=given, manifest_path=manifest, rejects_path=rejects, on_rejected="continue")
    assert found == {
        "messages": 4,
        "accepted": 3,
        "rejected": 1,
        "ambiguous": 0,
        "reconciled": 0,
        "resumed": 0,
        "requests": 3,
        "manifest_path": manifest,
        "rejects_path": rejects,
    }


def test_the_manifest_has_the_vendors_id(send: Send, sandbox: Sandbox, tmp_path: Path) -> None:
    manifest = tmp_path / "m.ndjson"
    send(messages=rows(2), manifest_path=str(manifest))
    ids = {line["recipient"]: line["message_id"] for line in read_lines(manifest)}
    assert ids == {found["recipient"]: found["extra"]["message_id"] for found in delivered(sandbox)}


@pytest.mark.parametrize("channel", ["sms", "whatsapp", "notification"])
def test_one_message_needs_no_more_than_plain_arguments(send: Send, sandbox: Sandbox, channel: str) -> None:
    send(channel=channel, to="+49 151 23456789", text="Hello", sender="12345")
    [found] = delivered(sandbox)
    assert found["channel"] == channel


def test_an_email_of_plain_arguments_carries_its_reference(send: Send, sandbox: Sandbox) -> None:
    arguments = {"to": "ada@example.com", "sender": "shop@example.com", "subject": "Hi", "text": "Hello"}
    send(channel="email", reference="order-1", **arguments)
    assert [(found["recipient"], found["reference"]) for found in delivered(sandbox)] == [
        ("ada@example.com", "order-1")
    ]


def test_one_text_may_go_to_several(send: Send, sandbox: Sandbox) -> None:
    assert send(to=[number(1), number(2)], text="Hello", sender="1")["accepted"] == 2
    assert recipients(sandbox) == {number(1): 1, number(2): 1}


def test_messages_come_from_a_list_as_text_or_from_a_file(send: Send, sandbox: Sandbox, tmp_path: Path) -> None:
    send(messages=rows(2))
    send(messages=json.dumps(rows(2)))
    send(messages_path=write_lines(tmp_path / "m.ndjson.gz", rows(2)))
    assert recipients(sandbox) == {number(0): 3, number(1): 3}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "give either messages or messages_path"),
        ({"to": "1", "messages": []}, "give to, or messages, or messages_path"),
        ({"text": "x", "messages": []}, "text is of no use without to"),
        ({"to": ["1", "2"], "text": "x", "reference": "r"}, "reference names one message"),
        ({"channel": "fax", "messages": []}, "sms, email, whatsapp, notification"),
        ({"messages": [], "default_region": "XX"}, "no country"),
    ],
)
def test_arguments_that_make_no_sense_fail_for_good(send: Send, sandbox: Sandbox, arguments: Any, said: str) -> None:
    with pytest.raises(AirflowFailException, match=said):
        send(**arguments)
    assert not sandbox.requests(vendor=VENDOR)


def test_a_dry_run_sends_nothing(send: Send, sandbox: Sandbox) -> None:
    assert send(messages=rows(3), dry_run=True)["messages"] == 3
    assert not sandbox.requests(vendor=VENDOR)


def test_one_bad_number_keeps_everything_from_being_sent(send: Send, sandbox: Sandbox) -> None:
    with pytest.raises(AirflowFailException, match="INVALID_PHONE_NUMBER"):
        send(messages=[*rows(3), {"to": "12", "from": "1", "text": "x"}])
    assert not delivered(sandbox)


def test_template_fields_are_arguments() -> None:
    operator = SendMessageOperator(task_id="send", to="1", text="x")
    assert all(hasattr(operator, name) for name in SendMessageOperator.template_fields)


# Rejections ----------------------------------------------------------------------------------------------------


def test_a_rejection_with_status_200_is_a_reject_with_the_vendors_words(
    send: Send, sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.settings(VENDOR, send_form="envelope")
    rejects = tmp_path / "r.ndjson"
    given = [*rows(2), {"to": UNREACHABLE, "from": "1", "text": "x"}]
    found = send(messages=given, rejects_path=str(rejects), on_rejected="continue")
    assert (found["accepted"], found["rejected"]) == (2, 1)
    [line] = read_lines(rejects)
    [error] = line["_rejected"]["errors"]
    assert error["code"] == "REJECTED"
    assert error["message"].startswith("The recipient cannot be reached (trace id ")


def test_a_message_that_the_vendor_refuses_is_a_reject(send: Send, tmp_path: Path) -> None:
    rejects = tmp_path / "r.ndjson"
    given = [*rows(1), {**rows(1)[0], "unheard": "of"}]
    send(messages=given, rejects_path=str(rejects), on_rejected="continue")
    [line] = read_lines(rejects)
    [error] = line["_rejected"]["errors"]
    assert error["field"] == "unheard"
    assert " (trace id " in error["message"]


# Tries ---------------------------------------------------------------------------------------------------------


def test_a_lost_reply_is_reported_and_never_sent_again(send: Send, sandbox: Sandbox, tmp_path: Path) -> None:
    ti, store, manifest = TaskInstance(max_tries=3), StateStore(), tmp_path / "m.ndjson"
    sandbox.faults([fault("drop", when="after", times=2)])
    for tries in range(3):
        ti.try_number = tries + 1
        with pytest.raises(AirflowFailException, match="2 ambiguous"):
            send(ti=ti, store=store, messages=rows(10), manifest_path=str(manifest))
    assert recipients(sandbox) == {number(row): 1 for row in range(10)}
    outcomes = Counter(line["outcome"] for line in read_lines(manifest))
    assert outcomes == {"accepted": 8, "ambiguous": 2}


def test_a_lost_reply_may_be_told_in_the_result_only(send: Send, sandbox: Sandbox) -> None:
    sandbox.faults([fault("drop", when="after", times=1)])
    found = send(messages=rows(5), on_ambiguous="continue")
    assert (found["accepted"], found["ambiguous"]) == (4, 1)


def test_what_surely_was_not_taken_is_sent_by_the_next_try(send: Send, sandbox: Sandbox) -> None:
    ti, store = TaskInstance(max_tries=1), StateStore()
    sandbox.faults([fault("status", status=403, skip=5)])
    with pytest.raises(AirflowFailException):
        send(ti=ti, store=store, messages=rows(10), max_concurrency=1)
    sandbox.clear_faults()
    found = send(ti=ti, store=store, messages=rows(10))
    assert (found["accepted"], found["resumed"]) == (10, 5)
    assert recipients(sandbox) == {number(row): 1 for row in range(10)}


def test_a_vendor_that_throttles_is_waited_for(send: Send, sandbox: Sandbox) -> None:
    sandbox.faults([fault("status", status=429, retry_after=1, times=2)])
    assert send(messages=rows(10))["accepted"] == 10
    assert recipients(sandbox) == {number(row): 1 for row in range(10)}


def test_a_vendor_that_throttles_for_good_is_worth_a_retry(send: Send, sandbox: Sandbox) -> None:
    sandbox.faults([fault("status", status=429, retry_after=10_000)])
    with pytest.raises(RateLimitedError):
        send(messages=rows(2))


def test_an_expired_key_ends_the_send_at_once(send: Send, messangi: Connect, sandbox: Sandbox) -> None:
    messangi(extra={"api_key": "sandbox-api-key"})
    sandbox.settings(VENDOR, api_key_expired=True)
    with pytest.raises(AirflowFailException, match="keys may expire"):
        send(messages=rows(10), max_concurrency=1)
    assert len(requests(sandbox, "send_sms")) == 1


@pytest.mark.slow
def test_a_send_that_is_killed_sends_nobody_twice_and_names_whom_it_may_have(
    messangi: Connect, sandbox: Sandbox, tmp_path: Path
) -> None:
    count, concurrency = 800, 4
    manifest = tmp_path / "m.ndjson"
    order = Order(
        operator=f"{SendMessageOperator.__module__}.{SendMessageOperator.__name__}",
        arguments={
            "messages_path": write_lines(tmp_path / "rows.ndjson", rows(count)),
            "manifest_path": str(manifest),
            "max_concurrency": concurrency,
            "on_ambiguous": "continue",
        },
        state=str(tmp_path / "state.json"),
    )
    kill_when(lambda: sandbox.counts(VENDOR)["total"] >= count // 2, order, tmp_path)
    summary = finish(order, tmp_path)
    assert summary["accepted"] + summary["ambiguous"] == summary["messages"] == count
    assert 0 < summary["ambiguous"] <= 3 * concurrency
    arrived = recipients(sandbox)
    assert set(arrived.values()) == {1}
    lines = read_lines(manifest)
    by_outcome = {
        outcome: {line["recipient"] for line in lines if line["outcome"] == outcome}
        for outcome in ("accepted", "ambiguous")
    }
    assert by_outcome["accepted"] <= arrived.keys() <= by_outcome["accepted"] | by_outcome["ambiguous"]


@pytest.mark.parametrize("kind", ["none", "drop", "hang up", "refused", "second factor"])
def test_nothing_at_debug_shows_a_secret(
    send: Send,
    messangi: Connect,
    sandbox: Sandbox,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    kind: str,
) -> None:
    troubles = {
        "drop": fault("drop", when="after", times=1),
        "hang up": fault("truncate", times=1),
        "refused": fault("status", status=401),
    }
    caplog.set_level(logging.DEBUG)
    for name in ("urllib3", "aiohttp", "asyncio", "airflow_provider_messaging"):
        caplog.set_level(logging.DEBUG, logger=name)
    sandbox.settings(VENDOR, two_factor=kind == "second factor")
    sandbox.faults([troubles[kind]] if kind in troubles else [])
    error = ""
    files = {name: str(tmp_path / name) for name in ("manifest_path", "rejects_path")}
    try:
        send(messages=rows(5), **files)
    except AirflowFailException as failed:
        error = "".join(traceback.format_exception(failed))
    shown = capfd.readouterr()
    written = "".join(path.read_text() for path in tmp_path.iterdir())
    everything = shown.out + shown.err + caplog.text + error + written
    tokens = [token.value for token in TOKENS._tokens.values()]
    assert "messangi.send_sms: HTTP" in caplog.text
    assert not any(secret in everything for secret in (PASSWORD, TWO_FACTOR_TOKEN, *tokens))


# Look-ups ------------------------------------------------------------------------------------------------------


def test_where_the_connection_says_so_a_lost_reply_is_looked_up(
    send: Send, messangi: Connect, sandbox: Sandbox
) -> None:
    messangi(**LOOKED_UP)
    sandbox.faults([fault("drop", when="after", times=3)])
    found = send(messages=rows(10))
    assert (found["accepted"], found["reconciled"], found["ambiguous"]) == (10, 3, 0)
    assert recipients(sandbox) == {number(row): 1 for row in range(10)}


def test_what_a_look_up_shows_not_to_be_taken_is_sent_again(send: Send, messangi: Connect, sandbox: Sandbox) -> None:
    messangi(**LOOKED_UP)
    sandbox.faults([fault("drop", when="before", times=2, skip=3)])
    assert send(messages=rows(10), max_concurrency=1)["accepted"] == 10
    assert recipients(sandbox) == {number(row): 1 for row in range(10)}


def test_a_look_up_that_knows_nobody_proves_nothing(send: Send, messangi: Connect, sandbox: Sandbox) -> None:
    messangi(**LOOKED_UP)
    sandbox.settings(VENDOR, lookup_by_external_id=False)
    sandbox.faults([fault("drop", when="after", times=1)])
    with pytest.raises(AmbiguousDeliveryError):
        send(messages=rows(3), max_concurrency=1)
    assert max(recipients(sandbox).values()) == 1


def test_a_reference_that_may_have_been_used_before_needs_a_date(
    send: Send, messangi: Connect, sandbox: Sandbox
) -> None:
    messangi(**LOOKED_UP)
    sandbox.faults([fault("drop", when="after", times=1)])
    given = [{**rows(1)[0], "reference": "order-1"}]
    with pytest.raises(AmbiguousDeliveryError, match="does not say since when"):
        send(messages=given)
    assert len(delivered(sandbox)) == 1


def test_without_that_nothing_of_ours_is_sent_along(send: Send, sandbox: Sandbox) -> None:
    send(messages=[{**rows(1)[0], "reference": "order-1"}])
    [found] = delivered(sandbox)
    assert found["reference"] == found["extra"]["message_id"]
