"""Mails from every kind of callback that Airflow has: sent once, whole, without secrets."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import msgspec
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
from airflow_provider_messaging.notifications._marigold import QuickMarigoldHook
from airflow_provider_messaging.notifications.marigold import MarigoldEmailNotifier
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.contexts import fresh_tokens

__all__ = ["fresh_tokens"]

ADA, GRACE = "ada@example.com", "grace@example.com"
SENDER = "Airflow <airflow@example.com>"
SECRET = "correct-horse<battery>"
SENDS = {"vendor": "marigold", "operation": "send_email"}
LOG_URL = "https://airflow.example.com/dags/campaign/runs/manual__1/tasks/send?try_number=2"
TI: dict[str, Any] = {
    "dag_id": "campaign",
    "task_id": "send",
    "run_id": "manual__1",
    "try_number": 2,
    "max_tries": 2,
    "map_index": -1,
    "state": "failed",
    "log_url": LOG_URL,
}


def ti(**changes: Any) -> SimpleNamespace:
    began = datetime.now(UTC) - timedelta(seconds=90)
    return SimpleNamespace(**{**TI, "start_date": began, "end_date": began + timedelta(seconds=75), **changes})


def context(error: Any = None, **changes: Any) -> dict[str, Any]:
    task = ti(**changes)
    run = SimpleNamespace(dag_id=task.dag_id, run_id=task.run_id, clear_number=0)
    return {
        "ti": task,
        "dag": DAG("campaign"),
        "dag_run": run,
        "run_id": task.run_id,
        "task": SimpleNamespace(task_type="SendEmailBatchOperator"),
        "exception": ValueError("boom") if error is None else error,
    }


@pytest.fixture(params=["sync", "async"])
async def notify(request: pytest.FixtureRequest, marigold_conn: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Notifies as a callback of a task or DAG does, or as a deadline does in the triggerer."""
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.com")

    async def run(given: dict[str, Any] | None = None, **arguments: Any) -> None:
        given = context() if given is None else given
        arguments = {"to": ADA, "from_email": SENDER, **arguments}
        if request.param == "sync":
            MarigoldEmailNotifier(**arguments)(given)
        else:
            await MarigoldEmailNotifier(**arguments, context=given)

    return run


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look-ups without the pauses."""
    monkeypatch.setattr("airflow_provider_messaging.notifications._delivery.PAUSES", (0.0, 0.0))


def mails(sandbox: Sandbox) -> list[dict[str, Any]]:
    return sandbox.state("latest_messages", vendor="marigold")


def recipients(sandbox: Sandbox) -> list[str]:
    return [each["recipient"] for each in sandbox.deliveries(vendor="marigold")]


def sends(sandbox: Sandbox) -> int:
    return len(sandbox.requests(vendor="marigold", operation="send_email"))


# What the mail says --------------------------------------------------------------------------------------------


async def test_a_failure_is_told_with_all_that_helps_to_mend_it(notify: Any, sandbox: Sandbox) -> None:
    await notify()
    [mail] = mails(sandbox)
    assert mail["headers"]["subject"] == "[Airflow] campaign.send failed, try 2 of 3"
    assert mail["headers"]["from"] == {"alias": "Airflow", "address": "airflow@example.com"}
    assert mail["context"]["tags"] == ["airflow-alert"]
    for body in (mail["content"]["html"], mail["content"]["text"]):
        for told in ("campaign", "send", "manual__1", "2 of 3", "ValueError: boom", "1 min 15 s", "SendEmailBatch"):
            assert told in body
        assert LOG_URL in unescape(body)
        assert "https://airflow.example.com/dags/campaign/runs/manual__1" in body


async def test_the_exception_is_text_and_no_markup(notify: Any, sandbox: Sandbox) -> None:
    await notify(context(ValueError("<script>alert(1)</script> & <b>bold</b>\nsecond line"), task_id="a<b"))
    [mail] = mails(sandbox)
    html = mail["content"]["html"]
    assert "<script" not in html
    assert "<b>bold" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &lt;b&gt;bold&lt;/b&gt;<br>second line" in html
    assert "a&lt;b" in html
    assert "<script>alert(1)</script>" in mail["content"]["text"]


async def test_a_link_that_is_no_link_stays_within_its_attribute(notify: Any, sandbox: Sandbox) -> None:
    await notify(context(log_url='https://airflow.example.com/"onmouseover="x'))
    [mail] = mails(sandbox)
    assert '"onmouseover' not in mail["content"]["html"]


@pytest.mark.parametrize("given", [{}, {"html": "<p>{{ exception }}</p>"}, {"subject": "{{ exception }}"}])
async def test_secrets_that_airflow_knows_are_masked(
    notify: Any, sandbox: Sandbox, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.log import mask_secret

    mask_secret(SECRET)
    await notify(context(ValueError(f"cannot log in with {SECRET}")), **given)
    sent = unescape(json.dumps(mails(sandbox)))
    assert "cannot log in with ***" in sent
    assert SECRET not in sent


async def test_the_password_in_a_url_and_the_connections_secret_are_masked(notify: Any, sandbox: Sandbox) -> None:
    await notify(context(ValueError("postgresql://etl:hunter2@db:5432/shop, sandbox-secret")))
    sent = json.dumps(mails(sandbox))
    assert "postgresql://etl:***@db:5432/shop, ***" in sent
    assert "hunter2" not in sent
    assert "sandbox-secret" not in sent


async def test_a_long_exception_is_cut_and_odd_characters_are_left_out(notify: Any, sandbox: Sandbox) -> None:
    await notify(context(ValueError("\x1b[31mred\x1b[0m \x00 \ud800 " + "x" * 100_000)))
    [mail] = mails(sandbox)
    assert "ValueError: red" in mail["content"]["text"]
    assert len(mail["content"]["html"]) < 30_000
    assert "the log has the rest" in mail["content"]["html"]


@pytest.mark.parametrize(
    ("given", "title", "color"),
    [
        (context(), "Task failed", "#c62828"),
        (context(state="up_for_retry"), "Task failed, another try follows", "#b45309"),
        (context(state="success"), "Task succeeded", "#1b7f4b"),
        (context(state="skipped"), "Task was skipped", "#5b6773"),
        ({"dag_run": {"dag_id": "campaign", "run_id": "r"}, "reason": "timed_out"}, "DAG run failed", "#c62828"),
        ({"dag_run": {"dag_id": "campaign", "run_id": "r"}, "reason": "success"}, "DAG run succeeded", "#1b7f4b"),
        (
            {"dag_run": {"dag_id": "campaign", "run_id": "r"}, "deadline": {"deadline_time": "2026-01-01T00:00:00Z"}},
            "DAG run missed its deadline",
            "#6d3fc0",
        ),
        ({}, "DAG run needs attention", "#1f6fb5"),
    ],
    ids=["failed", "retry", "success", "skipped", "run failed", "run succeeded", "deadline", "nothing"],
)
async def test_each_kind_of_event_has_its_title_and_color(
    notify: Any, sandbox: Sandbox, given: dict[str, Any], title: str, color: str
) -> None:
    await notify(dict(given))
    [mail] = mails(sandbox)
    assert f">{title}</td>" in mail["content"]["html"]
    assert color in mail["content"]["html"]
    assert mail["content"]["text"].startswith(f"{title}: ")


async def test_what_succeeded_has_no_exception_of_before(notify: Any, sandbox: Sandbox) -> None:
    await notify(context(state="success"))
    assert "boom" not in json.dumps(mails(sandbox))


async def test_a_task_that_was_killed_is_told_as_failed(notify: Any, sandbox: Sandbox) -> None:
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    with DAG("campaign"):
        task = EmptyOperator(task_id="send")
    # What the DAG processor makes for the callback: without a state, a start, and an exception.
    killed = RuntimeTaskInstance.model_construct(
        id=uuid4(), task_id="send", dag_id="campaign", run_id="r", try_number=1, map_index=-1, max_tries=2, task=task
    )
    await notify(killed.get_template_context())
    [mail] = mails(sandbox)
    assert mail["headers"]["subject"] == "[Airflow] campaign.send failed, try 1 of 3"
    assert "its process was killed" in mail["content"]["html"]
    assert (
        "Open the log: https://airflow.example.com/dags/campaign/runs/r/tasks/send?try_number=1"
        in (mail["content"]["text"])
    )


async def test_a_mapped_task_is_told_with_its_index(notify: Any, sandbox: Sandbox) -> None:
    await notify(context(map_index=3))
    [mail] = mails(sandbox)
    assert mail["headers"]["subject"] == "[Airflow] campaign.send [3] failed, try 2 of 3"


async def test_the_place_where_it_began_is_told_without_the_folders_above_it(notify: Any, sandbox: Sandbox) -> None:
    try:
        try:
            raise KeyError("amount")
        except KeyError as cause:
            _wrap(cause)
    except RuntimeError as error:
        await notify(context(error))
    [mail] = mails(sandbox)
    told = next(line for line in mail["content"]["text"].splitlines() if line.startswith("Raised in"))
    place = r"Raised in: +notifications/test_marigold_notifier\.py, line \d+, in test_the_place_where_it_began"
    assert re.match(place, told)


def _wrap(cause: Exception) -> None:
    raise RuntimeError("no amount") from cause


async def test_a_blocked_send_links_to_what_to_do(notify: Any, sandbox: Sandbox) -> None:
    error = RuntimeError("failed")
    error.__cause__ = AmbiguousDeliveryError("100 messages")
    await notify(context(error))
    [mail] = mails(sandbox)
    assert "/errors.md#ambiguousdeliveryerror" in mail["content"]["html"]


# Templates of one's own ----------------------------------------------------------------------------------------


async def test_templates_of_ones_own_are_rendered_and_html_is_escaped(notify: Any, sandbox: Sandbox) -> None:
    await notify(
        context(ValueError("a < b")),
        subject="{{ ti.task_id }}: {{ exception }}",
        html="<p>{{ exception }}, {{ alert.what }}, {{ '<i>x</i>' | safe }}</p>",
        text="{{ exception }}",
    )
    [mail] = mails(sandbox)
    assert mail["headers"]["subject"] == "send: a < b"
    assert mail["content"]["html"] == "<p>a &lt; b, failed, <i>x</i></p>"
    assert mail["content"]["text"] == "a < b"


async def test_a_text_of_ones_own_goes_without_html(notify: Any, sandbox: Sandbox) -> None:
    await notify(text="{{ ti.task_id }} broke")
    [mail] = mails(sandbox)
    assert mail["content"] == {"text": "send broke"}


async def test_html_of_ones_own_has_the_default_text_beside_it(notify: Any, sandbox: Sandbox) -> None:
    await notify(html="<p>{{ ti.task_id }}</p>")
    [mail] = mails(sandbox)
    assert "Task failed: campaign.send" in mail["content"]["text"]


async def test_a_dag_with_native_objects_gets_text_all_the_same(notify: Any, sandbox: Sandbox) -> None:
    given = {**context(), "dag": DAG("campaign", render_template_as_native_obj=True)}
    await notify(given, subject="{{ 42 }}", html="{{ [1, 2] }}")
    [mail] = mails(sandbox)
    assert (mail["headers"]["subject"], mail["content"]["html"]) == ("42", "[1, 2]")


async def test_a_subject_is_one_line_and_not_endless(notify: Any, sandbox: Sandbox) -> None:
    await notify(subject="first\r\nBcc: everybody@example.com\n" + "x" * 500)
    [mail] = mails(sandbox)
    assert mail["headers"]["subject"].startswith("first Bcc: everybody@example.com xx")
    assert len(mail["headers"]["subject"]) == 180


def test_one_notifier_tells_two_events_apart(marigold_conn: str, sandbox: Sandbox) -> None:
    notifier = MarigoldEmailNotifier(to=ADA, from_email=SENDER, subject="{{ ti.task_id }}")
    for name in ("first", "second"):
        notifier(context(task_id=name))
    assert [mail["headers"]["subject"] for mail in mails(sandbox)] == ["first", "second"]


# To whom, from whom --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", [[ADA, GRACE], f"{ADA}, {GRACE}", f"{ADA};{GRACE};{ADA}", "{{ ','.join(params.to) }}"])
async def test_every_recipient_gets_a_mail_in_one_request(notify: Any, sandbox: Sandbox, to: Any) -> None:
    await notify({**context(), "params": {"to": [ADA, GRACE]}}, to=to)
    assert recipients(sandbox) == [ADA, GRACE]
    assert sends(sandbox) == 1


async def test_nobody_to_tell_is_an_error(notify: Any) -> None:
    with pytest.raises(ConfigurationError, match="nobody to send to"):
        await notify(to=" , ")


async def test_without_a_sender_the_connections_is_taken_then_airflows(
    notify: Any, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match=r"no sender.*extra 'sender'"):
        await notify(from_email=None)
    monkeypatch.setenv("AIRFLOW__EMAIL__FROM_EMAIL", "config@example.com")
    await notify(from_email=None)
    document = json.loads(sandbox.connections["AIRFLOW_CONN_MARIGOLD_DEFAULT"])
    document["extra"]["sender"] = "connection@example.com"
    monkeypatch.setenv("AIRFLOW_CONN_MARIGOLD_DEFAULT", json.dumps(document))
    await notify(context(task_id="other"), from_email=None)
    assert [mail["headers"]["from"]["address"] for mail in mails(sandbox)] == [
        "config@example.com",
        "connection@example.com",
    ]


async def test_replies_and_tags_go_where_they_are_told(notify: Any, sandbox: Sandbox) -> None:
    await notify(reply="team@example.com", tags=["prod", "{{ ti.dag_id }}"])
    [mail] = mails(sandbox)
    assert mail["headers"]["reply"] == {"address": "team@example.com"}
    assert mail["context"]["tags"] == ["prod", "campaign"]


# Once ----------------------------------------------------------------------------------------------------------


async def test_a_callback_that_runs_twice_sends_once(notify: Any, sandbox: Sandbox) -> None:
    await notify(to=[ADA])
    await notify(to=[ADA, GRACE])
    assert recipients(sandbox) == [ADA, GRACE]


@pytest.mark.parametrize(
    "other",
    [
        context(try_number=3),
        context(map_index=1),
        context(task_id="other"),
        context(state="up_for_retry"),
        {**context(), "dag_run": SimpleNamespace(dag_id="campaign", run_id="manual__1", clear_number=1)},
    ],
    ids=["try", "map index", "task", "kind", "cleared run"],
)
async def test_another_event_is_told_again(notify: Any, sandbox: Sandbox, other: dict[str, Any]) -> None:
    await notify()
    await notify(dict(other))
    assert recipients(sandbox) == [ADA, ADA]


async def test_two_notifiers_that_say_different_things_both_do(notify: Any, sandbox: Sandbox) -> None:
    await notify()
    await notify(subject="{{ ti.task_id }}")
    assert recipients(sandbox) == [ADA, ADA]


@pytest.mark.parametrize("trouble", [{"fault": "status", "status": 404}, {"fault": "status", "status": 500}])
async def test_where_tracking_can_not_tell_the_mail_is_sent(
    notify: Any, sandbox: Sandbox, trouble: dict[str, Any]
) -> None:
    sandbox.faults([{"vendor": "marigold", "operation": "track", **trouble}])
    await notify()
    assert recipients(sandbox) == [ADA]


async def test_where_nobody_knows_whether_the_path_of_tracking_is_right_the_mail_is_sent(
    notify: Any, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = json.loads(sandbox.connections["AIRFLOW_CONN_MARIGOLD_DEFAULT"])
    del document["extra"]["tracking_verified"]
    monkeypatch.setenv("AIRFLOW_CONN_MARIGOLD_DEFAULT", json.dumps(document))
    await notify()
    assert recipients(sandbox) == [ADA]


async def test_tracking_that_is_away_is_asked_once(notify: Any, sandbox: Sandbox) -> None:
    sandbox.faults([{"vendor": "marigold", "operation": "track", "fault": "status", "status": 500}])
    await notify(to=[ADA, GRACE])
    assert recipients(sandbox) == [ADA, GRACE]
    assert len(sandbox.requests(vendor="marigold", operation="track")) == 1


@pytest.mark.usefixtures("quickly")
async def test_a_lost_answer_is_looked_up_and_the_mail_not_sent_again(notify: Any, sandbox: Sandbox) -> None:
    sandbox.faults([{**SENDS, "fault": "drop", "when": "after"}])
    await notify(to=[ADA, GRACE])
    assert recipients(sandbox) == [ADA, GRACE]
    assert sends(sandbox) == 1


@pytest.mark.usefixtures("quickly")
async def test_a_lost_request_is_told_as_doubtful_and_not_sent_again(notify: Any, sandbox: Sandbox) -> None:
    sandbox.faults([{**SENDS, "fault": "drop", "when": "before"}])
    with pytest.raises(AmbiguousDeliveryError):
        await notify()
    assert recipients(sandbox) == []
    assert sends(sandbox) == 1


# Failing -------------------------------------------------------------------------------------------------------


async def test_one_who_can_not_be_reached_keeps_nobody_else_from_being_told(notify: Any, sandbox: Sandbox) -> None:
    with pytest.raises(ValidationError, match="INVALID_ADDRESS"):
        await notify(to=["nobody", ADA])
    assert recipients(sandbox) == [ADA]


async def test_one_whom_the_vendor_refuses_keeps_nobody_else_from_being_told(
    notify: Any, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_messaging.vendors.marigold import email

    prepare = email.prepare

    def lenient(rows: Any, **options: Any) -> Any:
        """As if the vendor had a rule that we do not know."""
        return [
            msgspec.structs.replace(message, data=message.data.replace(b"airflow-alert", b"x" * 97))
            if message.recipient == ADA
            else message
            for message in prepare(rows, **options)
        ]

    monkeypatch.setattr(email, "prepare", lenient)
    with pytest.raises(ValidationError, match=r"the vendor refused row 0.*INVALID_TAG_LENGTH"):
        await notify(to=[ADA, GRACE])
    assert recipients(sandbox) == [GRACE]
    assert sends(sandbox) == 2


async def test_a_throttled_alert_is_sent_a_little_later(notify: Any, sandbox: Sandbox) -> None:
    sandbox.faults([{**SENDS, "fault": "status", "status": 429, "times": 1}])
    await notify()
    assert recipients(sandbox) == [ADA]


async def test_a_vendor_that_throttles_for_long_is_not_waited_for(notify: Any, sandbox: Sandbox) -> None:
    sandbox.faults([{**SENDS, "fault": "status", "status": 429, "retry_after": 60}])
    with pytest.raises(RateLimitedError):
        await notify()
    assert sends(sandbox) == 1


@pytest.mark.parametrize(("given", "kept"), [({}, (5, 15)), ({"connect_timeout": 2, "read_timeout": 3}, (2, 3))])
def test_a_callback_waits_for_seconds_and_not_longer_than_the_connection_says(
    marigold_conn: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, given: dict[str, int], kept: tuple[int, int]
) -> None:
    document = json.loads(sandbox.connections["AIRFLOW_CONN_MARIGOLD_DEFAULT"])
    document["extra"].update(given)
    monkeypatch.setenv("AIRFLOW_CONN_MARIGOLD_DEFAULT", json.dumps(document))
    options = QuickMarigoldHook(marigold_conn).client.options
    assert (options.connect_timeout, options.read_timeout) == kept


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        ({**SENDS, "fault": "status", "status": 403}, AuthenticationError),
        ({"vendor": "marigold", "operation": "token", "fault": "status", "status": 401}, AuthenticationError),
        ({**SENDS, "fault": "status", "status": 400}, MessagingError),
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
    assert "was not sent to one of 1 recipients: marigold" in told
    everything = told + str(caught.value) + repr(caught.value)
    assert "sandbox-secret" not in everything
    assert ADA not in everything


# Callbacks -----------------------------------------------------------------------------------------------------


def test_it_is_a_callback_of_tasks_and_dags(marigold_conn: str, sandbox: Sandbox) -> None:
    from airflow.providers.standard.operators.empty import EmptyOperator

    notifier = MarigoldEmailNotifier(to=ADA, from_email=SENDER)
    with DAG("campaign", on_failure_callback=notifier) as dag:
        task = EmptyOperator(task_id="send", on_failure_callback=[notifier])
    [callback] = task.on_failure_callback
    callback({"ti": ti(), "dag": dag, "run_id": "manual__1"})
    assert callable(dag.on_failure_callback)
    assert recipients(sandbox) == [ADA]


@pytest.mark.airflow32
async def test_it_is_a_callback_of_deadlines(marigold_conn: str, sandbox: Sandbox) -> None:
    from airflow.sdk import AsyncCallback, DeadlineAlert, DeadlineReference
    from airflow.triggers.callback import CallbackTrigger

    alert = DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(hours=1),
        callback=AsyncCallback(MarigoldEmailNotifier, {"to": [ADA, GRACE], "from_email": SENDER}),
    )
    deadline = {
        "dag_run": {"dag_id": "campaign", "dag_run_id": "manual__1", "start_date": datetime.now(UTC).isoformat()},
        "deadline": {"id": "1", "deadline_time": "2026-01-01T00:00:00Z"},
    }
    trigger = CallbackTrigger(alert.callback.path, {**alert.callback.kwargs, "context": deadline})
    states = [event.payload["state"] async for event in trigger.run()]
    assert [str(state.value) for state in states] == ["running", "success"]
    assert recipients(sandbox) == [ADA, GRACE]
    assert "2026-01-01 00:00:00 UTC" in mails(sandbox)[0]["content"]["text"]
