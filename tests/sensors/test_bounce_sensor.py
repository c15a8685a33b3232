"""Waiting for feedback: in the worker, and out of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)
from airflow.sdk import DAG

from airflow_provider_messaging.core.errors import (
    AuthenticationError,
    ConfigurationError,
    MessagingError,
    RateLimitedError,
    VendorError,
)
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.sandbox.process import Sandbox
from airflow_provider_messaging.sensors.marigold import BounceSensor
from airflow_provider_messaging.triggers.marigold import BounceTrigger
from tests.contexts import task_context

START = "2026-03-10T12:00:00Z"
NOTHING = {"count": 0, "by_type": {}, "references": []}


def sensor(**arguments: Any) -> BounceSensor:
    return BounceSensor(task_id="wait", **{"start": START, "poke_interval": 0.1, "timeout": 5.0, **arguments})


def send(*recipients: str) -> None:
    """Send a message to each; the local part decides on what comes back, and names the message."""
    row = {"from": "news@example.com", "subject": "Hi", "text": "Hello"}
    with MarigoldHook() as hook:
        hook.send_email([{**row, "to": f"{name}@example.com", "reference": name} for name in recipients])


def seed(sandbox: Sandbox, kind: str = "bounces", rows: int = 3, start: str = START) -> None:
    end = datetime.fromisoformat(start) + timedelta(minutes=rows - 1)
    sandbox.seed(kind, rows=rows, start=start, end=end.isoformat())


@pytest.fixture(autouse=True)
def connected(marigold_conn: str) -> None:
    """All sensors find the sandbox."""


def test_a_poke_that_finds_enough_ends_the_wait_with_counts_and_references(sandbox: Sandbox) -> None:
    seed(sandbox, rows=3)
    found = sensor(min_count=3).poke(task_context())
    assert found.is_done
    assert found.xcom_value["count"] == 3
    assert sum(found.xcom_value["by_type"].values()) == 3
    assert found.xcom_value["references"] == [f"seed-bounce-1-{number:09}" for number in range(3)]


def test_a_poke_that_finds_too_little_goes_on_waiting(sandbox: Sandbox) -> None:
    seed(sandbox, rows=3)
    assert not sensor(min_count=4).poke(task_context()).is_done


def test_execute_returns_what_was_found(sandbox: Sandbox) -> None:
    send("hard-bounce-1", "soft-bounce-1", "spam-bounce-1", "complaint-1", "jane")
    found = sensor(start=datetime.now(UTC) - timedelta(minutes=1), min_count=3).execute(task_context())
    assert found["count"] == 3
    assert found["by_type"] == {"hard": 1, "soft": 1, "spam": 1}
    assert sorted(found["references"]) == ["hard-bounce-1", "soft-bounce-1", "spam-bounce-1"]


def test_execute_pokes_until_enough_has_come(sandbox: Sandbox) -> None:
    sandbox.settings(feedback_delay=0.5)
    send("hard-bounce-1")
    found = sensor(start=datetime.now(UTC) - timedelta(minutes=1)).execute(task_context())
    assert found["count"] == 1
    assert len(sandbox.requests(operation="bounces")) > 1


def test_execute_times_out_as_every_sensor_does() -> None:
    with pytest.raises(AirflowSensorTimeout):
        sensor(timeout=0.3).execute(task_context())


WINDOWS: list[tuple[str, dict[str, Any], int]] = [
    ("open end", {"start": "2026-03-10T12:01:00Z"}, 2),
    ("end is out", {"end": "2026-03-10T12:02:00Z"}, 2),
    ("start is in", {"start": "2026-03-10T12:02:00Z"}, 1),
    ("a date is its midnight", {"start": "2026-03-10"}, 3),
    ("a date as end", {"start": "2026-03-09", "end": "2026-03-11"}, 3),
    ("before", {"start": "2026-03-09T00:00:00Z", "end": "2026-03-10"}, 0),
    ("end before start", {"start": "2026-03-10T13:00:00Z", "end": "2026-03-10T12:00:00Z"}, 0),
    ("another zone", {"start": "2026-03-10T13:01:00+01:00"}, 2),
    ("a datetime", {"start": datetime(2026, 3, 10, 12, 1, tzinfo=UTC)}, 2),
    ("a date object", {"start": datetime(2026, 3, 10, tzinfo=UTC).date()}, 3),
]


@pytest.mark.parametrize(("arguments", "count"), [row[1:] for row in WINDOWS], ids=[row[0] for row in WINDOWS])
def test_only_feedback_of_the_window_counts(sandbox: Sandbox, arguments: dict[str, Any], count: int) -> None:
    seed(sandbox, rows=3)
    assert sensor(**arguments).poke(task_context()).xcom_value["count"] == count


INTERVAL = {
    "data_interval_start": datetime(2026, 3, 10, 12, 1, tzinfo=UTC),
    "data_interval_end": datetime(2026, 3, 10, 13, 0, tzinfo=UTC),
}


def test_the_window_begins_with_the_data_interval_by_default(sandbox: Sandbox) -> None:
    seed(sandbox, rows=3)
    assert sensor(start=None).poke(task_context(**INTERVAL)).xcom_value["count"] == 2


@pytest.mark.parametrize("end", [None, INTERVAL["data_interval_start"]])
def test_the_window_begins_with_the_run_where_its_data_interval_is_missing_or_empty(sandbox: Sandbox, end: Any) -> None:
    seed(sandbox, rows=3)
    send("hard-bounce-1")
    context = task_context(**INTERVAL | {"data_interval_end": end})
    context["dag_run"].start_date -= timedelta(minutes=1)
    assert sensor(start=None).poke(context).xcom_value["references"] == ["hard-bounce-1"]


@pytest.mark.parametrize(
    ("arguments", "by_type"),
    [
        ({"kinds": ["complaints"]}, {"complaints": 1}),
        ({"kinds": ("complaints", "list_unsubscribes")}, {"complaints": 1, "list_unsubscribes": 1}),
        ({"kinds": ["bounces", "complaints"], "bounce_types": ["hard"]}, {"hard": 1, "complaints": 1}),
        ({"bounce_types": ["HARD", "spam"]}, {"hard": 1, "spam": 1}),
        ({"references": ["soft-bounce", "jane"]}, {"soft": 1}),
        ({"references": ["jane"]}, {}),
    ],
)
def test_kinds_types_and_references_narrow_the_count(arguments: dict[str, Any], by_type: dict[str, int]) -> None:
    send("hard-bounce", "soft-bounce", "spam-bounce", "complaint", "unsubscribe", "jane")
    start = datetime.now(UTC) - timedelta(minutes=1)
    assert sensor(start=start, **arguments).poke(task_context()).xcom_value["by_type"] == by_type


def test_another_account_can_be_watched(sandbox: Sandbox) -> None:
    sandbox.seed("bounces", rows=1, start=START, end=START, account="other")
    assert sensor(account_id="other").poke(task_context()).xcom_value["count"] == 1


def test_many_pages_are_counted_in_full_and_named_up_to_a_thousand(sandbox: Sandbox) -> None:
    seed(sandbox, rows=1250)
    found = sensor(page_size=500).poke(task_context()).xcom_value
    assert found["count"] == 1250
    assert len(found["references"]) == 1000
    assert len(sandbox.requests(operation="bounces")) == 3


def test_what_is_returned_holds_no_address(sandbox: Sandbox) -> None:
    seed(sandbox, kind="complaints", rows=3)
    assert "@" not in str(sensor(kinds=["complaints"]).execute(task_context()))


BAD_ARGUMENTS: list[tuple[str, dict[str, Any], str]] = [
    ("start", {"start": "yesterday"}, "start"),
    ("start is a number", {"start": 5}, "start"),
    ("end", {"end": "2026-13-01"}, "end"),
    ("kinds", {"kinds": ["opens"]}, "kinds"),
    ("no kinds", {"kinds": []}, "kinds"),
    ("kinds in one string", {"kinds": "bounces"}, "kinds"),
    ("types in one string", {"bounce_types": "hard"}, "bounce_types"),
    ("references in one string", {"references": "m-1"}, "references"),
    ("min_count", {"min_count": "many"}, "min_count"),
    ("page_size", {"page_size": 0}, "page_size"),
]


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize(
    ("arguments", "setting"), [row[1:] for row in BAD_ARGUMENTS], ids=[row[0] for row in BAD_ARGUMENTS]
)
def test_arguments_that_make_no_sense_fail_the_task_for_good(
    sandbox: Sandbox, arguments: dict[str, Any], setting: str, deferrable: bool
) -> None:
    with pytest.raises(AirflowFailException, match=rf"to change: {setting}\]"):
        sensor(**arguments, deferrable=deferrable).execute(task_context())
    assert sandbox.requests() == []


def test_arguments_are_judged_at_run_time_only() -> None:
    made = sensor(start="{{ ds }}", min_count="{{ params.wait_for }}", kinds=["{{ x }}"], references="{{ y }}")
    assert made.min_count == "{{ params.wait_for }}"


def test_window_references_count_account_and_connection_are_templates(sandbox: Sandbox) -> None:
    made = sensor(
        start="{{ ds }}",
        end="{{ macros_end }}",
        references=["{{ name }}-1"],
        min_count="{{ params.wait_for }}",
        account_id="{{ name }}",
        marigold_conn_id="marigold_{{ name }}",
    )
    values = {"ds": "2026-03-10", "macros_end": "2026-03-11", "params": {"wait_for": 7}, "name": "shoes"}
    made.render_template_fields(values)  # type: ignore[arg-type]
    assert {name: getattr(made, name) for name in made.template_fields} == {
        "start": "2026-03-10",
        "end": "2026-03-11",
        "references": ["shoes-1"],
        "min_count": "7",
        "account_id": "shoes",
        "marigold_conn_id": "marigold_shoes",
    }


def test_a_rendered_count_is_obeyed(sandbox: Sandbox) -> None:
    seed(sandbox, rows=3)
    assert sensor(min_count="3").poke(task_context()).is_done
    assert not sensor(min_count="4").poke(task_context()).is_done


def test_the_sensor_can_be_mapped() -> None:
    with DAG("mapped", schedule=None):
        mapped = BounceSensor.partial(task_id="wait", start=START).expand(references=[["a"], ["b"]])
    assert mapped.is_mapped


# ------------------------------------------------------------------------------------------------- in the triggerer


def deferral(**arguments: Any) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as caught:
        sensor(deferrable=True, **arguments).execute(task_context())
    return caught.value


def test_a_deferrable_sensor_that_finds_enough_at_once_is_not_deferred(sandbox: Sandbox) -> None:
    seed(sandbox, rows=3)
    assert sensor(deferrable=True).execute(task_context())["count"] == 3


def test_a_deferrable_sensor_looks_once_and_hands_every_option_to_its_trigger(sandbox: Sandbox) -> None:
    deferred = deferral(
        end="2026-03-11",
        kinds=("bounces", "complaints"),
        bounce_types=("hard",),
        references=("a", "b"),
        min_count="2",
        account_id="sandbox-account",
        page_size=50,
        poke_interval=7,
        timeout=90,
    )
    assert isinstance(deferred.trigger, BounceTrigger)
    assert deferred.trigger.serialize()[1] == {
        "marigold_conn_id": "marigold_default",
        "start": START,
        "end": "2026-03-11",
        "kinds": ["bounces", "complaints"],
        "bounce_types": ["hard"],
        "references": ["a", "b"],
        "account_id": "sandbox-account",
        "page_size": 50,
        "min_count": 2,
        "poll_interval": 7.0,
    }
    assert deferred.method_name == "execute_complete"
    assert deferred.timeout == timedelta(seconds=90)
    assert [each["operation"] for each in sandbox.requests()] == ["token", "bounces", "complaints"]


def test_a_deferred_sensor_keeps_the_start_of_its_first_look() -> None:
    with pytest.raises(TaskDeferred) as caught:
        sensor(start=None, deferrable=True).execute(task_context(**INTERVAL))
    assert caught.value.trigger.serialize()[1]["start"] == "2026-03-10T12:01:00+00:00"


def test_deferring_by_default_is_airflows_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sensor().deferrable is False


def test_a_success_event_becomes_the_result() -> None:
    found = {"count": 2, "by_type": {"hard": 2}, "references": ["a", "b"]}
    assert sensor().execute_complete(task_context(), {"status": "success", **found}) == found


def error_event(code: str, **more: Any) -> dict[str, Any]:
    where = {"vendor": "marigold", "operation": "bounces", "connection": "marigold_default", "setting": ""}
    return {"status": "error", "code": code, "message": "it failed", "retryable": False, **where, **more}


@pytest.mark.parametrize("kind", [AuthenticationError, ConfigurationError, VendorError])
def test_an_error_that_a_retry_can_not_mend_fails_for_good(kind: type[MessagingError]) -> None:
    with pytest.raises(AirflowFailException, match="marigold bounces: it failed") as caught:
        sensor().execute_complete(task_context(), error_event(kind.__name__))
    assert type(caught.value.__cause__) is kind


@pytest.mark.parametrize("kind", [RateLimitedError, VendorError])
def test_an_error_that_a_retry_may_mend_is_raised_as_it_is(kind: type[MessagingError]) -> None:
    event = error_event(kind.__name__, retryable=True, retry_after=9.0, http_status=429)
    with pytest.raises(kind) as caught:
        sensor().execute_complete(task_context(), event)
    assert caught.value.retryable
    assert caught.value.connection == "marigold_default"
    assert not isinstance(caught.value, AirflowException)
    assert getattr(caught.value, "retry_after", 9.0) == 9.0


@pytest.mark.parametrize("event", [None, {}, {"status": "done"}, "success", ["success"]])
def test_an_event_that_is_not_ours_is_refused(event: Any) -> None:
    with pytest.raises(ValueError, match="not one of this provider's"):
        sensor().execute_complete(task_context(), event)


# ------------------------------------------------------------------------------------------------------- soft_fail


def wrong_secret(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    good = sandbox.connections["AIRFLOW_CONN_MARIGOLD_DEFAULT"]
    monkeypatch.setenv("AIRFLOW_CONN_MARIGOLD_DEFAULT", good.replace("sandbox-secret", "wr0ng-wr0ng"))


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize("soft_fail", [False, True])
def test_a_wrong_secret_is_an_error_and_never_a_skip(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, deferrable: bool, soft_fail: bool
) -> None:
    wrong_secret(sandbox, monkeypatch)
    with pytest.raises((AuthenticationError, AirflowFailException)) as caught:
        sensor(deferrable=deferrable, soft_fail=soft_fail).execute(task_context())
    assert not isinstance(caught.value, AirflowSkipException)
    assert "'marigold_default'" in str(caught.value)
    assert "wr0ng" not in str(caught.value)
    assert len(sandbox.requests()) == 1


@pytest.mark.parametrize("kind", [AuthenticationError, ConfigurationError])
def test_soft_fail_does_not_turn_a_triggers_error_into_a_skip(kind: type[MessagingError]) -> None:
    with pytest.raises(kind):
        sensor(soft_fail=True).resume_execution(
            "execute_complete", {"event": error_event(kind.__name__)}, task_context()
        )


def test_without_soft_fail_a_triggers_error_fails_for_good_on_resume() -> None:
    with pytest.raises(AirflowFailException):
        sensor().resume_execution("execute_complete", {"event": error_event("AuthenticationError")}, task_context())


def test_soft_fail_skips_on_a_timeout() -> None:
    with pytest.raises(AirflowSkipException):
        sensor(timeout=0.2, soft_fail=True).execute(task_context())
