"""What a retry or a Clear makes of the input."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from airflow_provider_messaging.core.errors import (
    ConfigurationError,
    RateLimitedError,
)
from airflow_provider_messaging.delivery.engine import Delivery
from airflow_provider_messaging.delivery.options import Stopped
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.delivery.sending import (
    IDENTITY,
    OPTIONS,
    InTurn,
    MemoryStore,
    Send,
    accepted,
    channel,
    fault,
    in_a_hurry,
    operations,
    references,
    row,
    rows,
)

# Changed input -----------------------------------------------------------------------------------------------


async def broken_off(sandbox: Sandbox, given: list[Any], **options: Any) -> Send:
    """A send of which the vendor took some hundred messages before it went away for good."""
    sandbox.faults([fault("status", status=503, skip=5)])
    send = Send(url=sandbox.url, rows=given, options=replace(OPTIONS, **options), sleep=in_a_hurry)
    attempt = await send.attempt()
    assert isinstance(attempt.error, RateLimitedError)
    assert attempt.report.accepted == 500
    sandbox.clear_faults()
    return send


def changed(given: list[Any], what: str) -> list[Any]:
    if what == "one byte":
        return [*given[:450], {**given[450], "text": given[450]["text"][:-1] + "y"}, *given[451:]]
    if what == "one row less":
        return given[:450] + given[451:]
    if what == "two rows swapped":
        return [*given[:450], given[451], given[450], *given[452:]]
    if what == "one row more":
        return [row(9_999), *given]
    assert what == "the end is missing"
    return given[:300]


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("one byte", "rows 200 to 999"),
        ("one row less", "rows 200 to 999"),
        ("two rows swapped", "rows 200 to 999"),
        ("one row more", "rows 0 to"),
        ("the end is missing", "it is shorter"),
    ],
)
async def test_a_retry_with_changed_input_stops_and_sends_nothing(sandbox: Sandbox, what: str, says: str) -> None:
    given = rows(2_000)
    send = await broken_off(sandbox, given)
    before = operations(sandbox)
    attempt = await send.with_(rows=changed(given, what)).attempt()
    assert isinstance(attempt.error, ConfigurationError)
    assert not attempt.error.retryable
    assert says in str(attempt.error)
    assert "500 messages were accepted" in str(attempt.error)
    assert operations(sandbox) == before
    assert not attempt.published
    assert (await send.until_done())[-1].report.resumed == 500
    assert accepted(sandbox) == Counter(references(2_000))


async def test_the_error_tells_which_rows_differ(sandbox: Sandbox) -> None:
    given = rows(8_000)
    send = Send(url=sandbox.url, rows=given)
    await send.attempt()
    attempt = await send.with_(rows=[*given[:5_000], row(1), *given[5_001:]]).attempt()
    assert "rows 5000 to 5799 differ" in str(attempt.error)


@pytest.mark.parametrize(("count", "says"), [(800, "new rows from 800 on"), (850, "rows 200 to 859")])
async def test_rows_added_after_everything_was_sent_are_an_error(sandbox: Sandbox, count: int, says: str) -> None:
    send = Send(url=sandbox.url, rows=rows(count))
    assert (await send.attempt()).done
    attempt = await send.with_(rows=rows(count + 10)).attempt()
    assert isinstance(attempt.error, ConfigurationError)
    assert says in str(attempt.error)
    assert f"{count} messages were accepted" in str(attempt.error)
    assert accepted(sandbox) == Counter(references(count))


async def test_rows_added_after_everything_was_sent_are_an_error_though_a_later_try_was_stopped(
    sandbox: Sandbox,
) -> None:
    send = Send(url=sandbox.url, rows=rows(800))
    assert (await send.attempt()).done

    async def at_once(delivery: Delivery) -> None:
        delivery.stop()

    assert isinstance((await send.attempt(at_once)).error, Stopped)
    assert isinstance((await send.with_(rows=rows(900)).attempt()).error, ConfigurationError)


async def test_a_row_that_is_mended_after_everything_was_sent_is_an_error(sandbox: Sandbox) -> None:
    given = [*rows(5), {"to": "nobody"}]
    send = Send(url=sandbox.url, rows=given)
    assert (await send.attempt()).report.rejected == 1
    assert isinstance((await send.with_(rows=rows(6)).attempt()).error, ConfigurationError)


# Clear -------------------------------------------------------------------------------------------------------


async def test_a_clear_sends_everything_again_under_new_references(sandbox: Sandbox) -> None:
    send = Send(url=sandbox.url, rows=rows(300))
    await send.attempt()
    cleared = send.with_(identity=replace(IDENTITY, generation=1), store=MemoryStore())
    attempt = await cleared.attempt()
    assert (attempt.report.accepted, attempt.report.resumed, attempt.report.reconciled) == (300, 0, 0)
    assert accepted(sandbox) == Counter([*references(300), *references(300, cleared.identity)])
    assert len(accepted(sandbox)) == 600


@pytest.mark.parametrize("pause", [0.0, 0.5, 1.0])
async def test_a_given_reference_that_a_cleared_send_used_proves_nothing(sandbox: Sandbox, pause: float) -> None:
    given = [row(number, reference=f"given-{number}") for number in range(30)]
    store = MemoryStore()
    await Send(url=sandbox.url, rows=given, store=store).attempt()
    await asyncio.sleep(pause)
    cleared_at = datetime.fromisoformat(store.document["updated"])
    sandbox.faults([fault("drop", times=1)])
    attempt = await Send(
        url=sandbox.url,
        rows=given,
        channel=channel(sandbox.url, tracking_verified=True),
        options=replace(OPTIONS, not_before=cleared_at),
    ).attempt()
    assert attempt.done
    assert (attempt.report.accepted, attempt.report.reconciled) == (30, 0)
    assert set(accepted(sandbox).values()) == {2}


async def test_a_given_reference_is_counted_when_this_send_had_it_accepted(sandbox: Sandbox) -> None:
    given = [row(number, reference=f"given-{number}") for number in range(30)]
    store = MemoryStore()
    await Send(url=sandbox.url, rows=given, store=store).attempt()
    sandbox.faults([fault("drop", when="after", times=1)])
    cleared_at = datetime.fromisoformat(store.document["updated"])
    attempt = await Send(url=sandbox.url, rows=given, options=replace(OPTIONS, not_before=cleared_at)).attempt()
    assert (attempt.report.accepted, attempt.report.reconciled) == (30, 30)
    assert set(accepted(sandbox).values()) == {2}


@pytest.mark.parametrize("what", ["one byte", "one row less", "one row more", "the end is missing"])
async def test_input_that_changes_while_it_is_read_is_an_error_and_no_row_is_sent_twice(
    sandbox: Sandbox, what: str
) -> None:
    given = rows(2_000)
    send = await broken_off(sandbox, given)
    attempt = await send.with_(rows=InTurn(given, changed(given, what))).attempt()
    assert isinstance(attempt.error, ConfigurationError)
    assert max(accepted(sandbox).values()) == 1
    assert (await send.until_done())[-1].report.accepted == 2_000
    assert accepted(sandbox) == Counter(references(2_000))
