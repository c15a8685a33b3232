"""Triggers of one event loop that ask the same question share its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_messaging.sandbox.process import Sandbox
from airflow_provider_messaging.triggers._shared import _questions, shared
from airflow_provider_messaging.triggers.marigold import BounceTrigger


class Vendor:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.polls = 0
        self.may_answer = asyncio.Event()
        self.error: Exception | None = None
        self.given_up = False

    async def poll(self) -> int:
        self.polls += 1
        number = self.polls
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.given_up = True
            raise
        if self.error is not None:
            raise self.error
        return number


async def ask(vendor: Vendor) -> tuple[int, float]:
    with shared("question") as question:
        return await question.ask(vendor.poll, 60)


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_those_who_ask_at_the_same_time_get_one_answer() -> None:
    vendor = Vendor()
    askers = [asyncio.create_task(ask(vendor)) for _ in range(10)]
    await settled()
    vendor.may_answer.set()
    assert {answer for answer, _ in await asyncio.gather(*askers)} == {1}


async def test_who_asks_soon_after_gets_the_same_answer_and_its_age() -> None:
    vendor = Vendor()
    vendor.may_answer.set()
    with shared("question") as question:
        assert await question.ask(vendor.poll, 60) == (1, pytest.approx(0, abs=1))
        await asyncio.sleep(0.05)
        answer, age = await ask(vendor)
    assert answer == 1
    assert age >= 0.04


async def test_an_answer_that_is_old_is_asked_for_again() -> None:
    vendor = Vendor()
    vendor.may_answer.set()
    with shared("question") as question:
        await question.ask(vendor.poll, 0.01)
        await asyncio.sleep(0.02)
        assert (await question.ask(vendor.poll, 0.01))[0] == 2


async def test_other_questions_are_asked_by_themselves() -> None:
    vendor = Vendor()
    vendor.may_answer.set()
    with shared("one") as one, shared("two") as two:
        assert (await one.ask(vendor.poll, 60))[0] == 1
        assert (await two.ask(vendor.poll, 60))[0] == 2


async def test_who_asked_first_may_go_and_the_others_still_get_the_answer() -> None:
    vendor = Vendor()
    first, second = (asyncio.create_task(ask(vendor)) for _ in range(2))
    await settled()
    first.cancel()
    await settled()
    vendor.may_answer.set()
    assert (await second)[0] == 1
    assert first.cancelled()


async def test_an_error_goes_to_all_who_wait_for_it_and_to_nobody_later() -> None:
    vendor = Vendor()
    vendor.error = ValueError("no")
    with shared("question"):
        askers = [asyncio.create_task(ask(vendor)) for _ in range(2)]
        await settled()
        vendor.may_answer.set()
        assert [type(error) for error in await asyncio.gather(*askers, return_exceptions=True)] == [ValueError] * 2
        vendor.error = None
        assert (await ask(vendor))[0] == 2


async def test_a_question_is_forgotten_with_the_last_who_asks_it() -> None:
    with shared("question") as first:
        with shared("question") as second:
            assert first is second
        assert _questions[asyncio.get_running_loop()] == {"question": first}
    assert not _questions[asyncio.get_running_loop()]


async def test_a_poll_that_nobody_waits_for_any_more_is_given_up() -> None:
    vendor = Vendor()
    askers = [asyncio.create_task(ask(vendor)) for _ in range(2)]
    await settled()
    for asker in askers:
        assert not vendor.given_up
        asker.cancel()
        await settled()
    assert vendor.given_up


def bounces(**options: Any) -> BounceTrigger:
    return BounceTrigger(
        **{"marigold_conn_id": "marigold_default", "start": "2026-03-10", "poll_interval": 0.2, **options}
    )


async def watched(make: Callable[[int], BounceTrigger], seconds: float) -> None:
    """Let 20 triggers wait for something that does not come."""
    tasks = [asyncio.create_task(make(number).wait()) for number in range(20)]
    await asyncio.sleep(seconds)
    assert not any(task.done() for task in tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_triggers_with_one_question_make_the_requests_of_one(sandbox: Sandbox, marigold_conn: str) -> None:
    await watched(lambda _: bounces(), 1.5)
    reads = [each for each in sandbox.requests() if each["operation"] != "token"]
    # One at once, and one every 0.2 s.
    assert 2 <= len(reads) <= 8


async def test_triggers_with_other_questions_each_ask_theirs(sandbox: Sandbox, marigold_conn: str) -> None:
    await watched(lambda number: bounces(start=f"2026-03-{number + 1:02}", poll_interval=60), 1.5)
    reads = [each for each in sandbox.requests() if each["operation"] != "token"]
    assert len(reads) == 20


async def test_triggers_that_share_a_poll_each_decide_by_their_own_count(sandbox: Sandbox, marigold_conn: str) -> None:
    sandbox.seed("bounces", 3, "2026-03-10T00:00:00Z", "2026-03-10T01:00:00Z")
    waiting = asyncio.create_task(bounces(min_count=4).wait())
    found = await asyncio.wait_for(bounces(min_count=3).wait(), 20)
    assert found["count"] == 3
    assert not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
