"""The engine against the sandbox: what is sent, recorded and written down."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_messaging.core.errors import AuthenticationError, RateLimitedError
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.delivery.sending import (
    OPTIONS,
    MemoryStore,
    NoStore,
    Send,
    accepted,
    fault,
    in_a_hurry,
    operations,
    references,
    row,
    rows,
    sends,
)

LIMIT = 4_000_000
MIXED_SIZES = [50] * 40 + [2_000] * 8 + [300_000, 30_000]


# Without faults ----------------------------------------------------------------------------------------------


async def test_messages_of_mixed_sizes_are_each_accepted_once_in_requests_within_both_limits(sandbox: Sandbox) -> None:
    given = [row(number, MIXED_SIZES[number % 50]) for number in range(2_000)] + [row(2_000, 3_900_000)]
    attempt = await Send(url=sandbox.url, rows=given).attempt()
    assert attempt.done
    assert accepted(sandbox) == Counter(references(2_001))
    assert all(request["messages"] <= 100 and request["request_bytes"] <= LIMIT for request in sends(sandbox))
    assert max(request["request_bytes"] for request in sends(sandbox)) > 3_900_000
    assert max(request["messages"] for request in sends(sandbox)) == 100
    assert attempt.report.counts() == {
        "messages": 2_001,
        "accepted": 2_001,
        "rejected": 0,
        "ambiguous": 0,
        "reconciled": 0,
        "resumed": 0,
        "requests": len(sends(sandbox)),
    }


async def test_the_manifest_has_one_line_for_each_valid_message_and_the_rejects_file_every_other_row(
    sandbox: Sandbox,
) -> None:
    given: list[Any] = rows(250)
    given[7] = {**given[7], "to": "nobody"}
    given[101] = {**given[101], "reference": references(1)[0]}
    given[120] = "no row"
    given[249] = {**given[249], "tags": ["x" * 97]}
    attempt = await Send(url=sandbox.url, rows=given).attempt()
    bad = [7, 101, 120, 249]
    good = [number for number in range(250) if number not in bad]
    assert [line["row"] for line in sorted(attempt.manifest, key=lambda line: line["row"])] == good
    assert {line["reference"] for line in attempt.manifest} == set(references(good))
    assert attempt.outcomes() == {"accepted": 246}
    assert [line["_rejected"]["row"] for line in attempt.rejects] == bad
    assert (attempt.report.messages, attempt.report.accepted, attempt.report.rejected) == (250, 246, 4)


async def test_a_manifest_line_names_recipient_profile_tags_and_time(sandbox: Sandbox) -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    (line,) = (await Send(url=sandbox.url, rows=[row(0)]).attempt()).manifest
    at = datetime.fromisoformat(line.pop("at"))
    assert before <= at <= datetime.now(UTC)
    assert line == {
        "reference": references(1)[0],
        "recipient": "user0@example.com",
        "profile": "LIST.0",
        "tags": ["spring"],
        "dag_id": "mailing",
        "row": 0,
        "outcome": "accepted",
    }


async def test_an_empty_input_sends_nothing(sandbox: Sandbox) -> None:
    attempt = await Send(url=sandbox.url, rows=[]).attempt()
    assert attempt.done
    assert not operations(sandbox)


async def test_a_finished_send_that_is_run_again_sends_nothing_and_reports_the_same(sandbox: Sandbox) -> None:
    send = Send(url=sandbox.url, rows=rows(450))
    await send.attempt()
    sent = operations(sandbox)
    again = await send.attempt()
    assert operations(sandbox) == sent
    assert (again.report.accepted, again.report.resumed, again.report.requests) == (450, 450, 0)
    assert again.outcomes() == {"accepted": 450}


async def test_no_more_requests_are_in_flight_than_allowed_and_no_fewer(sandbox: Sandbox) -> None:
    sandbox.faults([fault("latency", delay=0.3)])
    await Send(url=sandbox.url, rows=rows(900), options=replace(OPTIONS, max_concurrency=3)).attempt()
    spans = [(request["at"], request["at"] + request["duration"] - 0.05) for request in sends(sandbox)]
    open_at_once = [sum(start <= moment < end for start, end in spans) for moment, _ in spans]
    assert max(open_at_once) == 3


async def test_a_rate_limit_is_kept(sandbox: Sandbox) -> None:
    began = time.monotonic()
    await Send(url=sandbox.url, rows=rows(600), options=replace(OPTIONS, rate_limit=400.0)).attempt()
    assert 500 / 400 <= time.monotonic() - began < 5
    times = sorted(request["at"] for request in sends(sandbox))
    assert times[-1] - times[0] > 0.9 * 500 / 400


# The ledger --------------------------------------------------------------------------------------------------


async def test_nothing_is_sent_before_the_ledger_that_names_it_is_saved(sandbox: Sandbox) -> None:
    class Watching(MemoryStore):
        def save(self, document: dict[str, Any]) -> None:
            named = document["done"][1] + sum(sum(group["sizes"]) for group in document["open"])
            assert sandbox.counts("marigold")["total"] <= named
            time.sleep(0.02)
            if len(self.saved) < 3:
                assert sandbox.counts("marigold")["total"] <= self._named
            super().save(document)
            self._named = named

        _named = 0

    store = Watching()
    assert (await Send(url=sandbox.url, rows=rows(4_000), store=store).attempt()).done
    assert len(store.saved) == 7


async def test_the_ledger_holds_no_address(sandbox: Sandbox) -> None:
    store = MemoryStore()
    await Send(url=sandbox.url, rows=rows(500), store=store).attempt()
    assert not any("@" in text or "example.com" in text for text in store.saved)


async def test_a_store_that_fails_ends_the_send_and_leaves_nothing_in_doubt(sandbox: Sandbox) -> None:
    class Failing(MemoryStore):
        broken = True

        def save(self, document: dict[str, Any]) -> None:
            if self.broken and len(self.saved) == 2:
                self.broken = False
                raise OSError("the store is down")
            super().save(document)

    send = Send(url=sandbox.url, rows=rows(4_000), store=Failing())
    first, second = await send.until_done()
    assert isinstance(first.error, OSError)
    assert first.report.ambiguous == 0
    assert "track" not in operations(sandbox)
    assert accepted(sandbox) == Counter(references(4_000))
    assert second.report.resumed == first.report.accepted > 0


async def test_a_store_that_fails_at_the_end_does_not_hide_why_the_send_broke_off(sandbox: Sandbox) -> None:
    class Failing(MemoryStore):
        def save(self, document: dict[str, Any]) -> None:
            if self.saved:
                raise OSError("the store is down")
            super().save(document)

    sandbox.faults([fault("status", status=403)])
    send = Send(url=sandbox.url, rows=rows(100), store=Failing())
    assert isinstance((await send.attempt()).error, AuthenticationError)
    sandbox.clear_faults()
    assert isinstance((await send.with_(store=Failing()).attempt()).error, OSError)


# No ledger ---------------------------------------------------------------------------------------------------


async def test_without_a_ledger_a_retry_looks_everything_up_and_sends_only_what_is_missing(sandbox: Sandbox) -> None:
    sandbox.faults([fault("status", status=503, skip=5)])
    send = Send(url=sandbox.url, rows=rows(1_500), store=NoStore(), sleep=in_a_hurry)
    began = datetime.now(UTC)
    assert isinstance((await send.attempt()).error, RateLimitedError)
    sandbox.clear_faults()
    options = replace(OPTIONS, assume_sent=True, not_before=began)
    second = await send.with_(options=options).attempt()
    assert second.done
    assert (second.report.accepted, second.report.reconciled, second.report.requests) == (1_500, 500, 10)
    assert accepted(sandbox) == Counter(references(1_500))


@pytest.mark.parametrize("known_since", [True, False])
async def test_without_a_ledger_a_retry_counts_what_was_accepted_long_before_it(
    sandbox: Sandbox, known_since: bool
) -> None:
    began = datetime.now(UTC)
    send = Send(url=sandbox.url, rows=rows(200), store=NoStore())
    await send.attempt()
    options = replace(OPTIONS, assume_sent=True, not_before=began if known_since else None)
    later = {"clock": lambda: datetime.now(UTC) + timedelta(hours=2)}
    second = await send.with_(options=options, more=later).attempt()
    assert (second.report.accepted, second.report.reconciled) == (200, 200)
    assert accepted(sandbox) == Counter(references(200))


async def test_groups_of_rejects_only_are_reported_and_lose_nothing_around_them(sandbox: Sandbox) -> None:
    given: list[Any] = [*rows(150), *["no row"] * 3_000, *[row(number) for number in range(3_150, 3_300)]]
    send = Send(url=sandbox.url, rows=given)
    for resumed in (0, 300):
        attempt = await send.attempt()
        assert attempt.done
        assert (attempt.report.accepted, attempt.report.rejected, attempt.report.resumed) == (300, 3_000, resumed)
        assert [line["_rejected"]["row"] for line in attempt.rejects] == list(range(150, 3_150))
        assert len(attempt.manifest) == 300
    assert accepted(sandbox) == Counter(references([*range(150), *range(3_150, 3_300)]))
