"""Alerts, from every kind of callback that Airflow has."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_messaging.core.errors import (
    AmbiguousDeliveryError,
    AuthenticationError,
    ConfigurationError,
    MessagingError,
    RateLimitedError,
    ValidationError,
)
from airflow_provider_messaging.notifications.messangi import LONGEST_SMS, MessangiNotifier, describe
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.messangi import (
    API_KEY,
    PASSWORD,
    TWO_FACTOR_TOKEN,
    UNREACHABLE,
    Connect,
    delivered,
    fault,
    messangi,
    no_tokens,
    requests,
)

__all__ = ["messangi", "no_tokens"]

ADA, GRACE = "+49 151 23456789", "+49 151 23456788"
TI: dict[str, Any] = {
    "dag_id": "campaign",
    "task_id": "send",
    "run_id": "manual__1",
    "try_number": 2,
    "map_index": -1,
    "state": "failed",
}
Notify = Callable[..., None]


def ti(**changes: Any) -> SimpleNamespace:
    return SimpleNamespace(**{**TI, **changes})


def task_context(**changes: Any) -> dict[str, Any]:
    return {"ti": ti(**changes), "dag": DAG("campaign"), "run_id": "manual__1", "exception": ValueError("boom")}


@pytest.fixture(params=["sync", "async"])
async def notify(request: pytest.FixtureRequest, messangi: Connect) -> Any:
    """Notifies as a callback of a task or DAG does, or as a deadline does in the triggerer."""
    messangi(extra={"sender": "12345"})

    async def run(context: dict[str, Any] | None = None, **arguments: Any) -> None:
        context = task_context() if context is None else context
        if request.param == "sync":
            MessangiNotifier(**{"to": ADA, **arguments})(context)
        else:
            await MessangiNotifier(**{"to": ADA, **arguments}, context=context)

    return run


def texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is sent from now on: the sandbox keeps no texts."""
    from airflow_provider_messaging.vendors.messangi import rows

    sent: list[str] = []
    compose = rows.sms

    def keep(draft: rows.Draft) -> rows.Row:
        body = compose(draft)
        sent.append(body["text"])
        return body

    monkeypatch.setitem(rows.COMPOSERS, "sms", keep)  # type: ignore[arg-type]
    return sent


# Sending -------------------------------------------------------------------------------------------------------


async def test_a_failure_is_told_in_one_sms(notify: Any, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = texts(monkeypatch)
    await notify()
    [found] = delivered(sandbox)
    assert (found["recipient"], found["channel"]) == ("4915123456789", "sms")
    assert sent == ["Airflow: task campaign.send failed, try 2, run manual__1"]


@pytest.mark.parametrize("to", [[ADA, GRACE], f"{ADA}, {GRACE}", f"{ADA};{GRACE};"])
async def test_every_recipient_is_told(notify: Any, sandbox: Sandbox, to: Any) -> None:
    await notify(to=to)
    assert [found["recipient"] for found in delivered(sandbox)] == ["4915123456789", "4915123456788"]


async def test_a_text_of_ones_own_is_a_template(notify: Any, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = texts(monkeypatch)
    await notify(text="{{ ti.task_id }} broke: {{ exception }}")
    assert sent == ["send broke: boom"]


@pytest.mark.parametrize(
    ("channel", "to"),
    [("email", "ada@example.com"), ("whatsapp", ADA), ("notification", ADA)],
)
async def test_other_channels_do_as_well(notify: Any, sandbox: Sandbox, channel: str, to: str) -> None:
    await notify(channel=channel, to=to, sender="alerts@example.com" if channel == "email" else None)
    assert [found["channel"] for found in delivered(sandbox)] == [channel]


async def test_a_national_number_takes_the_region_of_the_notifier(notify: Any, sandbox: Sandbox) -> None:
    await notify(to="0151 23456789", default_region="DE")
    assert [found["recipient"] for found in delivered(sandbox)] == ["4915123456789"]


async def test_nobody_to_tell_is_an_error(notify: Any) -> None:
    with pytest.raises(ConfigurationError, match="nobody to send to"):
        await notify(to=" , ")


# Failing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", ["12", UNREACHABLE])
async def test_one_who_can_not_be_reached_keeps_nobody_else_from_being_told(
    notify: Any, sandbox: Sandbox, caplog: pytest.LogCaptureFixture, bad: str
) -> None:
    with pytest.raises(ValidationError):
        await notify(to=[bad, ADA])
    assert [found["recipient"] for found in delivered(sandbox)] == ["4915123456789"]


async def test_a_lost_reply_is_told_as_such_and_nothing_is_sent_twice(notify: Any, sandbox: Sandbox) -> None:
    sandbox.faults([fault("drop", when="after")])
    with pytest.raises(AmbiguousDeliveryError):
        await notify()
    assert len(delivered(sandbox)) == 1


async def test_a_throttled_alert_is_sent_a_little_later(notify: Any, sandbox: Sandbox) -> None:
    sandbox.faults([fault("status", status=429, times=1)])
    await notify()
    assert len(delivered(sandbox)) == 1


async def test_a_vendor_that_throttles_for_long_is_not_waited_for(notify: Any, sandbox: Sandbox) -> None:
    sandbox.faults([fault("status", status=429, retry_after=60)])
    with pytest.raises(RateLimitedError):
        await notify()
    assert len(requests(sandbox, "send_sms")) == 1


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        (fault("status", status=403), AuthenticationError),
        (fault("status", "login", status=403), AuthenticationError),
        (fault("status", status=400), MessagingError),
        (fault("drop", when="after"), AmbiguousDeliveryError),
        (fault("malformed"), AmbiguousDeliveryError),
    ],
)
async def test_what_goes_wrong_is_logged_and_raised_without_a_secret(
    notify: Any,
    sandbox: Sandbox,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    trouble: dict[str, Any],
    kind: type[MessagingError],
) -> None:
    caplog.set_level(logging.DEBUG)
    sandbox.faults([trouble])
    with pytest.raises(kind) as caught:
        await notify()
    shown = capfd.readouterr()
    told = shown.out + shown.err + caplog.text
    assert "sent to one of 1 recipients: messangi" in told
    everything = told + str(caught.value) + repr(caught.value)
    assert not any(secret in everything for secret in (PASSWORD, API_KEY, TWO_FACTOR_TOKEN))
    assert "23456789" not in everything


# Callbacks -----------------------------------------------------------------------------------------------------


def test_it_is_a_callback_of_tasks_and_dags(messangi: Connect, sandbox: Sandbox) -> None:
    from airflow.providers.standard.operators.empty import EmptyOperator

    messangi(extra={"sender": "12345"})
    notifier = MessangiNotifier(to=ADA)
    with DAG("campaign", on_failure_callback=notifier) as dag:
        task = EmptyOperator(task_id="send", on_failure_callback=[notifier])
    [callback] = task.on_failure_callback
    callback({"ti": ti(), "dag": dag, "run_id": "manual__1"})
    assert callable(dag.on_failure_callback)
    assert len(delivered(sandbox)) == 1


@pytest.mark.airflow32
async def test_it_is_a_callback_of_deadlines(messangi: Connect, sandbox: Sandbox) -> None:
    from airflow.sdk import AsyncCallback, DeadlineAlert, DeadlineReference
    from airflow.triggers.callback import CallbackTrigger

    messangi(extra={"sender": "12345"})
    alert = DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(hours=1),
        callback=AsyncCallback(MessangiNotifier, {"to": [ADA, GRACE]}),
    )
    context = {
        "dag_run": {"dag_id": "campaign", "dag_run_id": "manual__1", "run_id": "manual__1"},
        "deadline": {"id": "1", "deadline_time": "2026-01-01T00:00:00Z"},
    }
    trigger = CallbackTrigger(alert.callback.path, {**alert.callback.kwargs, "context": context})
    states = [event.payload["state"] async for event in trigger.run()]
    assert [str(state.value) for state in states] == ["running", "success"]
    assert len(delivered(sandbox)) == 2


@pytest.mark.airflow32
async def test_an_alert_of_a_deadline_that_fails_says_so(messangi: Connect, sandbox: Sandbox) -> None:
    from airflow.triggers.callback import CallbackTrigger

    messangi(extra={"sender": "12345"})
    sandbox.faults([fault("status", status=403)])
    path = f"{MessangiNotifier.__module__}.{MessangiNotifier.__qualname__}"
    events = [event.payload async for event in CallbackTrigger(path, {"to": ADA, "context": {}}).run()]
    assert events[-1]["state"].value == "failed"
    assert "AuthenticationError" in events[-1]["body"]
    assert not any(secret in events[-1]["body"] for secret in (PASSWORD, TWO_FACTOR_TOKEN))


# The default text ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("context", "text"),
    [
        ({}, "Airflow: DAG ? needs attention"),
        ({"ti": ti()}, "Airflow: task campaign.send failed, try 2, run manual__1"),
        ({"ti": ti(map_index=3)}, "Airflow: task campaign.send #3 failed, try 2, run manual__1"),
        (
            {"ti": ti(state="up_for_retry")},
            "Airflow: task campaign.send failed and will be retried, try 2, run manual__1",
        ),
        ({"ti": ti(state="success")}, "Airflow: task campaign.send succeeded, try 2, run manual__1"),
        ({"ti": ti(state=None)}, "Airflow: task campaign.send failed, try 2, run manual__1"),
        ({"ti": ti(state=None), "exception": 1}, "Airflow: task campaign.send failed, try 2, run manual__1"),
        ({"ti": ti(), "reason": "task_failure"}, "Airflow: DAG campaign failed (task_failure), run manual__1"),
        (
            {"dag": SimpleNamespace(dag_id="campaign"), "run_id": "r-1", "reason": "timed_out"},
            "Airflow: DAG campaign failed (timed_out), run r-1",
        ),
        (
            {"dag": SimpleNamespace(dag_id="campaign"), "run_id": "r-1", "reason": "success"},
            "Airflow: DAG campaign succeeded, run r-1",
        ),
        (
            {"dag_run": {"dag_id": "campaign", "run_id": "r-1"}, "deadline": {"deadline_time": "2026-01-01"}},
            "Airflow: DAG campaign missed its deadline 2026-01-01, run r-1",
        ),
        (
            {"dag_run": {"dag_id": "campaign", "dag_run_id": "r-1"}, "deadline": {"deadline_time": "2026-01-01"}},
            "Airflow: DAG campaign missed its deadline 2026-01-01, run r-1",
        ),
    ],
)
def test_the_default_text_says_what_happened_to_what(context: dict[str, Any], text: str) -> None:
    assert describe(context) == text


def test_the_default_text_fits_into_one_sms_and_names_dag_and_task() -> None:
    text = describe({"ti": ti(dag_id="d" * 250, task_id="t" * 250, run_id="r" * 250, state="up_for_retry")})
    assert len(text) == LONGEST_SMS
    assert "d" * 40 in text
    assert "t" * 40 in text
    assert "try 2" in text
