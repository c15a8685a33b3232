"""The trigger behind `BounceSensor`: it only reads, and its events hold counts, references and codes."""

from __future__ import annotations

import asyncio
import inspect
import json
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from itertools import pairwise
from typing import Any

import psutil
import pytest
from airflow.triggers.base import TriggerEvent

from airflow_provider_messaging.core.connection import ConnectionParts
from airflow_provider_messaging.core.errors import (
    AuthenticationError,
    ConfigurationError,
    MessagingError,
    RateLimitedError,
    VendorError,
)
from airflow_provider_messaging.core.retry import RetryPolicy
from airflow_provider_messaging.hooks._base import Client
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.sandbox.process import Sandbox
from airflow_provider_messaging.triggers import marigold as module
from airflow_provider_messaging.triggers._events import error_event, read_event
from airflow_provider_messaging.triggers.marigold import BounceTrigger

START = "2026-03-10T12:00:00Z"
OPTIONS: dict[str, Any] = {
    "marigold_conn_id": "shoes",
    "start": START,
    "end": "2026-03-11",
    "kinds": ["bounces", "complaints"],
    "bounce_types": ["hard"],
    "references": ["a"],
    "account_id": "other",
    "page_size": 7,
    "min_count": 3,
    "poll_interval": 0.5,
}


@pytest.fixture(autouse=True)
def connected(marigold_conn: str) -> None:
    """All triggers find the sandbox."""


def trigger(**options: Any) -> BounceTrigger:
    defaults = {"marigold_conn_id": "marigold_default", "start": START, "poll_interval": 0.1}
    return BounceTrigger(**{**defaults, **options})


async def only_event(made: BounceTrigger, seconds: float = 20.0) -> dict[str, Any]:
    async with asyncio.timeout(seconds):
        (event,) = [event async for event in made.run()]
    assert isinstance(event, TriggerEvent)
    payload: dict[str, Any] = event.payload
    return payload


def seed(sandbox: Sandbox, rows: int = 3, kind: str = "bounces") -> None:
    sandbox.seed(kind, rows=rows, start=START, end="2026-03-10T13:00:00Z")


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let calls be repeated almost at once."""
    build = MarigoldHook.build_client

    def impatient(hook: MarigoldHook, parts: ConnectionParts) -> Client:
        client = build(hook, parts)
        return replace(client, api=replace(client.api, retry=RetryPolicy(base=0.01)))

    monkeypatch.setattr(MarigoldHook, "build_client", impatient)


def test_the_options_of_a_trigger_survive_serialisation() -> None:
    path, options = BounceTrigger(**OPTIONS).serialize()
    assert options == OPTIONS
    name, _, attribute = path.rpartition(".")
    again = getattr(import_module(name), attribute)(**json.loads(json.dumps(options)))
    assert again.serialize() == (path, options)


def test_every_option_of_the_constructor_is_serialised() -> None:
    names = set(inspect.signature(BounceTrigger.__init__).parameters) - {"self"}
    assert set(BounceTrigger(**OPTIONS).serialize()[1]) == names == set(OPTIONS)


def test_no_option_is_a_credential() -> None:
    assert "sandbox-secret" not in str(trigger().serialize())


async def test_enough_feedback_fires_one_event_with_counts_and_references(sandbox: Sandbox) -> None:
    seed(sandbox, rows=3)
    event = await only_event(trigger(min_count=3))
    assert event["status"] == "success"
    assert event["count"] == sum(event["by_type"].values()) == 3
    assert event["references"] == [f"seed-bounce-1-{number:09}" for number in range(3)]


async def test_no_event_holds_an_address(sandbox: Sandbox) -> None:
    row = {"from": "news@example.com", "subject": "Hi", "text": "Hello"}
    with MarigoldHook() as hook:
        names = ["hard-bounce", "complaint", "unsubscribe", "indirect-bounce"]
        hook.send_email([{**row, "to": f"{name}@example.com", "reference": name} for name in names])
    kinds = ["bounces", "complaints", "list_unsubscribes"]
    event = await only_event(trigger(start="2026-01-01", kinds=kinds, min_count=4))
    assert event["count"] == 4
    assert "@" not in json.dumps(event)
    assert "example" not in json.dumps(event)


async def test_it_polls_until_there_is_enough(sandbox: Sandbox) -> None:
    waiting = asyncio.create_task(only_event(trigger(min_count=3)))
    await until(lambda: len(sandbox.requests(operation="bounces")) >= 2)
    assert not waiting.done()
    seed(sandbox, rows=3)
    assert (await waiting)["count"] == 3


async def test_polls_are_apart_by_the_poll_interval(sandbox: Sandbox) -> None:
    waiting = asyncio.create_task(only_event(trigger(poll_interval=0.5)))
    await until(lambda: len(sandbox.requests(operation="bounces")) >= 3)
    await cancelled(waiting)
    times = [request["at"] for request in sandbox.requests(operation="bounces")]
    assert all(later - earlier >= 0.5 for earlier, later in pairwise(times))


async def test_all_polls_share_one_token_and_one_connection(sandbox: Sandbox) -> None:
    waiting = asyncio.create_task(only_event(trigger()))
    await until(lambda: len(sandbox.requests(operation="bounces")) >= 5)
    assert len(sandbox.requests(operation="token")) == 1
    assert len(connections_to(sandbox)) == 1
    await cancelled(waiting)


async def test_cancellation_closes_the_connections_and_is_not_swallowed(sandbox: Sandbox) -> None:
    waiting = asyncio.create_task(only_event(trigger()))
    await until(lambda: len(sandbox.requests(operation="bounces")) >= 1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await until(lambda: not connections_to(sandbox))


async def test_cancellation_in_the_middle_of_a_request_closes_the_connection(sandbox: Sandbox) -> None:
    sandbox.faults([{"operation": "bounces", "fault": "hang"}])
    waiting = asyncio.create_task(only_event(trigger()))
    await until(lambda: any(each["fired"] for each in sandbox.fault_report()))
    assert connections_to(sandbox)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await until(lambda: not connections_to(sandbox))


async def test_a_fired_trigger_closes_its_connections(sandbox: Sandbox) -> None:
    seed(sandbox)
    await only_event(trigger())
    await until(lambda: not connections_to(sandbox))


async def test_it_only_reads(sandbox: Sandbox) -> None:
    seed(sandbox)
    await only_event(trigger(kinds=["bounces", "complaints", "list_unsubscribes"]))
    assert {each["operation"] for each in sandbox.requests()} == {
        "token",
        "bounces",
        "complaints",
        "list_unsubscribes",
    }


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "drop"},
        {"fault": "status", "status": 500},
        {"fault": "status", "status": 429},
        {"fault": "truncate"},
    ],
    ids=lambda fault: "-".join(str(value) for value in fault.values()),
)
@pytest.mark.usefixtures("quickly")
async def test_polls_that_fail_for_a_while_do_not_end_the_wait(sandbox: Sandbox, fault: dict[str, Any]) -> None:
    seed(sandbox)
    # More than the attempts of one call.
    sandbox.faults([{"operation": "bounces", **fault, "times": 12}])
    assert (await only_event(trigger()))["count"] == 3


async def test_a_token_that_expires_while_waiting_is_renewed(sandbox: Sandbox) -> None:
    seed(sandbox)
    sandbox.faults([{"operation": "bounces", "fault": "expire_token", "times": 1}])
    assert (await only_event(trigger()))["count"] == 3
    assert len(sandbox.requests(operation="token")) == 2


@pytest.mark.usefixtures("quickly")
async def test_it_gives_up_with_a_retryable_error_when_every_poll_fails(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_FAILURES", 2)
    sandbox.faults([{"operation": "bounces", "fault": "status", "status": 503}])
    event = await only_event(trigger())
    assert (event["status"], event["code"], event["retryable"]) == ("error", "RateLimitedError", True)
    assert len(sandbox.requests(operation="bounces")) == 10


async def test_a_wait_that_the_vendor_asks_for_beyond_our_patience_is_handed_on(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_FAILURES", 1)
    sandbox.faults([{"operation": "bounces", "fault": "status", "status": 429, "retry_after": 3600}])
    assert (await only_event(trigger()))["retry_after"] == 3600


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        pytest.param({"operation": "bounces", "status": 403}, "AuthenticationError", id="forbidden"),
        pytest.param({"operation": "bounces", "status": 404}, "VendorError", id="wrong path"),
        pytest.param({"operation": "token", "status": 401}, "AuthenticationError", id="wrong secret"),
    ],
)
async def test_an_error_that_waiting_can_not_mend_is_an_event_of_its_type(
    sandbox: Sandbox, fault: dict[str, Any], code: str
) -> None:
    body = '{"title": "no", "detail": "jane.doe@example.com sandbox-secret"}'
    sandbox.faults([{"fault": "status", "body": body, **fault}])
    event = await only_event(trigger())
    assert (event["status"], event["code"], event["operation"]) == ("error", code, fault["operation"])
    assert event["retryable"] is False
    assert event["connection"] == "marigold_default"
    for word in ("jane", "@", "sandbox-secret"):
        assert word not in json.dumps(event)


async def test_a_wrong_secret_is_not_tried_by_each_of_many_triggers_after_the_other(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = sandbox.connections["AIRFLOW_CONN_MARIGOLD_DEFAULT"]
    monkeypatch.setenv("AIRFLOW_CONN_SHOES", good.replace("sandbox-secret", "not-the-secret"))
    sandbox.faults([{"operation": "token", "fault": "latency", "delay": 0.5}])
    asking = [only_event(trigger(marigold_conn_id="shoes", min_count=number)) for number in range(1, 51)]
    for event in await asyncio.gather(*asking):
        assert (event["code"], event["connection"], event["operation"]) == ("AuthenticationError", "shoes", "token")
    assert len(sandbox.requests()) == 1


async def test_a_connection_that_can_not_work_is_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SHOES", '{"conn_type": "marigold", "login": "a", "password": "***"}')
    event = await only_event(trigger(marigold_conn_id="shoes"))
    assert (event["code"], event["connection"]) == ("ConfigurationError", "shoes")
    assert event["setting"] == "password (client secret)"


@pytest.mark.parametrize(
    ("options", "setting"),
    [({"start": "yesterday"}, "start"), ({"kinds": ["opens"]}, "kinds"), ({"page_size": 0}, "page_size")],
)
async def test_an_option_that_makes_no_sense_is_an_event(options: dict[str, Any], setting: str) -> None:
    event = await only_event(trigger(**options))
    assert (event["code"], event["setting"], event["retryable"]) == ("ConfigurationError", setting, False)


async def test_run_never_raises_not_even_over_what_is_not_ours(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(self: MarigoldHook) -> Client:
        raise RuntimeError("lost the supervisor, jane.doe@example.com")

    monkeypatch.setattr(MarigoldHook, "aclient", fail)
    event = await only_event(trigger())
    assert (event["status"], event["code"], event["retryable"]) == ("error", "RuntimeError", True)
    assert "jane" not in json.dumps(event)
    assert "lost the supervisor" in capfd.readouterr().out + caplog.text
    with pytest.raises(MessagingError, match="RuntimeError, see the triggerer's log"):
        read_event(event)


async def test_a_missing_connection_is_an_event() -> None:
    event = await only_event(trigger(marigold_conn_id="missing"))
    assert (event["status"], event["code"]) == ("error", "AirflowNotFoundException")


@pytest.mark.parametrize(
    "row",
    [
        '{"external_reference": "a"}',
        '{"timestamp": null, "external_reference": "a"}',
        '{"timestamp": "soon", "external_reference": "a"}',
        '{"timestamp": "2026-03-10T12:00:00Z", "external_reference": 5}',
        "5",
    ],
)
async def test_a_row_that_makes_no_sense_does_not_make_run_raise(sandbox: Sandbox, row: str) -> None:
    good = '{"timestamp": "2026-03-10T12:00:00Z", "external_reference": "b"}'
    body = f'{{"value": [{row}, {good}]}}'
    sandbox.faults([{"operation": "bounces", "fault": "status", "status": 200, "body": body}])
    assert (await only_event(trigger()))["status"] in {"success", "error"}


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationError("refused", vendor="marigold", operation="token", connection="c", setting="password"),
        ConfigurationError("wrong", connection="c", setting="host"),
        RateLimitedError("throttled", retry_after=3.5, vendor="marigold"),
        VendorError("HTTP 502", status=502, retryable=True, operation="bounces"),
        VendorError("HTTP 404", status=404),
    ],
    ids=lambda error: f"{type(error).__name__} {getattr(error, 'status', '')}",
)
def test_an_error_keeps_type_place_and_retryability_on_its_way_through_an_event(error: Any) -> None:
    with pytest.raises(type(error)) as caught:
        read_event(json.loads(json.dumps(error_event(error))))
    found = caught.value
    for name in ("vendor", "operation", "connection", "setting", "retryable", "retry_after", "status"):
        assert getattr(found, name, None) == getattr(error, name, None), name


async def until(condition: Any, seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.02)


async def cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def connections_to(sandbox: Sandbox) -> list[Any]:
    """The open connections of this process to the sandbox, but for those that it closed already."""
    port = int(sandbox.url.rpartition(":")[2])
    found = psutil.Process().net_connections("tcp")
    return [each for each in found if each.raddr and each.raddr.port == port and each.status == "ESTABLISHED"]
