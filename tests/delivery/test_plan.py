"""From rows to numbered batches, groups and references."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_provider_messaging.core.batching import BatchLimits, join
from airflow_provider_messaging.delivery.plan import MOST_REJECTS, Batch, Group, RejectedRow, groups
from airflow_provider_messaging.delivery.references import ReferenceSet, SendIdentity
from airflow_provider_messaging.delivery.source import BadLine, Line, chunks, read_lines
from tests.delivery.fakes import LIMITS, Planned

SMALL = BatchLimits(max_messages=5, max_bytes=60)
plain_rows = st.lists(st.one_of(st.none(), st.binary(min_size=1, max_size=58)), max_size=60)
names = st.text("abc:_1", max_size=4)
identities = st.builds(
    SendIdentity,
    dag_id=names,
    run_id=names,
    task_id=names,
    map_index=st.integers(-1, 20),
    generation=st.integers(0, 20),
)


def planned(rows: Sequence[Any], limits: BatchLimits = LIMITS) -> tuple[list[Batch], Planned]:
    source = Planned(rows, limits)
    return list(source.plan().batches()), source


def grouped(rows: Sequence[Any], *, limits: BatchLimits = LIMITS, max_bytes: int = 10**9, **sizes: int) -> list[Group]:
    return list(groups(Planned(rows, limits).plan, max_bytes=max_bytes, **sizes))


def sizes(batches: Sequence[Batch]) -> list[int]:
    return [len(batch.messages) for batch in batches]


# Batches ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, []), (1, [1]), (100, [100]), (101, [100, 1]), (200, [100, 100]), (201, [100, 100, 1])],
)
def test_rows_are_packed_by_the_hundred(count: int, expected: list[int]) -> None:
    assert sizes(planned([b"{}"] * count)[0]) == expected


@pytest.mark.parametrize(("last", "expected"), [(1_999_997, [2]), (1_999_998, [1, 1])])
def test_a_last_message_that_crosses_the_byte_limit_goes_into_a_request_of_its_own(
    last: int, expected: list[int]
) -> None:
    batches, source = planned([b"x" * 2_000_000, b"x" * last])
    assert sizes(batches) == expected
    assert all(len(join(batch.messages)) <= LIMITS.max_bytes for batch in batches)
    assert not source.rejects


@given(plain_rows)
def test_every_row_is_in_one_batch_or_a_reject(rows: list[bytes | None]) -> None:
    batches, source = planned(rows, SMALL)
    sent = [message.row for batch in batches for message in batch.messages]
    assert sent == [row for row, value in enumerate(rows) if value is not None]
    assert [rejected.reject.row for rejected in source.rejects] == [
        row for row, value in enumerate(rows) if value is None
    ]


@given(plain_rows)
def test_every_batch_is_within_both_limits(rows: list[bytes | None]) -> None:
    for batch in planned(rows, SMALL)[0]:
        assert 1 <= len(batch.messages) <= SMALL.max_messages
        assert len(join(batch.messages)) <= SMALL.max_bytes


@given(plain_rows)
def test_batches_and_ordinals_are_numbered_without_gaps(rows: list[bytes | None]) -> None:
    batches, _ = planned(rows, SMALL)
    assert [batch.number for batch in batches] == list(range(len(batches)))
    ordinals = [ordinal for batch in batches for ordinal in batch.ordinals().values()]
    assert ordinals == list(range(len(ordinals)))


@given(plain_rows)
def test_a_batch_keeps_its_rows_as_they_were_given_and_no_others(rows: list[bytes | None]) -> None:
    for batch in planned(rows, SMALL)[0]:
        assert batch.raw == {message.row: rows[message.row] for message in batch.messages}


def test_rows_are_read_only_as_far_as_batches_are_asked_for() -> None:
    read = 0

    def rows() -> Any:
        nonlocal read
        while True:
            read += 1
            yield b"{}"

    plan = Planned(rows()).plan()
    next(plan.batches())
    assert read <= 300


# Rejects ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("distance", [1, 50, 99, 100, 101, 250, 1_000])
def test_a_reference_that_an_earlier_row_has_is_a_reject_however_far_apart(distance: int) -> None:
    rows: list[Any] = [("twice", b"{}"), *[b"{}"] * (distance - 1), ("twice", b"{}")]
    batches, source = planned(rows)
    assert sum(sizes(batches)) == distance
    assert [(r.reject.row, r.reject.reference) for r in source.rejects] == [(distance, "twice")]
    assert [error.code for error in source.rejects[0].reject.errors] == ["REFERENCE_DUPLICATE_DETECTED"]
    assert source.rejects[0].raw == ("twice", b"{}")


@given(st.lists(st.sampled_from("abcdefgh"), max_size=400))
def test_of_rows_with_one_reference_exactly_the_first_is_sent(references: list[str]) -> None:
    batches, source = planned([(reference, b"{}") for reference in references])
    sent = [(message.row, message.reference) for batch in batches for message in batch.messages]
    assert sent == [(references.index(r), r) for r in dict.fromkeys(references)]
    assert len(sent) + len(source.rejects) == len(references)


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(lambda: Line(b"null" + b" " * 10_000), id="rejected"),
        pytest.param(lambda: Line(b"{" + b" " * 10_000), id="not JSON"),
        pytest.param(lambda: ("twice", bytes(10_000)), id="duplicate"),
    ],
)
def test_rows_that_are_not_sent_are_not_kept(row: Callable[[], Any]) -> None:
    rejects = 0

    def count(_: RejectedRow) -> None:
        nonlocal rejects
        rejects += 1

    plan = Planned(row() for _ in range(2_000)).plan(count)
    tracemalloc.start()
    sent = sum(len(batch.messages) for batch in plan.batches())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sent + rejects == 2_000
    assert rejects >= 1_999
    assert peak < 5_000_000


def test_the_reference_of_a_rejected_row_is_free_for_a_later_one() -> None:
    source = Planned([None, ("r0", b"{}")])
    (batch,) = source.plan().batches()
    assert [message.row for message in batch.messages] == [1]


def test_a_line_that_is_not_json_is_a_reject_with_its_text() -> None:
    lines = read_lines(iter([b'"ok"\n', b"\n", b'{"to": \n', b"\xff\xfe\n", b"  \r\n", b'"last"']))  # type: ignore[arg-type]
    source = Planned([value if isinstance(value, BadLine) else value.encode() for value in lines])
    (batch,) = source.plan().batches()
    assert [(message.row, message.data) for message in batch.messages] == [(0, b"ok"), (3, b"last")]
    assert [(r.reject.row, r.reject.errors[0].code) for r in source.rejects] == [
        (1, "INVALID_JSON"),
        (2, "INVALID_JSON"),
    ]
    assert [r.raw.text for r in source.rejects] == ['{"to":', "\ufffd\ufffd"]


# Groups -----------------------------------------------------------------------------------------------------


def test_groups_are_cut_by_the_number_of_batches() -> None:
    assert [len(group.batches) for group in grouped([b"{}"] * 1_050, size=4)] == [4, 4, 3]
    assert [len(group.batches) for group in grouped([b"{}"] * 1_050, size=4, first=1)] == [1, 4, 4, 2]


def test_groups_are_cut_by_bytes() -> None:
    made = grouped([b"x" * 1_000_000] * 20, size=100, max_bytes=8_000_000)
    assert [len(group.batches) for group in made] == [3, 3, 1]
    assert [sum(sizes(group.batches)) for group in made] == [9, 9, 2]


@given(plain_rows, st.integers(1, 4), st.integers(1, 200))
def test_groups_hold_every_batch_and_every_reject_once(rows: list[bytes | None], size: int, max_bytes: int) -> None:
    made = grouped(rows, size=size, max_bytes=max_bytes, limits=SMALL)
    batches, source = planned(rows, SMALL)
    assert [batch for group in made for batch in group.batches] == batches
    assert [rejected for group in made for rejected in group.rejects] == source.rejects
    for group in made:
        assert len(group.batches) <= size
        assert sum(batch.size for batch in group.batches[:-1]) < max_bytes


def test_rejects_behind_the_last_batch_are_not_lost() -> None:
    (group,) = grouped([b"{}", None, None], size=8)
    assert [rejected.reject.row for rejected in group.rejects] == [1, 2]


@pytest.mark.parametrize("count", [1, 250, 10_050])
def test_rejects_without_any_valid_row_are_not_lost(count: int) -> None:
    made = grouped([None] * count, size=8)
    assert [rejected.reject.row for group in made for rejected in group.rejects] == list(range(count))
    assert not any(group.batches for group in made)


def test_no_group_holds_more_than_some_hundred_rejects() -> None:
    mostly_bad = [b"{}" if number % 1_000 == 0 else None for number in range(20_000)]
    made = grouped(mostly_bad, size=8)
    assert max(len(group.rejects) for group in made) <= MOST_REJECTS + 100
    assert sum(len(group.rejects) for group in made) == 19_980


def test_an_empty_input_makes_no_group() -> None:
    assert grouped([], size=8) == []


# Chunks -----------------------------------------------------------------------------------------------------


def test_rows_are_judged_by_the_hundred_and_large_lines_some_at_once() -> None:
    assert [len(chunk) for chunk in chunks(range(250), 100, 1_000)] == [100, 100, 50]
    small, large = Line(b"x" * 99), Line(b"x" * 400)
    assert [len(chunk) for chunk in chunks([small] * 25, 100, 1_000)] == [11, 11, 3]
    assert [len(chunk) for chunk in chunks([large, large, large, small], 100, 1_000)] == [3, 1]
    assert [item for chunk in chunks([small, large] * 5, 3, 450) for item in chunk] == list(
        enumerate([small, large] * 5)
    )


# Digests ----------------------------------------------------------------------------------------------------


@given(plain_rows)
def test_the_same_rows_have_the_same_digests(rows: list[bytes | None]) -> None:
    assert [batch.digest for batch in planned(rows, SMALL)[0]] == [batch.digest for batch in planned(rows, SMALL)[0]]


@given(st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=30), st.data())
def test_any_other_byte_changes_the_digest_of_its_batch_and_of_all_behind(
    rows: list[bytes], data: st.DataObject
) -> None:
    row = data.draw(st.integers(0, len(rows) - 1))
    at = data.draw(st.integers(0, len(rows[row]) - 1))
    changed = bytearray(rows[row])
    changed[at] ^= data.draw(st.integers(1, 255))
    before, _ = planned(rows, SMALL)
    after, _ = planned([*rows[:row], bytes(changed), *rows[row + 1 :]], SMALL)
    concerned = next(batch.number for batch in before if row in batch.raw)
    for old, new in zip(before, after, strict=True):
        assert (old.digest == new.digest) is (old.number < concerned)


@given(st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=30, unique=True), st.data())
def test_a_row_less_changes_the_last_digest(rows: list[bytes], data: st.DataObject) -> None:
    rows = [b"{%b}" % row.hex().encode() for row in rows]
    row = data.draw(st.integers(0, len(rows) - 1))
    before, _ = planned(rows)
    after, _ = planned(rows[:row] + rows[row + 1 :])
    assert [batch.digest for batch in before] != [batch.digest for batch in after]


def test_rows_in_another_order_have_another_digest() -> None:
    assert planned([b"{1}", b"{2}"])[0][0].digest != planned([b"{2}", b"{1}"])[0][0].digest


# References -------------------------------------------------------------------------------------------------


@given(st.lists(st.text("ab", max_size=6), max_size=3_000))
def test_a_reference_set_knows_what_a_set_knows(references: list[str]) -> None:
    ours, model = ReferenceSet(), set()
    for reference in references:
        assert ours.add(reference) is (reference not in model)
        model.add(reference)
    assert len(ours) == len(model)


def test_a_reference_set_still_knows_everything_when_it_has_grown() -> None:
    ours = ReferenceSet()
    assert all(ours.add(f"{number:032x}") for number in range(20_000))
    assert not any(ours.add(f"{number:032x}") for number in range(20_000))
    assert len(ours) == 20_000


def test_a_reference_set_takes_at_most_32_bytes_a_reference_even_while_it_grows() -> None:
    ours = ReferenceSet()
    tracemalloc.start()
    for number in range(70_000):
        ours.add(str(number))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak / 70_000 <= 32


@given(identities, st.integers(0, 10**9))
def test_a_reference_suits_the_vendor(identity: SendIdentity, row: int) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", identity.reference(row))


def test_a_reference_never_changes() -> None:
    identity = SendIdentity(dag_id="mailing", run_id="manual__1", task_id="send", map_index=-1, generation=0)
    assert identity.reference(0) == "27323d1312eb4f6d0e139d2adb11ee77"
    assert identity.reference(0) == SendIdentity(**asdict(identity)).reference(0)


@given(identities, st.integers(0, 20), identities, st.integers(0, 20))
def test_different_sends_or_rows_have_different_references(
    one: SendIdentity, row: int, other: SendIdentity, other_row: int
) -> None:
    assume((one, row) != (other, other_row))
    assert one.reference(row) != other.reference(other_row)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"dag_id": "a", "run_id": "bc"}, {"dag_id": "ab", "run_id": "c"}),
        ({"dag_id": "a", "run_id": "1:b"}, {"dag_id": "a1:b", "run_id": ""}),
        ({"run_id": "r", "task_id": "1"}, {"run_id": "r1", "task_id": ""}),
        ({"map_index": 1, "generation": 11}, {"map_index": 11, "generation": 1}),
        ({"map_index": -1}, {"map_index": 1}),
        ({"dag_id": "é"}, {"dag_id": "e\u0301"}),
    ],
)
def test_ids_that_look_alike_when_joined_have_different_references(one: dict[str, Any], other: dict[str, Any]) -> None:
    base = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": 0, "generation": 0}
    assert SendIdentity(**{**base, **one}).reference(1) != SendIdentity(**{**base, **other}).reference(1)


def test_a_clear_changes_every_reference_and_a_retry_none() -> None:
    tries = [SendIdentity(dag_id="d", run_id="r", task_id="t", map_index=-1, generation=g) for g in (0, 0, 1)]
    first, retry, cleared = ([identity.reference(row) for row in range(100)] for identity in tries)
    assert first == retry
    assert not set(first) & set(cleared)
