"""Packing messages into requests."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_messaging.core.batching import BatchLimits, join, pack
from airflow_provider_messaging.core.messages import Message

SMALL = BatchLimits(max_messages=4, max_bytes=40)
sizes = st.lists(st.integers(1, 38), max_size=60)


def message(row: int, size: int) -> Message:
    """A message whose data is a JSON number of `size` digits."""
    return Message(row=row, reference=f"r{row}", recipient="a@example.com", data=b"1" * size)


def packed(sizes: list[int], limits: BatchLimits = SMALL) -> list[list[Message]]:
    return list(pack((message(row, size) for row, size in enumerate(sizes)), limits))


@given(sizes)
def test_every_message_is_in_exactly_one_batch_and_in_order(sizes: list[int]) -> None:
    assert [each.row for batch in packed(sizes) for each in batch] == list(range(len(sizes)))


@given(sizes)
def test_every_batch_is_within_both_limits(sizes: list[int]) -> None:
    for batch in packed(sizes):
        assert 1 <= len(batch) <= SMALL.max_messages
        assert len(join(batch)) <= SMALL.max_bytes


@given(sizes)
def test_no_batch_could_have_taken_the_next_message_too(sizes: list[int]) -> None:
    for batch, following in pairwise(packed(sizes)):
        grown = [*batch, following[0]]
        assert len(grown) > SMALL.max_messages or len(join(grown)) > SMALL.max_bytes


@given(sizes)
def test_a_body_is_the_json_array_of_its_messages(sizes: list[int]) -> None:
    for batch in packed(sizes):
        assert json.loads(join(batch)) == [json.loads(each.data) for each in batch]


@pytest.mark.parametrize(("size", "fits"), [(37, True), (38, True), (39, False)])
def test_a_message_fits_alone_up_to_the_limit_less_the_brackets(size: int, fits: bool) -> None:
    assert SMALL.fits_alone(size) is fits
    assert (len(join([message(0, size)])) <= SMALL.max_bytes) is fits


def test_a_batch_may_fill_the_byte_limit_to_the_last_byte() -> None:
    assert [len(join(batch)) for batch in packed([18, 19])] == [40]
    assert [len(join(batch)) for batch in packed([19, 19])] == [21, 21]


def test_a_stream_is_packed_as_it_comes() -> None:
    taken = []

    def stream() -> object:
        for row in range(100):
            taken.append(row)
            yield message(row, 1)

    first = next(pack(stream(), SMALL))  # type: ignore[arg-type]
    assert len(first) == 4
    assert taken == [0, 1, 2, 3, 4]


def test_no_messages_make_no_batch() -> None:
    assert packed([]) == []
