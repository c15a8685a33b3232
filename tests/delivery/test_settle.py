"""Settling one batch against a scripted vendor."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_messaging.core.errors import (
    AmbiguousDeliveryError,
    AuthenticationError,
    ConfigurationError,
    FieldError,
    RateLimitedError,
    VendorError,
)
from airflow_provider_messaging.core.messages import (
    Accepted,
    Ambiguous,
    Message,
    NotTaken,
    RequestRejected,
    RowsRejected,
    Verdict,
)
from airflow_provider_messaging.delivery.options import Stopped
from airflow_provider_messaging.delivery.reconcile import Reconciliation
from airflow_provider_messaging.delivery.settle import MOST_REPEATS, Outcome, settle
from tests.delivery.fakes import messages, rows_of

BAD = FieldError(field="headers.to", code="INVALID", message="is bad")
LOST = Ambiguous("the connection was lost")

Judge = Callable[[Sequence[Message]], Verdict]
batches_with_faults = st.integers(1, 120).flatmap(
    lambda size: st.tuples(st.just(size), st.sets(st.integers(0, size - 1), max_size=12))
)


@dataclass
class Vendor:
    """Answers each request by `judge`, and look-ups by the truth, or by `find`."""

    judge: Judge
    find: Callable[[Sequence[Message]], Reconciliation] | None = None
    accepted: Counter[int] = field(default_factory=Counter)
    sent: list[list[int]] = field(default_factory=list)
    looked_up: list[list[int]] = field(default_factory=list)

    async def send(self, messages: Sequence[Message]) -> Verdict:
        self.sent.append(rows_of(messages))
        verdict = self.judge(messages)
        if isinstance(verdict, Accepted):
            self.accept(messages)
        return verdict

    async def reconcile(self, messages: Sequence[Message]) -> Reconciliation:
        self.looked_up.append(rows_of(messages))
        if self.find is not None:
            return self.find(messages)
        return Reconciliation(
            accepted=[message for message in messages if self.accepted[message.row]],
            not_taken=[message for message in messages if not self.accepted[message.row]],
        )

    def accept(self, messages: Sequence[Message]) -> None:
        self.accepted.update(rows_of(messages))


def run(vendor: Vendor, size: int = 8, *, look_up: bool = True) -> Outcome:
    """Settle a batch; the outcome is there after an error as well, as `outcome.error`."""
    outcome = Outcome()
    asyncio.run(settle(messages(size), outcome, vendor, look_up=look_up))
    return outcome


def broken_off(vendor: Vendor, error: type[BaseException], size: int = 8) -> tuple[Outcome, BaseException]:
    """Settle a batch that ends with an error."""
    outcome = Outcome()
    with pytest.raises(error) as caught:
        asyncio.run(settle(messages(size), outcome, vendor, look_up=True))
    return outcome, caught.value


def unsure(outcome: Outcome) -> list[int]:
    """The rows that will be looked up before they are sent again."""
    return sorted(rows_of([*outcome.ambiguous, *outcome.in_flight]))


def surely_not_taken(outcome: Outcome, size: int = 8) -> list[int]:
    settled = [*outcome.accepted, *outcome.reconciled, *outcome.ambiguous, *outcome.in_flight]
    return sorted(set(range(size)) - set(rows_of(settled)))


def indexed(bad: set[int], most: int = 1_000) -> Judge:
    """Refuses requests with bad rows and names up to `most` of them."""

    def judge(messages: Sequence[Message]) -> Verdict:
        found = [at for at, message in enumerate(messages) if message.row in bad][:most]
        return RowsRejected(dict.fromkeys(found, (BAD,))) if found else Accepted()

    return judge


def unindexed(bad: set[int]) -> Judge:
    """Refuses requests with bad rows and names none."""
    return lambda messages: RequestRejected(BAD) if bad & set(rows_of(messages)) else Accepted()


def in_turn(*verdicts: Verdict | BaseException) -> Judge:
    """Answers with one after the other, the last for ever."""
    left = list(verdicts)

    def judge(messages: Sequence[Message]) -> Verdict:
        verdict = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(verdict, BaseException):
            raise verdict
        return verdict

    return judge


# Refusals ---------------------------------------------------------------------------------------------------


def test_a_batch_without_faults_takes_one_request() -> None:
    vendor = Vendor(lambda _: Accepted())
    assert rows_of(run(vendor).accepted) == list(range(8))
    assert vendor.sent == [list(range(8))]


def test_refused_rows_that_are_named_are_removed_and_the_others_sent_again() -> None:
    vendor = Vendor(indexed({2, 5}))
    outcome = run(vendor)
    assert vendor.sent == [list(range(8)), [0, 1, 3, 4, 6, 7]]
    assert rows_of(outcome.accepted) == [0, 1, 3, 4, 6, 7]
    assert [(message.row, errors) for message, errors in outcome.rejected] == [(2, (BAD,)), (5, (BAD,))]


@given(batches_with_faults, st.integers(1, 5))
def test_named_refusals_take_a_request_for_each_time_that_rows_are_named_and_one_more(
    batch: tuple[int, set[int]], most: int
) -> None:
    size, bad = batch
    vendor = Vendor(indexed(bad, most))
    outcome = run(vendor, size)
    assert len(vendor.sent) <= 1 + math.ceil(len(bad) / most)
    assert vendor.accepted == Counter(set(range(size)) - bad)
    assert {message.row for message, _ in outcome.rejected} == bad


@given(batches_with_faults)
def test_refusals_without_names_bisect_within_a_bounded_number_of_requests(batch: tuple[int, set[int]]) -> None:
    size, bad = batch
    vendor = Vendor(unindexed(bad))
    outcome = run(vendor, size)
    assert len(vendor.sent) <= 1 + 2 * len(bad) * math.ceil(math.log2(size))
    assert len(vendor.sent) <= 2 * size - 1
    assert vendor.accepted == Counter(set(range(size)) - bad)
    assert {message.row for message, _ in outcome.rejected} == bad
    assert not unsure(outcome)


def test_a_hundred_messages_with_one_at_fault_take_fifteen_requests_at_most() -> None:
    assert max(len(_sent_for(unindexed({row}), 100)) for row in range(100)) == 15


def _sent_for(judge: Judge, size: int) -> list[list[int]]:
    vendor = Vendor(judge)
    run(vendor, size)
    return vendor.sent


@pytest.mark.parametrize(("size", "bad", "wholly"), [(8, 8, True), (8, 7, False), (1, 1, False), (2, 2, True)])
def test_a_batch_is_wholly_refused_when_every_message_is_and_none_was_named(size: int, bad: int, wholly: bool) -> None:
    assert run(Vendor(unindexed(set(range(bad)))), size).wholly_refused is wholly


def test_a_batch_of_which_every_row_is_named_is_not_wholly_refused() -> None:
    vendor = Vendor(indexed(set(range(8))))
    outcome = run(vendor)
    assert len(outcome.rejected) == 8
    assert not outcome.wholly_refused
    assert len(vendor.sent) == 1


# Doubts -----------------------------------------------------------------------------------------------------


def test_after_a_lost_reply_nothing_is_sent_before_the_look_up() -> None:
    def judge(messages: Sequence[Message]) -> Verdict:
        assert len(vendor.sent) == len(vendor.looked_up) + 1
        return LOST if len(vendor.sent) == 1 else Accepted()

    vendor = Vendor(judge)
    outcome = run(vendor)
    assert vendor.looked_up == [list(range(8))]
    assert rows_of(outcome.accepted) == list(range(8))
    assert outcome.repeated == 8


def test_what_the_look_up_finds_accepted_is_not_sent_again() -> None:
    def judge(messages: Sequence[Message]) -> Verdict:
        if len(vendor.sent) > 1:
            return Accepted()
        vendor.accept(messages)
        return LOST

    vendor = Vendor(judge)
    outcome = run(vendor)
    assert len(vendor.sent) == 1
    assert rows_of(outcome.reconciled) == list(range(8))
    assert not outcome.accepted


def test_only_what_the_look_up_disproves_is_sent_again() -> None:
    vendor = Vendor(
        in_turn(LOST, Accepted()),
        find=lambda found: Reconciliation(
            accepted=list(found[:3]), not_taken=list(found[3:5]), unknown=list(found[5:]), reason="tracking is down"
        ),
    )
    outcome = run(vendor)
    assert vendor.sent == [list(range(8)), [3, 4]]
    assert rows_of(outcome.reconciled) == [0, 1, 2]
    assert rows_of(outcome.accepted) == [3, 4]
    assert rows_of(outcome.ambiguous) == [5, 6, 7]
    assert outcome.reason == "tracking is down"


def test_repeats_after_look_ups_are_bounded() -> None:
    vendor = Vendor(lambda _: LOST)
    outcome, error = broken_off(vendor, VendorError)
    assert len(vendor.sent) == len(vendor.looked_up) == MOST_REPEATS + 1
    assert isinstance(error, VendorError)
    assert error.retryable
    assert str(LOST.reason) in str(error)
    assert unsure(outcome) == []
    assert surely_not_taken(outcome) == list(range(8))


def test_without_look_ups_a_lost_reply_leaves_its_messages_ambiguous() -> None:
    vendor = Vendor(in_turn(LOST, Accepted()))
    outcome = run(vendor, look_up=False)
    assert (len(vendor.sent), vendor.looked_up) == (1, [])
    assert rows_of(outcome.ambiguous) == list(range(8))
    assert outcome.reason == LOST.reason


@given(st.data(), batches_with_faults)
def test_whatever_the_vendor_answers_each_message_is_accepted_once_or_accounted_for(
    data: st.DataObject, batch: tuple[int, set[int]]
) -> None:
    size, bad = batch
    replies = st.sampled_from(["clear"] * 6 + ["lost before", "lost after"])

    def judge(messages: Sequence[Message]) -> Verdict:
        reply = data.draw(replies, label="reply")
        if reply == "lost before":
            return LOST
        at_fault = [at for at, message in enumerate(messages) if message.row in bad]
        named = data.draw(st.booleans(), label="named")
        if at_fault and named:
            return RowsRejected({at_fault[0]: (BAD,)})
        if at_fault:
            return RequestRejected(BAD)
        if reply == "lost after":
            vendor.accept(messages)
            return LOST
        return Accepted()

    vendor, outcome = Vendor(judge), Outcome()
    try:
        asyncio.run(settle(messages(size), outcome, vendor, look_up=True))
    except VendorError:
        assert len(vendor.looked_up) > MOST_REPEATS
    else:
        assert vendor.accepted == Counter(set(range(size)) - bad)
        assert {message.row for message, _ in outcome.rejected} == bad
    assert max(vendor.accepted.values(), default=0) <= 1
    assert sorted(rows_of([*outcome.accepted, *outcome.reconciled])) == sorted(vendor.accepted)
    assert not unsure(outcome)


# Ends -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        RateLimitedError("still throttled"),
        AuthenticationError("refused"),
        VendorError("HTTP 404", status=404),
    ],
)
def test_a_vendor_that_takes_nothing_ends_it_with_nothing_in_doubt(error: Exception) -> None:
    vendor = Vendor(in_turn(RequestRejected(BAD), Accepted(), NotTaken(error)))  # type: ignore[arg-type]
    outcome, raised = broken_off(vendor, type(error))
    assert raised is error
    assert unsure(outcome) == []
    assert rows_of(outcome.accepted) == [0, 1, 2, 3]
    assert surely_not_taken(outcome) == [4, 5, 6, 7]


@pytest.mark.parametrize(
    "error",
    [
        Stopped("the task was asked to end"),
        AuthenticationError("the vendor gives no token"),
        VendorError("the token's host refused the connection", retryable=True),
        ConfigurationError("the path must start with '/'"),
    ],
)
def test_a_request_that_could_not_be_sent_leaves_nothing_in_doubt(error: Exception) -> None:
    outcome, raised = broken_off(Vendor(in_turn(RequestRejected(BAD), Accepted(), error)), type(error))
    assert raised is error
    assert unsure(outcome) == []
    assert surely_not_taken(outcome) == [4, 5, 6, 7]


@pytest.mark.parametrize("error", [asyncio.CancelledError(), AmbiguousDeliveryError("may be taken"), KeyError("bug")])
def test_a_request_that_ends_without_a_verdict_is_in_doubt(error: BaseException) -> None:
    outcome, _ = broken_off(Vendor(in_turn(RequestRejected(BAD), Accepted(), error)), type(error))
    assert unsure(outcome) == [4, 5, 6, 7]
    assert rows_of(outcome.accepted) == [0, 1, 2, 3]


@pytest.mark.parametrize("error", [AuthenticationError("refused"), Stopped("the task was asked to end"), KeyError()])
def test_what_could_not_be_looked_up_stays_in_doubt(error: Exception) -> None:
    def find(_: Sequence[Message]) -> Reconciliation:
        raise error

    outcome, raised = broken_off(Vendor(in_turn(RequestRejected(BAD), LOST), find), type(error))
    assert raised is error
    assert unsure(outcome) == [0, 1, 2, 3]
    assert surely_not_taken(outcome) == [4, 5, 6, 7]


@pytest.mark.parametrize("size", [0, 1])
def test_an_empty_batch_takes_no_request(size: int) -> None:
    vendor = Vendor(lambda _: Accepted())
    run(vendor, size)
    assert len(vendor.sent) == size
