"""Cutting the vendor's days to a window."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_messaging.core.windows import Window
from airflow_provider_messaging.vendors.marigold.reading import within
from airflow_provider_messaging.vendors.marigold.times import parse_timestamp

START = datetime(2026, 3, 10, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(hours=1))


def kept(*rows: object) -> list[object]:
    return [json.loads(bytes(row)) for row in within([msgspec.Raw(json.dumps(row).encode()) for row in rows], WINDOW)]


@st.composite
def timestamps(draw: st.DrawFn) -> str:
    """Times around both borders, in tenths of microseconds, as the vendor spells them and in other ways."""
    border = draw(st.sampled_from([WINDOW.start, WINDOW.end]))
    tick = draw(st.one_of(st.integers(-30, 30), st.integers(-(10**12), 10**12)))
    seconds, fraction = divmod(tick, 10**7)
    moment = border + timedelta(seconds=seconds)
    zone, shift = draw(st.sampled_from([("Z", 0), ("+00:00", 0), ("", 0), ("+02:00", 2), ("-0530", -5.5), ("z", 0)]))
    local = moment + timedelta(hours=shift)
    digits = draw(st.sampled_from([f".{fraction:07}", f".{fraction:07}00", f".{fraction:07}"[:4], ""]))
    return f"{local:%Y-%m-%d}{draw(st.sampled_from('T t'))}{local:%H:%M:%S}{digits}{zone}"


@given(timestamps())
def test_a_row_is_kept_if_and_only_if_its_time_lies_in_the_window(stamp: str) -> None:
    assert bool(kept({"timestamp": stamp})) == (parse_timestamp(stamp) in WINDOW)


@pytest.mark.parametrize(
    "row",
    [{}, {"timestamp": None}, {"timestamp": 1773100800}, {"timestamp": "yesterday"}, {"timestamp": ""}, None, "x", []],
)
def test_a_row_whose_time_cannot_be_read_is_kept(row: object) -> None:
    assert kept(row) == [row]


def test_rows_keep_their_order() -> None:
    rows = [{"timestamp": f"2026-03-10T00:{minute:02}:00Z"} for minute in (5, 3, 59, 0)]
    assert kept(*rows, {"timestamp": "2026-03-10T01:00:00Z"}) == rows
