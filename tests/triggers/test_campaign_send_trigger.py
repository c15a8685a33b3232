"""The trigger behind `CampaignSendSensor`: it only reads, and its events hold counts, send ids and states."""

from __future__ import annotations

import asyncio
import inspect
import json
from importlib import import_module
from typing import Any

import pytest

from airflow_provider_messaging.hooks.engageone import EngageOneHook
from airflow_provider_messaging.sandbox.process import Sandbox
from airflow_provider_messaging.triggers.engageone import CampaignSendTrigger
from tests.sensors.test_campaign_send_sensor import answer, connected, looks, send
from tests.sensors.test_delivery_sensor import only_event

__all__ = ["connected"]

OPTIONS: dict[str, Any] = {
    "engageone_conn_id": "shoes",
    "send_ids": ["a", "b"],
    "success_states": ["DONE"],
    "failure_states": ["BROKEN"],
    "settled": {"DONE": ["c"]},
    "poll_interval": 0.5,
    "max_poll_interval": 3.0,
    "max_concurrency": 2,
}


def trigger(*send_ids: str, **options: Any) -> CampaignSendTrigger:
    defaults = {"engageone_conn_id": "engageone_default", "poll_interval": 0.1}
    return CampaignSendTrigger(send_ids=send_ids, **{**defaults, **options})


def fault(sandbox: Sandbox, **order: Any) -> None:
    sandbox.faults([{"vendor": "engageone", "operation": "send_status", **order}])


def test_the_options_of_a_trigger_survive_serialisation() -> None:
    path, options = CampaignSendTrigger(**OPTIONS).serialize()
    assert options == OPTIONS
    name, _, attribute = path.rpartition(".")
    again = getattr(import_module(name), attribute)(**json.loads(json.dumps(options)))
    assert again.serialize() == (path, options)
    assert path == "airflow_provider_messaging.triggers.engageone.CampaignSendTrigger"


def test_every_option_of_the_constructor_is_serialised() -> None:
    names = set(inspect.signature(CampaignSendTrigger.__init__).parameters) - {"self"}
    assert set(CampaignSendTrigger(**OPTIONS).serialize()[1]) == names == set(OPTIONS)


async def test_it_waits_until_all_sends_are_done() -> None:
    ids = await asyncio.to_thread(send, "newsletter", "welcome")
    assert await only_event(trigger(*ids, settled={"COMPLETED": ["earlier"]})) == {
        "status": "success",
        "total": 3,
        "reached": 3,
        "lost": 0,
        "open": 0,
        "states": {"COMPLETED": 3},
        "send_ids": {"COMPLETED": ["earlier", *ids]},
    }


async def test_it_fires_with_the_first_send_that_failed() -> None:
    (failed,) = await asyncio.to_thread(send, "always-fails")
    await asyncio.sleep(0.4)
    event = await only_event(trigger(failed, "not-looked-at", max_concurrency=1))
    assert (event["status"], event["lost"], event["send_ids"]["FAILED"]) == ("success", 1, [failed])


async def test_it_only_reads(sandbox: Sandbox) -> None:
    answer(sandbox, {"status": "PENDING"}, {"status": "COMPLETED"})
    await only_event(trigger("a"))
    assert looks(sandbox) == {"a": 2}
    assert {each["operation"] for each in sandbox.requests()} == {"token", "send_status"}


async def test_a_state_that_nobody_named_is_waited_out(sandbox: Sandbox) -> None:
    answer(sandbox, {"status": "THINKING"}, {}, {"status": "completed"})
    assert (await only_event(trigger("a")))["states"] == {"COMPLETED": 1}


async def test_a_token_that_expires_while_waiting_is_renewed(sandbox: Sandbox) -> None:
    fault(sandbox, fault="expire_token", times=1)
    ids = await asyncio.to_thread(send, "newsletter")
    assert (await only_event(trigger(*ids)))["reached"] == 1
    assert len(sandbox.requests(operation="token")) == 2


async def test_a_poll_that_fails_for_a_while_does_not_end_the_wait(sandbox: Sandbox) -> None:
    fault(sandbox, fault="status", status=503, times=2)
    ids = await asyncio.to_thread(send, "newsletter")
    assert (await only_event(trigger(*ids)))["reached"] == 1


async def test_a_path_that_the_vendor_does_not_know_is_an_event(sandbox: Sandbox) -> None:
    event = await only_event(trigger("no-such-send"))
    assert (event["status"], event["code"], event["http_status"]) == ("error", "VendorError", 404)
    assert (event["retryable"], event["operation"]) == (False, "send_status")
    assert "send_status" in event["setting"]


async def test_credentials_that_are_refused_are_an_event_without_them(sandbox: Sandbox) -> None:
    fault(sandbox, operation="token", fault="status", status=401)
    event = await only_event(trigger("a"))
    assert (event["code"], event["connection"], event["retryable"]) == (
        "AuthenticationError",
        "engageone_default",
        False,
    )
    with EngageOneHook() as hook:
        secret = hook.get_connection("engageone_default").password
    assert secret
    assert secret not in json.dumps(event)


async def test_states_that_make_no_sense_are_an_event() -> None:
    event = await only_event(trigger("a", success_states=[]))
    assert (event["code"], event["setting"]) == ("ConfigurationError", "success_states")


@pytest.mark.parametrize("word", ["jane.doe@example.com", "x" * 65])
async def test_no_event_holds_what_is_no_word_for_a_state(sandbox: Sandbox, word: str) -> None:
    answer(sandbox, {"status": word}, {"status": "FAILED"})
    event = await only_event(trigger("a", "b", max_concurrency=1))
    assert word.upper() not in json.dumps(event)
