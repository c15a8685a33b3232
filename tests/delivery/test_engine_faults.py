"""The engine against a vendor that fails, one fault at a time."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_messaging.core.errors import (
    AuthenticationError,
    VendorError,
)
from airflow_provider_messaging.core.flow import Flow
from airflow_provider_messaging.sandbox.process import Sandbox, running_sandbox
from airflow_provider_messaging.transport.aio import AsyncTransport
from tests.delivery import sending
from tests.delivery.sending import (
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
    sends,
    torn,
)

# Single faults -----------------------------------------------------------------------------------------------


async def test_a_token_that_expires_on_the_way_is_renewed_once(sandbox: Sandbox) -> None:
    sandbox.faults([fault("expire_token", skip=5, times=1), fault("latency", delay=0.02)])
    attempt = await Send(url=sandbox.url, rows=rows(2_000)).attempt()
    assert attempt.done
    assert accepted(sandbox) == Counter(references(2_000))
    assert operations(sandbox)["token"] == 2
    assert attempt.report.reconciled == 0


async def test_a_429_is_obeyed_to_the_second(sandbox: Sandbox) -> None:
    sandbox.faults([fault("status", status=429, retry_after=2, skip=3, times=1)])
    attempt = await Send(
        url=sandbox.url, rows=rows(800), options=replace(OPTIONS, max_concurrency=1, rate_limit=10_000.0)
    ).attempt()
    assert attempt.done
    assert accepted(sandbox) == Counter(references(800))
    requests = sends(sandbox)
    at = next(at for at, request in enumerate(requests) if request["status"] == 429)
    assert 2.0 <= requests[at + 1]["at"] - requests[at]["at"] < 6
    assert attempt.report.throttled == 1


async def test_after_a_429_nobody_else_begins_before_the_pause_is_over(sandbox: Sandbox) -> None:
    sandbox.faults([fault("status", status=429, retry_after=1, skip=4, times=1), fault("latency", delay=0.05)])
    attempt = await Send(url=sandbox.url, rows=rows(6_000), options=replace(OPTIONS, rate_limit=100_000.0)).attempt()
    assert attempt.done
    refused = next(request for request in sends(sandbox) if request["status"] == 429)
    answered = refused["at"] + refused["duration"]
    assert not [r for r in sends(sandbox) if answered + 0.3 < r["at"] < answered + 1.0]


async def test_a_server_that_is_not_there_yet_loses_nothing(sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    send = Send(url=f"http://127.0.0.1:{port}", rows=rows(300), sleep=in_a_hurry)
    attempt = await send.attempt()
    assert isinstance(attempt.error, VendorError)
    assert attempt.error.retryable
    assert attempt.report.ambiguous == 0
    with running_sandbox(port) as late:
        attempt = await send.attempt()
        assert attempt.done
        assert accepted(late) == Counter(references(300))
        assert "track" not in operations(late)


async def test_a_wrong_secret_names_the_connection_and_asks_once(sandbox: Sandbox) -> None:
    send = Send(url=sandbox.url, rows=rows(1_000), channel=channel(sandbox.url, secret="not-the-secret"))
    attempt = await send.attempt()
    assert isinstance(attempt.error, AuthenticationError)
    assert "'marigold_test'" in str(attempt.error)
    assert "not-the-secret" not in str(attempt.error) + repr(attempt.error)
    assert operations(sandbox) == {"token": 1}
    assert attempt.report.ambiguous == 0
    mended = await send.with_(channel=channel(sandbox.url)).attempt()
    assert mended.done
    assert accepted(sandbox) == Counter(references(1_000))
    assert "track" not in operations(sandbox)


async def test_nothing_is_asked_while_it_gets_about_that_a_secret_is_wrong(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(AsyncTransport):
        async def run(self, flow: Flow[Any]) -> Any:
            try:
                return await super().run(flow)
            except AuthenticationError:
                await asyncio.sleep(0.3)
                raise

    monkeypatch.setattr(sending, "AsyncTransport", Slow)
    attempt = await Send(url=sandbox.url, rows=rows(2_000), channel=channel(sandbox.url, secret="wrong")).attempt()
    assert isinstance(attempt.error, AuthenticationError)
    assert operations(sandbox) == {"token": 1}


async def test_a_secret_that_became_wrong_is_asked_about_once_while_doubts_are_cleared_up(sandbox: Sandbox) -> None:
    sandbox.faults([fault("drop", when="after")])
    send = Send(url=sandbox.url, rows=rows(300), options=replace(OPTIONS, on_ambiguous="fail"))
    assert (await send.attempt()).report.ambiguous == 300
    sandbox.clear_faults()
    send = send.with_(options=OPTIONS)
    before = operations(sandbox)
    attempt = await send.with_(channel=channel(sandbox.url, secret="not-the-secret")).attempt()
    assert isinstance(attempt.error, AuthenticationError)
    assert operations(sandbox) - before == {"token": 1}
    assert (await send.attempt()).done
    assert accepted(sandbox) == Counter(references(300))


async def test_a_scope_that_is_missing_ends_the_send_with_nothing_in_doubt(sandbox: Sandbox) -> None:
    sandbox.faults([fault("status", status=403, skip=3)])
    send = Send(url=sandbox.url, rows=rows(1_000))
    attempt = await send.attempt()
    assert isinstance(attempt.error, AuthenticationError)
    assert attempt.report.ambiguous == 0
    sandbox.clear_faults()
    assert (await send.attempt()).done
    assert accepted(sandbox) == Counter(references(1_000))


@pytest.mark.parametrize(
    "reply",
    [
        fault("drop"),
        fault("hang"),
        fault("status", status=408),
        fault("status", status=500),
        fault("status", status=502),
        fault("status", status=504),
    ],
    ids=lambda reply: f"{reply['fault']}{reply.get('status', '')}",
)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_request_without_a_clear_answer_is_looked_up_and_its_messages_accepted_once(
    sandbox: Sandbox, reply: dict[str, Any], when: str
) -> None:
    sandbox.faults([{**reply, "when": when, "skip": 2, "times": 1}])
    attempt = await Send(url=sandbox.url, rows=rows(600)).attempt()
    assert attempt.done
    assert accepted(sandbox) == Counter(references(600))
    assert attempt.report.reconciled == (100 if when == "after" else 0)
    assert attempt.report.repeated == (0 if when == "after" else 100)
    assert attempt.outcomes() == {"accepted": 600}


@pytest.mark.parametrize("kind", ["truncate", "malformed"])
@pytest.mark.parametrize("send_answer", ["empty", "json"])
async def test_an_answer_of_success_counts_however_broken_its_body_is(
    sandbox: Sandbox, kind: str, send_answer: str
) -> None:
    sandbox.settings(send_answer=send_answer)
    sandbox.faults([fault(kind)])
    attempt = await Send(url=sandbox.url, rows=rows(300)).attempt()
    assert attempt.done
    assert accepted(sandbox) == Counter(references(300))
    assert "track" not in operations(sandbox)


async def test_tracking_that_lags_is_waited_for(sandbox: Sandbox) -> None:
    sandbox.settings(tracking_lag=0.8)
    sandbox.faults([fault("drop", when="after", skip=2, times=1)])
    attempt = await Send(url=sandbox.url, rows=rows(600), options=replace(OPTIONS, reconcile_window=2.0)).attempt()
    assert attempt.done
    assert attempt.report.reconciled == 100
    assert accepted(sandbox) == Counter(references(600))


@pytest.mark.parametrize("skew", [-50.0, 50.0, 3_600.0])
async def test_a_vendors_clock_that_is_behind_by_less_than_the_margin_or_ahead_does_not_matter(
    sandbox: Sandbox, skew: float
) -> None:
    sandbox.settings(clock_skew=skew)
    sandbox.faults([fault("drop", when="after", skip=2, times=2)])
    attempt = await Send(url=sandbox.url, rows=rows(600)).attempt()
    assert attempt.done
    assert attempt.report.reconciled == 200
    assert accepted(sandbox) == Counter(references(600))


async def test_when_look_ups_fail_messages_are_ambiguous_until_a_retry_can_look_them_up(sandbox: Sandbox) -> None:
    sandbox.faults([fault("drop", when="after", skip=1, times=1), fault("status", "track", status=500)])
    options = replace(OPTIONS, max_concurrency=20)
    send = Send(url=sandbox.url, rows=rows(300), options=options, sleep=in_a_hurry)
    first = await send.attempt()
    assert first.error is None
    assert (first.report.accepted, first.report.ambiguous) == (200, 100)
    assert "HTTP 500" in first.reason
    assert first.outcomes() == {"accepted": 200, "ambiguous": 100}
    sandbox.clear_faults()
    second = await send.attempt()
    assert second.done
    assert (second.report.resumed, second.report.reconciled) == (200, 100)
    assert accepted(sandbox) == Counter(references(300))


async def test_with_on_ambiguous_fail_nothing_is_looked_up_nor_sent_again(sandbox: Sandbox) -> None:
    sandbox.faults([fault("drop", when="after", skip=1, times=1), fault("drop", skip=2, times=1)])
    send = Send(url=sandbox.url, rows=rows(600), options=replace(OPTIONS, on_ambiguous="fail"))
    for _ in range(2):
        attempt = await send.attempt()
        assert attempt.error is None
        assert (attempt.report.accepted, attempt.report.ambiguous) == (400, 200)
        assert attempt.outcomes() == {"accepted": 400, "ambiguous": 200}
        assert attempt.reason
    assert "track" not in operations(sandbox)
    assert max(accepted(sandbox).values()) == 1


# Refusals ----------------------------------------------------------------------------------------------------


async def test_rows_that_the_vendor_refuses_are_rejects_and_the_others_are_sent(sandbox: Sandbox) -> None:
    sandbox.settings(clock_skew=-7_200)
    late = (datetime.now(UTC) + timedelta(hours=23)).isoformat()
    bad = {3, 99, 100, 250}
    given = [row(number) | ({"custom_send_time": late} if number in bad else {}) for number in range(300)]
    send = Send(url=sandbox.url, rows=given)
    for requests in (5, 3):
        attempt = await send.attempt()
        assert attempt.error is None
        assert {line["_rejected"]["row"] for line in attempt.rejects} == bad
        assert attempt.rejects[0]["custom_send_time"] == late
        assert attempt.rejects[0]["_rejected"]["errors"][0]["code"] == "INVALID_CUSTOM_SEND_TIME_RANGE"
        assert attempt.outcomes() == {"accepted": 296, "rejected": 4}
        assert (attempt.report.accepted, attempt.report.rejected, attempt.report.ambiguous) == (296, 4, 0)
        assert attempt.report.requests in {requests, 6}
    assert accepted(sandbox) == Counter(references([number for number in range(300) if number not in bad]))


async def test_a_refusal_that_is_not_the_rows_fault_is_given_up_after_two_batches(sandbox: Sandbox) -> None:
    sandbox.faults([fault("status", status=400, body=json.dumps({"title": "Account is suspended"}))])
    attempt = await Send(url=sandbox.url, rows=rows(2_000), options=replace(OPTIONS, max_concurrency=2)).attempt()
    assert isinstance(attempt.error, VendorError)
    assert not attempt.error.retryable
    assert "refused to the last message" in str(attempt.error)
    assert "Account is suspended" in str(attempt.error)
    assert len(sends(sandbox)) <= 3 * 199
    assert not accepted(sandbox)


async def test_a_small_batch_that_is_wholly_refused_is_just_rejected(sandbox: Sandbox) -> None:
    sandbox.faults([fault("status", status=400, body="{}")])
    attempt = await Send(url=sandbox.url, rows=rows(3)).attempt()
    assert attempt.error is None
    assert attempt.report.rejected == 3


# A first request in doubt ------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_concurrency", [1, 4])
async def test_a_first_request_that_was_lost_is_sent_again_though_tracking_answers_404(
    sandbox: Sandbox, max_concurrency: int
) -> None:
    sandbox.faults([fault("drop", times=1)])
    send = Send(url=sandbox.url, rows=rows(800), options=replace(OPTIONS, max_concurrency=max_concurrency))
    attempts = await send.until_done(2)
    assert accepted(sandbox) == Counter(references(800))
    assert len(attempts) == (1 if max_concurrency > 1 else 2)


async def test_a_crash_before_anything_was_accepted_does_not_leave_messages_ambiguous_for_ever(
    sandbox: Sandbox,
) -> None:
    class Killed(BaseException):
        pass

    class Dying(MemoryStore):
        def save(self, document: dict[str, Any]) -> None:
            super().save(document)
            raise Killed

    dying = Dying()
    send = Send(url=sandbox.url, rows=rows(3_000), store=dying)
    with pytest.raises(Killed):
        await send.attempt()
    store = MemoryStore()
    store.saved = dying.saved[:1]
    attempts = await send.with_(store=store).until_done(3)
    assert accepted(sandbox) == Counter(references(3_000))
    assert attempts[-1].report.accepted == 3_000


# Files ------------------------------------------------------------------------------------------------------


async def test_a_try_that_ends_early_never_takes_lines_of_earlier_ones_away(sandbox: Sandbox) -> None:
    sandbox.faults([fault("status", status=503, skip=20)])
    send = Send(url=sandbox.url, rows=[*rows(5_000), "no row"], sleep=in_a_hurry)
    first = await send.attempt()
    assert first.outcomes() == {"accepted": 2_000}
    sandbox.clear_faults()
    sandbox.faults([fault("status", status=403)])
    second = await send.attempt()
    assert isinstance(second.error, AuthenticationError)
    assert {line["reference"] for line in first.manifest} <= {line["reference"] for line in second.manifest}
    assert second.outcomes() == {"accepted": 2_000}


async def test_a_manifest_names_what_is_in_doubt_when_look_ups_are_refused(sandbox: Sandbox) -> None:
    sandbox.faults([fault("drop", when="after", skip=2), fault("status", "track", status=403)])
    send = Send(url=sandbox.url, rows=rows(600), options=replace(OPTIONS, max_concurrency=1))
    for _ in range(2):
        attempt = await send.attempt()
        assert isinstance(attempt.error, AuthenticationError)
        assert attempt.outcomes() == {"accepted": 200, "ambiguous": 100}
    sandbox.clear_faults()
    assert (await send.attempt()).done
    assert accepted(sandbox) == Counter(references(600))


async def test_an_input_that_can_not_be_read_to_its_end_ends_the_send_and_leaves_nothing_in_doubt(
    sandbox: Sandbox,
) -> None:
    send = Send(url=sandbox.url, rows=torn(rows(3_000)))
    attempt = await send.attempt()
    assert isinstance(attempt.error, OSError)
    assert attempt.report.ambiguous == 0
    assert (await send.with_(rows=rows(3_000)).attempt()).done
    assert accepted(sandbox) == Counter(references(3_000))


async def test_files_are_kept_though_a_try_ends_early_behind_a_group_of_rejects_only(sandbox: Sandbox) -> None:
    given: list[Any] = [*["no row"] * 3_000, *rows(600)]
    send = Send(url=sandbox.url, rows=given)
    first = await send.attempt()
    assert len(first.manifest) == 600
    second = await send.with_(rows=InTurn(given, torn(given[:2_000]))).attempt()
    assert isinstance(second.error, OSError)
    assert not second.published
