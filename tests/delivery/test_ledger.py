"""The ledger, between a driver that obeys it, crashes, and a vendor of which the truth is known."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.delivery.ledger import Ledger, overview, pack_ordinals, unpack_ordinals
from airflow_provider_messaging.delivery.plan import Batch
from tests.delivery.fakes import NOW, message, messages

HUNDRED = messages(100)
ordinal_sets = st.sets(st.integers(0, 2_000_000), max_size=200)


def batch(number: int, size: int = 100, first: int | None = None) -> Batch:
    return Batch(
        number=number,
        first_ordinal=number * size if first is None else first,
        messages=HUNDRED[:size] if size <= 100 else messages(size),
        raw={},
        digest=number.to_bytes(16),
    )


def batches(sizes: Iterable[int]) -> list[Batch]:
    made, first = [], 0
    for number, size in enumerate(sizes):
        made.append(batch(number, size, first))
        first += size
    return made


def reloaded(ledger: Ledger) -> Ledger:
    return Ledger.load(json.loads(json.dumps(ledger.dump(NOW))))


def taken_by(ledger: Ledger) -> set[int]:
    """The ordinals that the ledger, once loaded, takes for accepted."""
    return set(range(ledger.recorded.messages)) - ledger.not_taken - ledger.perhaps


@dataclass(eq=False)
class Job:
    """What one try does with a batch, in ordinals."""

    batch: Batch
    pending: set[int]
    """To be sent."""
    doubtful: set[int] = field(default_factory=set)
    """Perhaps taken: to be looked up, or left as they are."""
    rejected: set[int] = field(default_factory=set)

    def ordinals(self) -> range:
        return range(self.batch.first_ordinal, self.batch.first_ordinal + len(self.batch.messages))


@dataclass
class Try:
    """One run of the driver: it goes over the input from its start."""

    ledger: Ledger
    fed: int = 0
    planned: list[Job] = field(default_factory=list)
    """Not recorded yet."""
    recorded: list[Job] = field(default_factory=list)
    """In the ledger, which is not saved yet."""
    open: list[Job] = field(default_factory=list)
    """In the saved ledger: may be sent."""

    def __post_init__(self) -> None:
        self.known = self.ledger.recorded.batches

    def job(self, batch: Batch) -> Job:
        job = Job(batch, set())
        everything = set(job.ordinals())
        if batch.number >= self.known:
            job.pending = everything
        else:
            job.pending = everything & self.ledger.not_taken
            job.doubtful = everything & self.ledger.perhaps
        return job


class LedgerMachine(RuleBasedStateMachine):
    """Drives the ledger as the delivery engine does, with a crash possible after every step."""

    @initialize(
        sizes=st.lists(st.integers(1, 4), min_size=1, max_size=10),
        refused=st.sets(st.integers(0, 40), max_size=4),
    )
    def begin(self, sizes: list[int], refused: set[int]) -> None:
        self.batches = batches(sizes)
        self.refused = refused & set(range(sum(sizes)))
        """Ordinals that the vendor never accepts."""
        self.accepted: Counter[int] = Counter()
        self.saved: str | None = None
        self.run = Try(Ledger.new(NOW))

    # What the driver does ------------------------------------------------------------------------------------

    @precondition(lambda self: not self.run.planned and self.run.fed < len(self.batches))
    @rule(size=st.integers(1, 3))
    def plan(self, size: int) -> None:
        run = self.run
        run.planned = [run.job(each) for each in self.batches[run.fed : run.fed + size]]
        run.fed += len(run.planned)

    @precondition(lambda self: any(job.doubtful for job in self.run.planned))
    @rule(unknown=st.sets(st.integers(0, 40)))
    def look_up_what_an_earlier_try_left(self, unknown: set[int]) -> None:
        for job in self.run.planned:
            not_taken = {o for o in job.doubtful if not self.accepted[o]} - unknown
            self.run.ledger.disprove(not_taken)
            job.pending |= not_taken
            job.doubtful &= unknown

    @precondition(lambda self: self.run.planned)
    @rule()
    def record(self) -> None:
        run = self.run
        run.ledger.intend([job.batch for job in run.planned if job.batch.number >= run.known])
        run.ledger.intend_again(o for job in run.planned if job.batch.number < run.known for o in job.pending)
        run.recorded += run.planned
        run.planned = []

    @rule()
    def save(self) -> None:
        run = self.run
        self.saved = json.dumps(run.ledger.dump(NOW))
        run.open += run.recorded
        run.recorded = []

    @precondition(lambda self: any(job.pending for job in self.run.open))
    @rule(data=st.data(), reply=st.sampled_from(["clear", "lost before acceptance", "lost after acceptance"]))
    def send(self, data: st.DataObject, reply: str) -> None:
        job = data.draw(st.sampled_from([job for job in self.run.open if job.pending]), label="job")
        rejected = set() if reply == "lost before acceptance" else job.pending & self.refused
        if rejected:
            job.pending -= rejected
            job.rejected |= rejected
            return
        if reply != "lost before acceptance":
            self.accepted.update(job.pending)
        if reply != "clear":
            job.doubtful |= job.pending
        job.pending = set()

    @precondition(lambda self: any(job.doubtful for job in self.run.open))
    @rule(data=st.data(), unknown=st.sets(st.integers(0, 40)))
    def look_up_what_this_try_sent(self, data: st.DataObject, unknown: set[int]) -> None:
        job = data.draw(st.sampled_from([job for job in self.run.open if job.doubtful]), label="job")
        job.pending |= {o for o in job.doubtful if not self.accepted[o]} - unknown
        job.doubtful &= unknown

    @precondition(lambda self: self.run.open)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        self._settle(data.draw(st.sampled_from(self.run.open), label="job"))

    @rule()
    def stop(self) -> None:
        """End the try in good order and begin another."""
        for job in [*self.run.recorded, *self.run.open]:
            self._settle(job)
        self.save()
        self.crash()

    @rule()
    def crash(self) -> None:
        """Lose everything that was not saved."""
        self.run = Try(self._loaded())

    def _settle(self, job: Job) -> None:
        self.run.ledger.settle(job.batch, not_taken=job.pending | job.rejected, perhaps=job.doubtful)
        self.run.open = [each for each in self.run.open if each is not job]
        self.run.recorded = [each for each in self.run.recorded if each is not job]

    def _loaded(self) -> Ledger:
        return Ledger.new(NOW) if self.saved is None else Ledger.load(json.loads(self.saved))

    # What must always hold -----------------------------------------------------------------------------------

    @invariant()
    def nothing_is_accepted_twice(self) -> None:
        assert max(self.accepted.values(), default=0) <= 1

    @invariant()
    def what_would_be_sent_again_after_a_crash_is_not_accepted(self) -> None:
        assert not self._loaded().not_taken & set(+self.accepted)

    @invariant()
    def what_would_not_be_sent_again_after_a_crash_is_accepted(self) -> None:
        assert taken_by(self._loaded()) <= set(+self.accepted)

    @invariant()
    def the_count_of_accepted_messages_never_exceeds_the_truth(self) -> None:
        assert self.run.ledger.accepted <= self.accepted.total()
        assert self._loaded().accepted <= self.accepted.total()

    @invariant()
    def saving_and_loading_changes_nothing_but_open_intentions(self) -> None:
        again = reloaded(self.run.ledger)
        assert again.recorded == self.run.ledger.recorded
        assert set(again.marks) >= set(self.run.ledger.marks)
        assert again.not_taken == self.run.ledger.not_taken
        assert again.perhaps >= self.run.ledger.perhaps
        assert again.accepted == self.run.ledger.accepted

    def teardown(self) -> None:
        """Finish the send: from any state, one more try without faults brings every message to its end."""
        if not hasattr(self, "batches"):
            return
        self.crash()
        while self.run.fed < len(self.batches):
            self.plan(3)
            self.look_up_what_an_earlier_try_left(set())
            self.record()
            self.save()
            for job in list(self.run.open):
                job.rejected = job.pending & self.refused
                job.pending -= job.rejected
                self.accepted.update(job.pending)
                job.pending = set()
                self._settle(job)
        everything = set(range(sum(len(each.messages) for each in self.batches)))
        ledger = self.run.ledger
        assert self.accepted == Counter(everything - self.refused)
        assert ledger.not_taken == self.refused
        assert not ledger.perhaps
        assert ledger.accepted == len(everything - self.refused)


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


@given(ordinal_sets)
def test_packed_ordinals_unpack_to_the_same(ordinals: set[int]) -> None:
    text = pack_ordinals(ordinals)
    assert unpack_ordinals(text) == ordinals
    assert json.loads(json.dumps(text)) == text
    assert bool(text) == bool(ordinals)


@pytest.mark.parametrize("ordinals", [{0}, {127, 128, 129}, {2**40}, {0, 128, 16_384, 2_097_152}, set(range(100_000))])
def test_ordinals_around_the_borders_of_the_code_survive(ordinals: set[int]) -> None:
    assert unpack_ordinals(pack_ordinals(ordinals)) == ordinals


def test_a_range_of_ordinals_takes_next_to_no_room() -> None:
    assert len(pack_ordinals(range(1_000_000))) < 2_000


def some_ledger() -> Ledger:
    """A ledger that holds something of everything."""
    ledger = Ledger.new(NOW)
    first = [batch(number) for number in range(3)]
    second = [batch(number) for number in range(3, 6)]
    ledger.intend(first)
    ledger.intend(second)
    ledger.settle(first[0], not_taken=[3, 5], perhaps=[7])
    ledger.settle(first[1])
    ledger.settle(first[2], perhaps=range(250, 260))
    ledger.settle(second[1], not_taken=[401])
    ledger.tracking_proven = True
    return ledger


def test_a_dumped_ledger_loads_as_it_was_but_for_open_intentions() -> None:
    ledger = some_ledger()
    later = NOW + timedelta(hours=1)
    loaded = Ledger.load(json.loads(json.dumps(ledger.dump(later))))
    assert loaded.started == NOW
    assert loaded.updated == later
    assert loaded.tracking_proven
    assert not loaded.complete
    assert loaded.recorded == ledger.recorded
    assert loaded.marks[-1] == ledger.marks[-1]
    assert loaded.not_taken == {3, 5, 401}
    assert loaded.perhaps == {7, *range(250, 260), *range(300, 400), *range(500, 600)}
    assert loaded.accepted == ledger.accepted == 600 - 3 - 11 - 200


def test_a_loaded_ledger_dumps_and_loads_to_itself() -> None:
    once = reloaded(some_ledger())
    assert reloaded(once) == once


def test_loading_turns_an_intention_into_a_doubt() -> None:
    ledger = Ledger.new(NOW)
    ledger.intend([batch(0, 3), batch(1, 3)])
    loaded = reloaded(ledger)
    assert loaded.perhaps == set(range(6))
    assert loaded.accepted == 0


def test_a_message_that_is_about_to_be_sent_again_is_in_doubt() -> None:
    ledger = Ledger.new(NOW)
    ledger.intend([batch(0, 3)])
    ledger.settle(batch(0, 3), not_taken=[1])
    ledger.intend_again([1])
    assert (ledger.not_taken, ledger.perhaps) == (set(), {1})
    assert reloaded(ledger).perhaps == {1}


@pytest.mark.parametrize("ordinal", [0, 2, 99])
def test_only_what_was_surely_not_taken_may_be_sent_again(ordinal: int) -> None:
    ledger = Ledger.new(NOW)
    ledger.intend([batch(0, 3)])
    ledger.settle(batch(0, 3), not_taken=[1], perhaps=[2])
    with pytest.raises(ValueError, match="surely not taken"):
        ledger.intend_again([1, ordinal])
    assert ledger.not_taken == {1}


def test_a_look_up_disproves_doubts_only() -> None:
    ledger = Ledger.new(NOW)
    ledger.intend([batch(0, 3)])
    ledger.settle(batch(0, 3), perhaps=[2])
    ledger.disprove([0, 1, 2])
    assert (ledger.not_taken, ledger.perhaps) == ({2}, set())


@pytest.mark.parametrize("number", [0, 2])
def test_new_batches_must_follow_the_record(number: int) -> None:
    ledger = Ledger.new(NOW)
    ledger.intend([batch(0)])
    with pytest.raises(ValueError, match="does not follow"):
        ledger.intend([batch(number)])


def test_a_ledger_of_another_version_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="version 2"):
        Ledger.load({**Ledger.new(NOW).dump(NOW), "v": 2})


def test_times_come_back_in_utc() -> None:
    started = datetime(2025, 1, 1, tzinfo=UTC)
    assert Ledger.load(Ledger.new(started).dump(NOW)).started.tzinfo == UTC


def million(rejected: float, observe: Callable[[Ledger], None]) -> Ledger:
    """Record and settle 10,000 batches of 100 in groups of 64, a share of the messages rejected by the vendor."""
    rng = random.Random(1)
    ledger = Ledger.new(NOW)
    for first in range(0, 10_000, 64):
        group = [batch(number) for number in range(first, min(first + 64, 10_000))]
        ledger.intend(group)
        observe(ledger)
        for each in rng.sample(group, len(group)):
            ordinals = range(each.first_ordinal, each.first_ordinal + 100)
            ledger.settle(each, not_taken=[o for o in ordinals if rng.random() < rejected])
    observe(ledger)
    return ledger


@pytest.mark.parametrize(("share", "most_bytes"), [(0.0, 8_000), (0.01, 32_000), (0.05, 64_000)])
def test_a_million_messages_fit_into_64_kilobytes_at_any_moment(
    share: float, most_bytes: int, record_property: Callable[[str, Any], None]
) -> None:
    sizes: list[int] = []
    ledger = million(share, lambda each: sizes.append(len(json.dumps(each.dump(NOW)))))
    record_property("largest_dump", max(sizes))
    assert ledger.recorded.messages == 1_000_000
    assert max(sizes) < most_bytes


def test_marks_thin_out_and_still_span_the_input() -> None:
    counts: list[int] = []
    ledger = million(0.0, lambda each: counts.append(len(each.marks)))
    positions = [mark.batches for mark in ledger.marks]
    assert max(counts) <= 66
    assert positions == sorted(set(positions))
    assert positions[-1] == 10_000
    assert positions[0] <= 2_000
    assert max(later - earlier for earlier, later in pairwise(positions)) <= 2_000


def test_the_last_mark_is_how_far_the_record_reaches_whatever_is_open() -> None:
    ledger, numbers = Ledger.new(NOW), count()
    assert ledger.marks == [ledger.recorded]
    for _ in range(200):
        made = batch(next(numbers))
        ledger.intend([made])
        assert ledger.marks[-1] == ledger.recorded
        assert ledger.recorded.digest == made.digest
        ledger.settle(made)
        assert ledger.marks[-1] == ledger.recorded


def test_messages_of_a_batch_are_known_by_their_ordinals() -> None:
    made = Batch(number=1, first_ordinal=3, messages=[message(7, "a"), message(9, "b")], raw={}, digest=b"")
    assert made.ordinals() == {"a": 3, "b": 4}


def test_the_overview_tells_what_is_in_flight_from_what_is_in_doubt() -> None:
    ledger = Ledger.new(NOW)
    first, second, third = batches([10, 20, 5])
    ledger.intend([first, second])
    ledger.settle(first, not_taken=[1, 2], perhaps=[3])
    ledger.intend([third])
    seen = overview(ledger.dump(NOW))
    counts = {name: seen[name] for name in ("recorded", "accepted", "in_flight", "ambiguous", "not_taken")}
    assert counts == {"recorded": 35, "accepted": 7, "in_flight": 25, "ambiguous": 1, "not_taken": 2}
    assert (seen["batches"], seen["open_batches"], seen["complete"]) == (3, 2, False)


def test_the_overview_counts_every_recorded_message_once() -> None:
    ledger = million(0.01, lambda each: None)
    seen = overview(ledger.dump(NOW))
    parts = ("accepted", "in_flight", "ambiguous", "not_taken")
    assert sum(seen[name] for name in parts) == seen["recorded"] == 1_000_000
