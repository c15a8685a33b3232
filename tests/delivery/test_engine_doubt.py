"""Vendors that can't be asked, those that may be asked twice, and what they say beside yes and no."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from datetime import datetime

from airflow_provider_messaging.core.errors import ConfigurationError, VendorError
from airflow_provider_messaging.core.http import Response
from airflow_provider_messaging.core.messages import Accepted, Doubt, Message, Reject, Verdict
from airflow_provider_messaging.sandbox.process import Sandbox
from airflow_provider_messaging.vendors.marigold.sending import BulkChannel
from tests.delivery.sending import (
    OPTIONS,
    MemoryStore,
    Send,
    accepted,
    channel,
    fault,
    operations,
    references,
    row,
    rows,
    sends,
)


class Report(BulkChannel):
    doubt = Doubt.REPORT


class Repeat(BulkChannel):
    doubt = Doubt.REPEAT
    merges_duplicates = True

    def prepare(
        self, rows: Sequence[tuple[int, object]], *, reference_of: Callable[[int], str], now: datetime
    ) -> Iterable[Message | Reject]:
        # One by one: an e-mail send refuses duplicates among the rows that it is given together.
        for each in rows:
            yield from BulkChannel.prepare(self, [each], reference_of=reference_of, now=now)


class Receipt(Report):
    receipt_name = "send_id"

    def accepted(self, response: Response, messages: Sequence[Message]) -> Verdict:
        return Accepted(
            outcome="queued", receipt=f"send-{messages[0].row}", details={"send_id": f"send-{messages[0].row}"}
        )


def made(kind: type[BulkChannel], sandbox: Sandbox, most_messages: int | None = None) -> BulkChannel:
    base = channel(sandbox.url, most_messages=most_messages)
    return kind(**{field.name: getattr(base, field.name) for field in fields(base)})


async def test_what_nobody_can_say_is_reported_and_never_sent_again(sandbox: Sandbox) -> None:
    sandbox.faults([fault("drop", when="after", skip=2, times=1)])
    send = Send(url=sandbox.url, rows=rows(600), channel=made(Report, sandbox))
    first = await send.attempt()
    assert (first.report.accepted, first.report.ambiguous) == (500, 100)
    again = await send.attempt()
    assert (again.report.accepted, again.report.ambiguous, again.report.resumed) == (500, 100, 500)
    assert accepted(sandbox) == Counter(references(600))
    assert "track" not in operations(sandbox)
    assert again.outcomes() == {"accepted": 500, "ambiguous": 100}


async def test_after_a_try_without_a_ledger_nothing_is_sent_that_can_not_be_asked_about(sandbox: Sandbox) -> None:
    options = replace(OPTIONS, assume_sent=True)
    attempt = await Send(url=sandbox.url, rows=rows(50), channel=made(Report, sandbox), options=options).attempt()
    assert attempt.report.ambiguous == 50
    assert not accepted(sandbox)


async def test_what_may_be_repeated_is_sent_again_without_asking(sandbox: Sandbox) -> None:
    sandbox.faults([fault("drop", when="after", skip=2, times=1)])
    attempt = await Send(url=sandbox.url, rows=rows(600), channel=made(Repeat, sandbox)).attempt()
    assert attempt.done
    assert attempt.report.accepted == 600
    assert "track" not in operations(sandbox)
    assert sandbox.counts("marigold") == {"total": 700, "distinct": 600, "duplicates": 100}


async def test_a_try_without_a_ledger_is_repeated_as_a_whole_where_that_does_no_harm(sandbox: Sandbox) -> None:
    options = replace(OPTIONS, assume_sent=True)
    attempt = await Send(url=sandbox.url, rows=rows(50), channel=made(Repeat, sandbox), options=options).attempt()
    assert attempt.done
    assert accepted(sandbox) == Counter(references(50))


async def test_a_row_that_repeats_another_is_counted_where_rows_are_merged(sandbox: Sandbox) -> None:
    same = [row(1, reference="one"), row(2, reference="two"), row(3, reference="one")]
    attempt = await Send(url=sandbox.url, rows=same, channel=made(Repeat, sandbox)).attempt()
    assert (attempt.report.messages, attempt.report.duplicates, attempt.report.rejected) == (2, 1, 0)
    assert accepted(sandbox) == {"one": 1, "two": 1}


async def test_an_input_that_ends_with_repeated_rows_counts_them_too(sandbox: Sandbox) -> None:
    same = [row(1, reference="one"), *(row(number, reference="one") for number in range(2, 302))]
    attempt = await Send(url=sandbox.url, rows=same, channel=made(Repeat, sandbox)).attempt()
    assert (attempt.report.messages, attempt.report.duplicates) == (1, 300)


async def test_what_the_vendor_calls_a_request_is_kept_for_the_next_try(sandbox: Sandbox) -> None:
    sandbox.faults([fault("status", status=401, skip=3)])
    send = Send(
        url=sandbox.url,
        rows=rows(600),
        channel=made(Receipt, sandbox),
        options=replace(OPTIONS, max_concurrency=1),
    )
    first = await send.attempt()
    assert first.error is not None
    assert first.report.receipts == ["send-0", "send-100", "send-200"]
    sandbox.clear_faults()
    second = await send.attempt()
    assert second.done
    assert second.report.receipts == [f"send-{number}" for number in range(0, 600, 100)]
    assert second.report.outcomes == {"queued": 600}
    told = {line["row"]: line["send_id"] for line in second.manifest}
    assert told == {number: f"send-{number // 100 * 100}" for number in range(600)}
    assert len([each for each in sends(sandbox) if each["status"] == 202]) == 6


async def test_a_receipt_is_saved_before_the_next_request_is_answered(sandbox: Sandbox) -> None:
    store = MemoryStore()
    options = replace(OPTIONS, max_concurrency=1)
    await Send(url=sandbox.url, rows=rows(400), channel=made(Receipt, sandbox), store=store, options=options).attempt()
    assert {len(state["receipts"]) for state in map(json.loads, store.saved)} == {0, 1, 2, 3, 4}


async def test_what_the_vendor_says_of_a_message_stands_in_its_manifest_line(sandbox: Sandbox) -> None:
    attempt = await Send(url=sandbox.url, rows=rows(150), channel=made(Receipt, sandbox)).attempt()
    told = sorted((line["row"], line["send_id"]) for line in attempt.manifest)
    assert told == [(number, "send-0" if number < 100 else "send-100") for number in range(150)]


class Greeting(Report):
    text = b"hello"

    @property
    def common(self) -> bytes:
        return self.text


async def test_a_retry_with_other_things_in_common_to_all_messages_sends_nothing(sandbox: Sandbox) -> None:
    sandbox.faults([fault("status", status=401, skip=2)])
    send = Send(url=sandbox.url, rows=rows(600), channel=made(Greeting, sandbox))
    assert (await send.attempt()).error is not None
    sandbox.clear_faults()
    before = len(sends(sandbox))

    class Farewell(Greeting):
        text = b"goodbye"

    second = await send.with_(channel=made(Farewell, sandbox)).attempt()
    assert isinstance(second.error, ConfigurationError)
    assert len(sends(sandbox)) == before
    assert (await send.attempt()).done


async def test_a_vendor_that_refuses_one_message_after_the_other_is_given_up(sandbox: Sandbox) -> None:
    sandbox.faults([fault("status", status=422, body="{}")])
    send = Send(url=sandbox.url, rows=rows(200), channel=made(Report, sandbox, most_messages=1))
    attempt = await send.attempt()
    assert isinstance(attempt.error, VendorError)
    assert "given up" in str(attempt.error)
    assert 25 <= attempt.report.rejected < 40


async def test_a_vendor_that_took_one_message_may_refuse_all_others(sandbox: Sandbox) -> None:
    sandbox.faults([fault("status", status=422, body="{}", skip=1)])
    options = replace(OPTIONS, max_concurrency=1)
    send = Send(url=sandbox.url, rows=rows(60), channel=made(Report, sandbox, most_messages=1), options=options)
    attempt = await send.attempt()
    assert attempt.error is None
    assert (attempt.report.accepted, attempt.report.rejected) == (1, 59)
