"""Looking doubtful messages up, over an imagined clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_messaging.core.errors import AmbiguousDeliveryError, AuthenticationError, VendorError
from airflow_provider_messaging.core.messages import Sighting
from airflow_provider_messaging.delivery.options import Stopped
from airflow_provider_messaging.delivery.reconcile import LONGEST_PAUSE, Reconciler, Reconciliation
from tests.delivery.fakes import NOW, messages, rows_of

SEEN, NOT_SEEN, NOT_FOUND = Sighting.SEEN, Sighting.NOT_SEEN, Sighting.NOT_FOUND
WINDOW = 60.0

Answer = Sighting | BaseException
Script = Callable[[str, float], Answer]
"""What a look-up of a reference answers at a time."""


@dataclass
class Tracking:
    """A vendor's tracking that follows a script, on a clock that moves while somebody sleeps."""

    script: Script
    now: float = 0.0
    asked: list[tuple[float, str]] = field(default_factory=list)
    since: set[datetime] = field(default_factory=set)
    open: int = 0
    most_open: int = 0

    async def look_up(self, reference: str, since: datetime) -> Sighting:
        self.asked.append((self.now, reference))
        self.since.add(since)
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        await asyncio.sleep(0)
        self.open -= 1
        answer = self.script(reference, self.now)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    def reconciler(
        self, *, proven: bool = False, witness: str = "", concurrency: int = 4, window: float = WINDOW
    ) -> Reconciler:
        return Reconciler(
            look_up=self.look_up,
            since=NOW,
            window=window,
            concurrency=concurrency,
            proven=proven,
            witness=lambda: witness,
            sleep=self.sleep,
            clock=lambda: self.now,
        )


def always(answer: Answer) -> Script:
    return lambda reference, now: answer


def run(tracking: Tracking, count: int = 3, sent_by: float | None = None, **how: object) -> Reconciliation:
    return asyncio.run(tracking.reconciler(**how).run(messages(count), sent_by=sent_by))  # type: ignore[arg-type]


def found(result: Reconciliation) -> tuple[list[int], list[int], list[int]]:
    """Rows accepted, not taken and unknown."""
    return rows_of(result.accepted), rows_of(result.not_taken), rows_of(result.unknown)


# Patience ---------------------------------------------------------------------------------------------------


def test_what_is_seen_at_once_is_asked_for_once() -> None:
    tracking = Tracking(always(SEEN))
    assert found(run(tracking)) == ([0, 1, 2], [], [])
    assert sorted(tracking.asked) == [(0.0, "r0"), (0.0, "r1"), (0.0, "r2")]


@pytest.mark.parametrize("lag", [0.1, 7.0, 59.0, 60.0])
def test_tracking_that_lags_within_the_window_is_waited_for(lag: float) -> None:
    tracking = Tracking(lambda reference, now: SEEN if reference == "r1" and now >= lag else NOT_SEEN)
    assert found(run(tracking)) == ([1], [0, 2], [])


def test_tracking_that_lags_beyond_the_window_is_not_waited_for() -> None:
    tracking = Tracking(lambda reference, now: SEEN if now > WINDOW + 1 else NOT_SEEN)
    assert found(run(tracking)) == ([], [0, 1, 2], [])
    assert tracking.now == WINDOW


def test_nothing_counts_as_not_taken_before_the_window_is_over() -> None:
    tracking = Tracking(always(NOT_SEEN))
    run(tracking)
    for reference in ("r0", "r1", "r2"):
        assert max(at for at, asked in tracking.asked if asked == reference) >= WINDOW


def test_the_number_of_rounds_is_bounded_and_the_pauses_grow() -> None:
    tracking = Tracking(always(NOT_SEEN))
    run(tracking, 1)
    times = [at for at, _ in tracking.asked]
    assert times == [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 30.5, 45.5, 60.0]
    assert max(later - earlier for earlier, later in pairwise(times)) <= LONGEST_PAUSE


def test_what_was_seen_is_not_asked_for_again() -> None:
    tracking = Tracking(lambda reference, now: SEEN if reference == "r0" else NOT_SEEN)
    run(tracking)
    assert [reference for _, reference in tracking.asked].count("r0") == 1


def test_without_a_window_one_round_decides() -> None:
    tracking = Tracking(lambda reference, now: SEEN if reference == "r0" else NOT_SEEN)
    assert found(run(tracking, window=0.0)) == ([0], [1, 2], [])
    assert len(tracking.asked) == 3


@pytest.mark.parametrize(("sent_by", "ends"), [(-10.0, 50.0), (-59.5, 0.5), (-60.0, 0.0), (-1000.0, 0.0)])
def test_the_window_begins_when_the_last_message_can_have_been_sent(sent_by: float, ends: float) -> None:
    tracking = Tracking(always(NOT_SEEN))
    assert found(run(tracking, sent_by=sent_by)) == ([], [0, 1, 2], [])
    assert tracking.now == ends


@pytest.mark.parametrize("concurrency", [1, 4])
def test_no_more_look_ups_are_open_than_allowed(concurrency: int) -> None:
    tracking = Tracking(always(SEEN))
    run(tracking, 50, concurrency=concurrency)
    assert tracking.most_open == concurrency


def test_every_look_up_is_told_since_when_events_count() -> None:
    tracking = Tracking(always(NOT_FOUND))
    run(tracking, witness="w")
    assert tracking.since == {NOW}


def test_no_messages_take_no_look_up() -> None:
    tracking = Tracking(always(SEEN))
    assert found(run(tracking, 0)) == ([], [], [])
    assert not tracking.asked


# Whether a 404 means anything -------------------------------------------------------------------------------


def test_a_404_is_not_trusted_when_nothing_proves_the_look_up() -> None:
    result = run(Tracking(always(NOT_FOUND)))
    assert found(result) == ([], [], [0, 1, 2])
    assert "404" in result.reason
    assert "the path is wrong" in result.reason


def test_a_404_is_trusted_when_earlier_look_ups_proved_it() -> None:
    assert found(run(Tracking(always(NOT_FOUND)), proven=True)) == ([], [0, 1, 2], [])


@pytest.mark.parametrize("proof", [SEEN, NOT_SEEN])
def test_any_other_answer_proves_the_look_up_for_all(proof: Sighting) -> None:
    tracking = Tracking(lambda reference, now: proof if reference == "r0" else NOT_FOUND)
    accepted, not_taken, unknown = found(run(tracking))
    assert {*accepted, *not_taken} == {0, 1, 2}
    assert (0 in accepted) is (proof is SEEN)
    assert not unknown


def test_a_proof_holds_after_the_message_that_brought_it() -> None:
    tracking = Tracking(lambda reference, now: SEEN if reference == "r0" and now < 1 else NOT_FOUND)
    assert found(run(tracking)) == ([0], [1, 2], [])


def test_a_witness_that_is_seen_proves_the_look_up() -> None:
    reconciler = Tracking(lambda reference, now: SEEN if reference == "w" else NOT_FOUND).reconciler(witness="w")
    assert found(asyncio.run(reconciler.run(messages(3)))) == ([], [0, 1, 2], [])
    assert reconciler.proven


@pytest.mark.parametrize("answer", [NOT_FOUND, VendorError("HTTP 500", status=500)])
def test_a_witness_that_is_not_seen_proves_nothing(answer: Answer) -> None:
    reconciler = Tracking(lambda reference, now: answer if reference == "w" else NOT_FOUND).reconciler(witness="w")
    assert found(asyncio.run(reconciler.run(messages(3)))) == ([], [], [0, 1, 2])
    assert not reconciler.proven


def test_the_witness_is_asked_only_when_it_is_needed() -> None:
    tracking = Tracking(always(NOT_SEEN))
    run(tracking, witness="w")
    assert "w" not in {reference for _, reference in tracking.asked}


# Look-ups that fail -----------------------------------------------------------------------------------------


def test_what_can_not_be_looked_up_is_unknown_with_the_reason() -> None:
    result = run(Tracking(always(VendorError("HTTP 500", status=500))))
    assert found(result) == ([], [], [0, 1, 2])
    assert result.reason == "HTTP 500"


def test_one_failing_look_up_does_not_concern_the_others() -> None:
    answers: dict[str, Answer] = {"r0": SEEN, "r1": NOT_SEEN, "r2": VendorError("HTTP 500", status=500)}
    assert found(run(Tracking(lambda reference, now: answers[reference]))) == ([0], [1], [2])


def test_a_look_up_that_fails_for_a_while_is_repeated() -> None:
    tracking = Tracking(lambda reference, now: SEEN if now > 10 else VendorError("HTTP 500", status=500))
    assert found(run(tracking)) == ([0, 1, 2], [], [])


def test_an_answer_before_the_end_of_the_window_does_not_stand_in_for_the_last_one() -> None:
    tracking = Tracking(lambda reference, now: NOT_SEEN if now < WINDOW else VendorError("HTTP 500", status=500))
    assert found(run(tracking)) == ([], [], [0, 1, 2])


def test_events_that_can_not_be_dated_are_unknown() -> None:
    result = run(Tracking(always(AmbiguousDeliveryError("tracking knows the message, but not when"))))
    assert found(result) == ([], [], [0, 1, 2])


def test_refused_credentials_end_the_look_ups() -> None:
    refused = AuthenticationError("refused")
    tracking = Tracking(lambda reference, now: refused if reference == "r1" else VendorError("HTTP 500", status=500))
    with pytest.raises(AuthenticationError) as caught:
        run(tracking)
    assert caught.value is refused
    assert tracking.now == 0


def test_a_stop_between_look_ups_comes_out_as_such() -> None:
    tracking = Tracking(lambda reference, now: Stopped("the task was asked to end") if reference == "r7" else SEEN)
    with pytest.raises(Stopped):
        run(tracking, 50, concurrency=2)
    assert len(tracking.asked) <= 10


# All of it --------------------------------------------------------------------------------------------------


@given(
    st.lists(
        st.tuples(st.one_of(st.none(), st.floats(0, 120)), st.sampled_from([NOT_SEEN, NOT_FOUND])),
        min_size=1,
        max_size=12,
    ),
    st.booleans(),
)
def test_each_message_ends_in_one_list_and_an_accepted_one_visible_in_time_never_as_not_taken(
    truth: list[tuple[float | None, Sighting]], failing: bool
) -> None:
    """Per message: when tracking shows that it was accepted, None if it was not, and the answer until then."""

    def script(reference: str, now: float) -> Answer:
        visible_at, until_then = truth[int(reference[1:])]
        if failing and int(now * 10) % 3 == 0 and now < WINDOW:
            return VendorError("HTTP 500", status=500)
        return SEEN if visible_at is not None and now >= visible_at else until_then

    accepted, not_taken, unknown = found(run(Tracking(script), len(truth)))
    assert sorted([*accepted, *not_taken, *unknown]) == list(range(len(truth)))
    assert all(truth[row][0] is not None for row in accepted)
    for row, (visible_at, _) in enumerate(truth):
        assert (row in accepted) is (visible_at is not None and visible_at <= WINDOW)
