"""`CampaignSendSensor`: waiting until campaign sends are done, by words that nobody has published."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)
from airflow.sdk import DAG

from airflow_provider_messaging.hooks.engageone import EngageOneHook
from airflow_provider_messaging.sandbox.process import Sandbox
from airflow_provider_messaging.sensors.engageone import CampaignSendSensor
from airflow_provider_messaging.triggers.engageone import CampaignSendTrigger
from tests.contexts import task_context
from tests.sensors.test_delivery_sensor import only_event


@pytest.fixture(autouse=True)
def connected(connections: None, sandbox: Sandbox) -> None:
    """Everything finds the sandbox, where a send is done soon."""
    sandbox.settings("engageone", send_delay=0.3)


def send(*campaigns: str) -> list[str]:
    """Send each campaign and return the send ids."""
    with EngageOneHook() as hook:
        return [
            hook.send_campaign(
                name,
                [{"email": "jane@example.com"}],
                communication="Example",
                email_json_path="email",
                sender="news@example.com",
            )
            for name in campaigns
        ]


def sensor(send_ids: Any, **options: Any) -> CampaignSendSensor:
    defaults = {"poke_interval": 0.1, "timeout": 10, "deferrable": False}
    return CampaignSendSensor(task_id="wait", send_ids=send_ids, **{**defaults, **options})


def answer(sandbox: Sandbox, *documents: Any) -> None:
    """Let the vendor answer the next looks with these, the last one from then on."""
    sandbox.clear_faults("engageone")
    order = {"vendor": "engageone", "operation": "send_status", "fault": "status", "status": 200}
    *first, last = [{**order, "body": json.dumps(document)} for document in documents]
    sandbox.faults([*({**each, "times": 1} for each in first), last])


def looks(sandbox: Sandbox) -> Counter[str]:
    """How often each send was looked at."""
    return Counter(each["path"].split("/")[-2] for each in sandbox.requests(operation="send_status"))


def outcome(**by_state: list[str]) -> dict[str, Any]:
    """What a trigger's event says of sends that were all waited for."""
    states = {state: len(ids) for state, ids in by_state.items()}
    lost = states.get("FAILED", 0)
    total = sum(states.values())
    counts = {"total": total, "reached": total - lost, "lost": lost, "open": 0}
    return {"status": "success", **counts, "states": states, "send_ids": by_state}


def test_it_waits_until_all_sends_are_done() -> None:
    first, second = send("newsletter", "welcome")
    assert not sensor([first, second]).poke(task_context()).is_done
    assert sensor([first, second]).execute(task_context()) == {
        "total": 2,
        "reached": 2,
        "lost": 0,
        "open": 0,
        "states": {"COMPLETED": 2},
        "send_ids": {"COMPLETED": [first, second]},
    }


def test_a_poke_shows_the_states_of_sends_that_are_not_done(sandbox: Sandbox) -> None:
    sandbox.settings("engageone", send_delay=60)
    (send_id,) = send("newsletter")
    found = sensor(send_id).poke(task_context())
    assert (found.is_done, found.xcom_value["send_ids"]) == (False, {"PENDING": [send_id]})


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_send_that_failed_ends_the_wait_for_the_others_without_a_retry(sandbox: Sandbox, deferrable: bool) -> None:
    answer(sandbox, {"status": "FAILED"}, {"status": "PENDING"})
    with pytest.raises(AirflowFailException, match=r"1 of 2 sends failed: a \(FAILED\)") as caught:
        sensor(["a", "b"], max_concurrency=1, deferrable=deferrable).execute(task_context())
    assert "engageone send_status" in str(caught.value)
    assert "'engageone_default'" in str(caught.value)


def test_with_soft_fail_a_send_that_failed_is_a_skip_that_names_it() -> None:
    (failed,) = send("always-fails")
    with pytest.raises(AirflowSkipException, match=rf"1 of 1 sends failed: {failed} \(FAILED\)"):
        sensor(failed, soft_fail=True).execute(task_context())


def test_sends_can_be_given_as_everything_that_a_send_task_hands_on() -> None:
    one, two = send("newsletter", "welcome")
    result = {"dataset": 1, "accepted": 1, "send_ids": [one, two]}
    forms: list[Any] = [
        [one, two],
        (one, two, one),
        result,
        [{"send_ids": [one]}, {"send_ids": [two]}],
        json.dumps([one, two]),
        json.dumps(result),
    ]
    for form in forms:
        found = sensor(form).execute(task_context())
        assert found["send_ids"] == {"COMPLETED": [one, two]}, form
    assert sensor(one).execute(task_context())["total"] == 1


def test_no_sends_are_nothing_to_wait_for(sandbox: Sandbox) -> None:
    assert sensor({"send_ids": []}).execute(task_context())["total"] == 0
    assert sandbox.requests() == []


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize(
    ("send_ids", "options", "setting"),
    [
        (None, {}, "send_ids"),
        ("", {}, "send_ids"),
        ("None", {}, "send_ids"),
        ("{'send_ids': ['a']}", {}, "send_ids"),
        ({"accepted": 1}, {}, "send_ids"),
        ([None], {}, "send_ids"),
        ([True], {}, "send_ids"),
        (["a"], {"success_states": "COMPLETED"}, "success_states"),
        (["a"], {"success_states": []}, "success_states"),
        (["a"], {"failure_states": ["completed"]}, "success_states or failure_states"),
        (["a"], {"max_concurrency": 0}, "max_concurrency"),
    ],
)
def test_arguments_that_make_no_sense_fail_without_a_retry(
    sandbox: Sandbox, send_ids: Any, options: dict[str, Any], setting: str, deferrable: bool
) -> None:
    with pytest.raises(AirflowFailException, match=f"to change: {setting}"):
        sensor(send_ids, deferrable=deferrable, **options).execute(task_context())
    assert sandbox.requests() == []


@pytest.mark.parametrize("word", ["completed", "Completed", " COMPLETED "])
def test_states_are_compared_without_case(sandbox: Sandbox, word: str) -> None:
    answer(sandbox, {"status": word})
    assert sensor("a").execute(task_context())["states"] == {"COMPLETED": 1}


@pytest.mark.parametrize("word", ["failed", "Canceled", "CANCELLED", "rejected"])
def test_words_that_mean_failure_elsewhere_do_so_here(sandbox: Sandbox, word: str) -> None:
    answer(sandbox, {"status": word})
    with pytest.raises(AirflowFailException, match=word.upper()):
        sensor("a").execute(task_context())


def test_a_state_that_nobody_named_is_not_the_end(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    answer(sandbox, {"status": "Partly_Sent"}, {"status": "COMPLETED"})
    assert sensor("a").execute(task_context())["reached"] == 1
    assert looks(sandbox) == {"a": 2}
    assert "1 PARTLY_SENT" in caplog.text + capfd.readouterr().out


def test_which_states_are_final_is_an_argument(sandbox: Sandbox) -> None:
    answer(sandbox, {"status": "Partly_Sent"})
    assert sensor("a", success_states=["partly_sent"]).execute(task_context())["states"] == {"PARTLY_SENT": 1}
    with pytest.raises(AirflowFailException, match=r"a \(PARTLY_SENT\)"):
        sensor("a", failure_states=["partly_sent"]).execute(task_context())
    answer(sandbox, {"status": "COMPLETED"})
    with pytest.raises(AirflowSensorTimeout):
        sensor("a", success_states=["partly_sent"], timeout=0.3).execute(task_context())


@pytest.mark.parametrize("document", [{}, {"status": None}, {"status": ""}, {"status": {"code": 3}}, {"state": "SENT"}])
def test_an_answer_without_a_state_is_not_the_end_and_says_which_path_to_look_at(
    sandbox: Sandbox, document: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    answer(sandbox, document)
    found = sensor("a").poke(task_context())
    assert (found.is_done, found.xcom_value["states"]) == (False, {"unknown": 1})
    assert "'endpoints' → 'send_status'" in caplog.text + capfd.readouterr().out


def test_a_state_that_is_no_word_is_not_shown(sandbox: Sandbox) -> None:
    answer(sandbox, {"status": "bounced at jane.doe@example.com"})
    assert sensor("a").poke(task_context()).xcom_value["states"] == {"unknown": 1}


def test_a_send_that_the_vendor_does_not_know_names_the_setting_to_change() -> None:
    with pytest.raises(AirflowFailException, match="'endpoints' → 'send_status'"):
        sensor("no-such-send").execute(task_context())


def test_only_sends_that_are_not_done_are_looked_at_again(sandbox: Sandbox) -> None:
    (first,) = send("newsletter")
    sensor(first).execute(task_context())
    before = looks(sandbox)
    (second,) = send("newsletter")
    sensor([first, second], max_concurrency=1).execute(task_context())
    after = looks(sandbox)
    assert after[first] - before[first] == 1
    assert after[second] > 1


def test_sends_states_and_connection_are_templates() -> None:
    made = sensor("{{ id }}", engageone_conn_id="{{ conn }}", success_states=["{{ word }}"])
    made.render_template_fields({"id": "s-1", "conn": "shoes", "word": "DONE"})  # type: ignore[arg-type]
    assert (made.send_ids, made.engageone_conn_id, made.success_states) == ("s-1", "shoes", ["DONE"])


def test_the_sensor_can_be_mapped() -> None:
    with DAG("mapped", schedule=None):
        assert CampaignSendSensor.partial(task_id="wait").expand(send_ids=["a", "b"]).is_mapped


# ------------------------------------------------------------------------------------------------- in the triggerer


def deferral(send_ids: Any, **options: Any) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as caught:
        sensor(send_ids, deferrable=True, **options).execute(task_context())
    return caught.value


def test_sends_that_are_done_need_no_triggerer() -> None:
    (send_id,) = send("newsletter")
    sensor(send_id).execute(task_context())
    assert sensor(send_id, deferrable=True).execute(task_context())["reached"] == 1


def test_every_option_goes_to_the_trigger_and_only_open_sends_are_left_to_it(sandbox: Sandbox) -> None:
    (first,) = send("newsletter")
    sensor(first).execute(task_context())
    sandbox.settings("engageone", send_delay=0.3)
    (second,) = send("newsletter")
    deferred = deferral(
        {"send_ids": [first, second]},
        success_states=("COMPLETED", "Partly_Sent"),
        failure_states=("FAILED",),
        max_concurrency=2,
        max_poll_interval=3.0,
        poke_interval=0.5,
        timeout=90,
    )
    assert isinstance(deferred.trigger, CampaignSendTrigger)
    assert deferred.trigger.serialize()[1] == {
        "engageone_conn_id": "engageone_default",
        "send_ids": [second],
        "success_states": ["COMPLETED", "Partly_Sent"],
        "failure_states": ["FAILED"],
        "settled": {"COMPLETED": [first]},
        "poll_interval": 0.5,
        "max_poll_interval": 3.0,
        "max_concurrency": 2,
    }
    assert deferred.method_name == "execute_complete"
    assert deferred.timeout is not None
    assert deferred.timeout.total_seconds() == 90


def test_it_ends_after_the_wait_in_the_triggerer() -> None:
    ids = send("newsletter", "welcome")
    event = asyncio.run(only_event(deferral(ids).trigger))
    assert sensor(ids).execute_complete(task_context(), event)["send_ids"] == {"COMPLETED": ids}


def test_a_send_that_fails_during_the_wait_fails_the_task_or_skips_it() -> None:
    ids = send("always-fails")
    event = asyncio.run(only_event(deferral(ids).trigger))
    words = rf"1 of 1 sends failed: {ids[0]} \(FAILED\)"
    with pytest.raises(AirflowFailException, match=words):
        sensor(ids).resume_execution("execute_complete", {"event": event}, task_context())
    with pytest.raises(AirflowSkipException):
        sensor(ids, soft_fail=True).resume_execution("execute_complete", {"event": event}, task_context())


def test_the_first_few_of_many_failed_sends_are_named() -> None:
    event = outcome(COMPLETED=["ok"], FAILED=[f"s{number}" for number in range(7)])
    with pytest.raises(AirflowFailException, match=r"7 of 8 sends failed: s0 \(FAILED\), .*s4 \(FAILED\), …"):
        sensor("s0").execute_complete(task_context(), event)
