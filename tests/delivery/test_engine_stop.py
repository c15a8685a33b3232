"""What a stop does to a send."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from airflow_provider_messaging.delivery.engine import Delivery
from airflow_provider_messaging.delivery.options import Stopped
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.delivery.sending import (
    OPTIONS,
    MemoryStore,
    Send,
    accepted,
    fault,
    operations,
    references,
    rows,
    sends,
)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


async def test_after_a_stop_no_request_starts_and_those_in_flight_are_awaited(sandbox: Sandbox) -> None:
    sandbox.faults([fault("latency", delay=0.8)])
    stopped_at = 0.0

    async def stop(delivery: Delivery) -> None:
        nonlocal stopped_at
        await until(lambda: len(sends(sandbox)) >= 4)
        await asyncio.sleep(0.3)
        stopped_at = time.time()
        delivery.stop()

    store = MemoryStore()
    send = Send(url=sandbox.url, rows=rows(5_000), store=store)
    first = await send.attempt(stop)
    assert isinstance(first.error, Stopped)
    assert all(request["at"] <= stopped_at for request in sandbox.requests(vendor="marigold"))
    assert first.report.accepted == sandbox.counts("marigold")["total"] == 800
    assert first.report.ambiguous == 0
    assert store.document["perhaps"] == ""
    assert not store.document["open"]
    sandbox.clear_faults()
    second = await send.attempt()
    assert second.done
    assert second.report.resumed == 800
    assert "track" not in operations(sandbox)
    assert accepted(sandbox) == Counter(references(5_000))


async def test_a_request_that_outlasts_the_grace_is_in_doubt(sandbox: Sandbox) -> None:
    sandbox.faults([fault("latency", when="after", delay=1.2, skip=2)])

    async def stop(delivery: Delivery) -> None:
        await until(lambda: sandbox.counts("marigold")["total"] >= 400)
        delivery.stop(grace=0.1)

    send = Send(url=sandbox.url, rows=rows(600), options=replace(OPTIONS, max_concurrency=2))
    first = await send.attempt(stop)
    assert isinstance(first.error, Stopped)
    assert (first.report.accepted, first.report.ambiguous) == (200, 200)
    assert first.outcomes() == {"accepted": 200, "ambiguous": 200}
    sandbox.clear_faults()
    second = await send.attempt()
    assert second.done
    assert (second.report.resumed, second.report.reconciled) == (200, 200)
    assert accepted(sandbox) == Counter(references(600))


@pytest.mark.parametrize(
    ("slow", "throttled"),
    [
        pytest.param({"skip": 2}, 2, id="both wait to repeat"),
        pytest.param({"skip": 1, "times": 1}, 1, id="one waits to repeat and one to begin"),
    ],
)
async def test_a_stop_while_the_vendor_throttles_leaves_nothing_in_doubt(
    sandbox: Sandbox, slow: dict[str, int], throttled: int
) -> None:
    sandbox.faults([fault("latency", delay=0.5, **slow), fault("status", status=429, retry_after=30, skip=2)])
    stopped_at = 0.0

    async def stop(delivery: Delivery) -> None:
        nonlocal stopped_at
        await until(lambda: len(sends(sandbox)) >= 2 + throttled)
        await asyncio.sleep(1)
        stopped_at = time.monotonic()
        delivery.stop(grace=0.1)

    send = Send(url=sandbox.url, rows=rows(600), options=replace(OPTIONS, max_concurrency=2))
    first = await send.attempt(stop)
    assert time.monotonic() - stopped_at < 2
    assert isinstance(first.error, Stopped)
    assert (first.report.accepted, first.report.ambiguous) == (200, 0)
    assert [request["status"] for request in sends(sandbox)].count(429) == throttled


@pytest.mark.parametrize("earlier", [True, False], ids=["doubts of an earlier try", "doubts of this try"])
async def test_after_a_stop_no_look_up_starts(sandbox: Sandbox, earlier: bool) -> None:
    send = Send(url=sandbox.url, rows=rows(600), options=replace(OPTIONS, max_concurrency=2, reconcile_window=30.0))
    sandbox.faults([fault("drop", when="after")])
    if earlier:
        first = await send.with_(options=replace(send.options, on_ambiguous="fail")).attempt()
        assert first.report.ambiguous == 600
    sandbox.faults([fault("latency", "track", delay=0.05)])
    stopped_at = 0.0

    async def stop(delivery: Delivery) -> None:
        nonlocal stopped_at
        await until(lambda: operations(sandbox)["track"] > 0)
        stopped_at = time.time()
        delivery.stop()

    stopped = await send.attempt(stop)
    assert isinstance(stopped.error, Stopped)
    assert time.time() - stopped_at < 2
    assert all(request["at"] <= stopped_at + 0.1 for request in sandbox.requests(vendor="marigold"))
    sandbox.clear_faults()
    assert (await send.attempt()).done
    assert accepted(sandbox) == Counter(references(600))
