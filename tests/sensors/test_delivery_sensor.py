"""`DeliverySensor` and `DeliveryTrigger`: waiting for many messages, economically."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_messaging.core import watch
from airflow_provider_messaging.core.errors import VendorError
from airflow_provider_messaging.core.watch import Watch
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.sandbox.process import Sandbox
from airflow_provider_messaging.sensors.marigold import DeliverySensor
from airflow_provider_messaging.triggers.marigold import DeliveryTrigger
from airflow_provider_messaging.vendors.marigold.watch import GOALS
from tests.contexts import task_context

OPTIONS: dict[str, Any] = {
    "marigold_conn_id": "shoes",
    "references": ["a", "b"],
    "state": "final",
    "start": "2026-03-10T12:00:00+00:00",
    "settled": {"delivered": ["c"]},
    "stop_when_lost": False,
    "poll_interval": 0.5,
    "max_poll_interval": 3.0,
    "max_concurrency": 2,
}
FATES = {
    "jane": "delivered",
    "failed": "failed",
    "hard-bounce": "failed",
    "indirect-bounce": "bounced",
    "complaint": "complained",
    "unsubscribe": "unsubscribed",
    "deferred": "deferred",
}


@pytest.fixture(autouse=True)
def connected(marigold_conn: str) -> None:
    """Everything finds the sandbox."""


@pytest.fixture
def hook() -> Iterator[MarigoldHook]:
    with MarigoldHook() as hook:
        yield hook


def send(hook: MarigoldHook, **recipients: str) -> list[str]:
    """Send a message to each, by reference, and return the references."""
    rows = [
        {"reference": reference, "to": f"{name}@example.com", "from": "a@example.com", "subject": "x", "text": "y"}
        for reference, name in recipients.items()
    ]
    hook.send_email(rows)
    return list(recipients)


def sensor(**options: Any) -> DeliverySensor:
    return DeliverySensor(task_id="wait", **{"poke_interval": 0.1, "timeout": 10, "deferrable": False, **options})


def trigger(references: list[str], **options: Any) -> DeliveryTrigger:
    defaults = {"marigold_conn_id": "marigold_default", "poll_interval": 0.1}
    return DeliveryTrigger(references=references, **{**defaults, **options})


async def only_event(made: Any, seconds: float = 15.0) -> dict[str, Any]:
    async with asyncio.timeout(seconds):
        (event,) = [event async for event in made.run()]
    payload: dict[str, Any] = event.payload
    return payload


@pytest.mark.parametrize("name", FATES)
def test_every_state_is_told_apart(hook: MarigoldHook, name: str) -> None:
    references = send(hook, m1=name)
    found = sensor(references=references, state="final").poke(task_context())
    assert found.xcom_value["states"] == {FATES[name]: 1}
    assert bool(found.is_done) == (FATES[name] != "deferred")


def test_delivered_messages_are_counted_and_named(hook: MarigoldHook) -> None:
    references = send(hook, m1="jane", m2="complaint", m3="jane")
    assert sensor(references=references).execute(task_context()) == {
        "total": 3,
        "reached": 3,
        "lost": 0,
        "open": 0,
        "states": {"complained": 1, "delivered": 2},
        "references": {"complained": ["m2"], "delivered": ["m1", "m3"]},
    }


def test_a_message_that_failed_ends_the_wait_without_a_retry(hook: MarigoldHook) -> None:
    references = send(hook, m1="jane", m2="hard-bounce", m3="deferred")
    with pytest.raises(AirflowFailException, match=r"1 of 3 messages can't be delivered any more: m2 \(failed\)"):
        sensor(references=references, max_concurrency=1).execute(task_context())


def test_a_message_that_failed_is_accepted_where_that_is_wanted(hook: MarigoldHook) -> None:
    references = send(hook, m1="jane", m2="hard-bounce")
    found = sensor(references=references, on_lost="continue").execute(task_context())
    assert (found["reached"], found["lost"], found["open"]) == (1, 1, 0)


def test_failures_can_be_waited_for(hook: MarigoldHook) -> None:
    references = send(hook, m1="failed", m2="indirect-bounce")
    assert sensor(references=references, state="failed").execute(task_context())["reached"] == 2
    with pytest.raises(AirflowFailException, match="can't be failed any more: m3"):
        sensor(references=[*references, *send(hook, m3="complaint")], state="failed").execute(task_context())


def test_the_messages_of_a_manifest_that_were_accepted_are_waited_for(hook: MarigoldHook, tmp_path: Path) -> None:
    send(hook, m1="jane")
    lines = [{"reference": "m1", "outcome": "accepted"}, {"reference": "m2", "outcome": "rejected"}]
    path = tmp_path / "manifest.ndjson"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert sensor(manifest_path=str(path)).execute(task_context())["total"] == 1


def test_events_of_an_earlier_send_with_the_same_reference_do_not_count(hook: MarigoldHook) -> None:
    references = send(hook, m1="jane")
    found = sensor(references=references, start="2999-01-01").poke(task_context())
    assert found.xcom_value["states"] == {"unknown": 1}


def test_types_with_and_without_a_prefix_are_the_same(sandbox: Sandbox) -> None:
    for kind in ("sdc.deliveries.email.sent", "com.sdc.deliveries.email.sent"):
        body = json.dumps({"value": [{"external_reference": "m1", "type": kind, "timestamp": "2026-03-10T12:00:00Z"}]})
        sandbox.faults([{"operation": "track", "fault": "status", "status": 200, "body": body, "times": 1}])
        assert sensor(references=["m1"]).poke(task_context()).is_done


def test_only_what_is_open_is_looked_at_again(hook: MarigoldHook, sandbox: Sandbox) -> None:
    made = sensor(references=[*send(hook, m1="jane"), "m2"])
    assert not made.poke(task_context()).is_done
    send(hook, m2="jane")
    assert made.poke(task_context()).is_done
    asked = Counter(each["path"].rpartition("/")[2] for each in sandbox.requests(operation="track"))
    assert asked == {"m1": 1, "m2": 2}


def test_no_references_is_nothing_to_wait_for() -> None:
    assert sensor(references=[]).execute(task_context())["total"] == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "give either"),
        ({"references": ["a"], "manifest_path": "x"}, "give either"),
        ({"references": "a"}, "must be a list"),
        ({"references": ["a"], "state": "read"}, "state"),
        ({"references": ["a"], "on_lost": "x"}, "on_lost"),
        ({"references": ["a"], "start": "x"}, "start"),
        ({"references": ["a"], "max_concurrency": 0}, "max_concurrency"),
        ({"manifest_path": "/does/not/exist"}, "manifest_path"),
    ],
)
@pytest.mark.parametrize("deferrable", [False, True])
def test_arguments_that_make_no_sense_fail_without_a_retry(
    options: dict[str, Any], words: str, deferrable: bool
) -> None:
    with pytest.raises(AirflowFailException, match=words):
        sensor(**options, deferrable=deferrable).execute(task_context())


def test_more_than_can_be_watched_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_messaging.sensors._watch.MOST_WATCHED", 2)
    with pytest.raises(AirflowFailException, match="more than can be watched"):
        sensor(references=["a", "b", "c"]).execute(task_context())


def test_it_pokes_first_and_defers_only_for_what_is_open(hook: MarigoldHook) -> None:
    references = send(hook, m1="jane")
    assert sensor(references=references, deferrable=True).execute(task_context())["reached"] == 1
    with pytest.raises(TaskDeferred) as deferred:
        sensor(references=[*references, "m2"], deferrable=True, state="final").execute(task_context())
    made = deferred.value.trigger
    assert isinstance(made, DeliveryTrigger)
    options = made.serialize()[1]
    assert (options["references"], options["settled"], options["state"]) == (["m2"], {"delivered": ["m1"]}, "final")
    assert (options["poll_interval"], options["max_poll_interval"]) == (0.1, 1.0)
    assert deferred.value.method_name == "execute_complete"
    assert deferred.value.timeout is not None
    assert deferred.value.timeout.total_seconds() == 10


def test_an_event_of_lost_messages_fails_clearly() -> None:
    seen = Watch([], GOALS["delivered"], settled={"failed": ["m2"], "delivered": ["m1"]}).outcome("references")
    with pytest.raises(AirflowFailException, match=r"1 of 2 messages .* m2 \(failed\)"):
        sensor(references=["m1", "m2"]).execute_complete(task_context(), {"status": "success", **seen})


def test_with_soft_fail_a_lost_message_is_no_skip() -> None:
    seen = Watch([], GOALS["delivered"], settled={"failed": ["m2"]}).outcome("references")
    with pytest.raises(VendorError):
        sensor(references=["m2"], soft_fail=True).execute_complete(task_context(), {"status": "success", **seen})


# -------------------------------------------------------------------------------------------------- trigger


def test_the_options_of_a_trigger_survive_serialisation() -> None:
    path, options = DeliveryTrigger(**OPTIONS).serialize()
    assert options == OPTIONS
    name, _, attribute = path.rpartition(".")
    again = getattr(import_module(name), attribute)(**json.loads(json.dumps(options)))
    assert again.serialize() == (path, options)
    assert path == "airflow_provider_messaging.triggers.marigold.DeliveryTrigger"


def test_every_option_of_the_constructor_is_serialised() -> None:
    names = set(inspect.signature(DeliveryTrigger.__init__).parameters) - {"self"}
    assert set(DeliveryTrigger(**OPTIONS).serialize()[1]) == names == set(OPTIONS)


async def test_the_trigger_waits_until_all_are_there(sandbox: Sandbox) -> None:
    waiting = asyncio.create_task(only_event(trigger(["m1", "m2"])))
    while len(await asyncio.to_thread(sandbox.requests, operation="track")) < 4:
        await asyncio.sleep(0.02)
    assert not waiting.done()
    with MarigoldHook() as hook:
        await asyncio.to_thread(send, hook, m1="jane", m2="jane")
    assert (await waiting)["states"] == {"delivered": 2}


async def test_the_trigger_asks_for_open_ones_only_and_not_more_at_once_than_told(sandbox: Sandbox) -> None:
    names = {f"m{number}": "jane" for number in range(20)}
    with MarigoldHook() as hook:
        await asyncio.to_thread(send, hook, **names)
    sandbox.faults([{"operation": "track", "fault": "latency", "delay": 0.05}])
    before = len(sandbox.requests(operation="track"))
    waiting = asyncio.create_task(
        only_event(trigger([*names, "late"], settled={"delivered": ["x"]}, max_concurrency=3))
    )
    await asyncio.sleep(1.2)
    with MarigoldHook() as hook:
        await asyncio.to_thread(send, hook, late="jane")
    event = await waiting
    assert event["states"] == {"delivered": 22}
    seen = sandbox.requests(operation="track")[before:]
    asked = Counter(each["path"].rpartition("/")[2] for each in seen)
    assert "x" not in asked
    assert {asked[name] for name in names} == {1}
    assert asked["late"] > 1
    spans = [(each["at"], each["at"] + each["duration"]) for each in seen]
    assert max(sum(begin <= at < end for begin, end in spans) for at, _ in spans) <= 3


async def test_polls_slow_down_while_nothing_happens(sandbox: Sandbox) -> None:
    waiting = asyncio.create_task(only_event(trigger(["m1"], poll_interval=0.1, max_poll_interval=0.4)))
    times: list[float] = []
    while len(times) < 8:
        await asyncio.sleep(0.1)
        times = [each["at"] for each in sandbox.requests(operation="track")]
    waiting.cancel()
    gaps = [later - earlier for earlier, later in pairwise(times)]
    # A gap is as long as its pause, more or less the time that a request is under way.
    assert min(gaps[:2]) < 0.25 < max(gaps[-2:])
    assert min(gaps[-2:]) < 0.7


async def test_the_trigger_fires_with_the_first_lost_message_or_waits_for_all(sandbox: Sandbox) -> None:
    with MarigoldHook() as hook:
        await asyncio.to_thread(send, hook, m1="failed")
    event = await only_event(trigger(["m1", "m2"]))
    assert (event["status"], event["lost"], event["open"]) == ("success", 1, 1)
    waiting = asyncio.create_task(only_event(trigger(["m1", "m2"], stop_when_lost=False)))
    await asyncio.sleep(0.5)
    assert not waiting.done()
    with MarigoldHook() as hook:
        await asyncio.to_thread(send, hook, m2="jane")
    assert (await waiting)["states"] == {"delivered": 1, "failed": 1}


async def test_an_event_names_a_thousand_of_each_state_and_counts_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "MOST_NAMED", 3)
    event = await only_event(trigger([], settled={"delivered": [f"m{n}" for n in range(10)]}))
    assert (event["states"], event["references"]) == ({"delivered": 10}, {"delivered": ["m0", "m1", "m2"]})


async def test_no_event_holds_an_address(sandbox: Sandbox) -> None:
    with MarigoldHook() as hook:
        await asyncio.to_thread(send, hook, m1="jane")
    event = await only_event(trigger(["m1"]))
    assert "@" not in json.dumps(event)


@pytest.mark.parametrize(("status", "code"), [(403, "AuthenticationError"), (400, "VendorError")])
async def test_an_error_that_waiting_can_not_mend_is_an_event(sandbox: Sandbox, status: int, code: str) -> None:
    sandbox.faults([{"operation": "track", "fault": "status", "status": status}])
    event = await only_event(trigger(["m1", "m2"]))
    assert (event["status"], event["code"], event["retryable"]) == ("error", code, False)


async def test_a_state_that_does_not_exist_is_an_event() -> None:
    event = await only_event(trigger(["m1"], state="read"))
    assert (event["code"], event["setting"]) == ("ConfigurationError", "state")
