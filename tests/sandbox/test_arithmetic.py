"""What is computed rather than stored, against doing it the long way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_messaging.sandbox import ticks
from airflow_provider_messaging.sandbox.marigold.checks import seconds_of
from airflow_provider_messaging.sandbox.marigold.feedback import Question, page
from airflow_provider_messaging.sandbox.marigold.seeded import SeededRows, read_order
from airflow_provider_messaging.sandbox.marigold.settings import Settings

MOMENTS = st.integers(0, 4_000_000_000 * ticks.SECOND)
DAYS = st.integers(0, 40)


@given(MOMENTS, st.sampled_from(["Z", "+00:00", ""]))
def test_timestamp_is_read_as_it_was_written(moment: int, zone: str) -> None:
    assert ticks.parse(ticks.text(moment, zone)) == (moment, False)


@given(MOMENTS)
def test_timestamp_is_the_one_of_the_standard_library(moment: int) -> None:
    expected = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment // 10)
    assert ticks.text(moment, "+00:00") == f"{expected:%Y-%m-%dT%H:%M:%S.%f}{moment % 10}+00:00"


@given(st.integers(40_000_000, 4_000_000_000), st.integers(-14 * 60, 14 * 60))
def test_zone_is_taken_into_account(seconds: int, minutes: int) -> None:
    zoned = datetime.fromtimestamp(seconds, timezone(timedelta(minutes=minutes)))
    assert ticks.parse(zoned.isoformat()) == (seconds * ticks.SECOND, False)


def seeded(rows: int, days: int, kind: str = "bounces") -> SeededRows:
    end = datetime(2023, 1, 1, tzinfo=UTC) + timedelta(days)
    order = {"kind": kind, "rows": rows, "start": "2023-01-01T10:00:00Z", "end": f"{end:%Y-%m-%dT11:00:00Z}"}
    return SeededRows(read_order(order))


@given(st.integers(1, 300), DAYS, DAYS, DAYS, st.sampled_from([None, "direct", "indirect"]))
def test_seeded_rows_of_a_range_are_those_that_lie_in_it(
    rows: int, days: int, low_day: int, length: int, mode: str | None
) -> None:
    source = seeded(rows, days)
    low = ticks.parse("2023-01-01")[0] + (low_day - 2) * ticks.DAY
    high = low + length * ticks.DAY
    question = Question("bounces", "sandbox-account", low, high, mode)  # type: ignore[arg-type]
    expected = [
        number
        for number in range(rows)
        if low <= source.at(number) < high
        and (mode is None or source.row(number, question, Settings())["mode"] == mode)
    ]
    assert list(source.select(question, Settings(), 0)) == expected


@given(st.lists(st.integers(1, 60), min_size=1, max_size=3), st.integers(1, 25))
def test_pages_in_any_order_hold_every_row_once(sizes: list[int], top: int) -> None:
    sources = [seeded(rows, number, "complaints") for number, rows in enumerate(sizes)]
    question = Question("complaints", "sandbox-account", None, None)
    orders = {}
    for order in ("arrival", "newest", "shuffled"):
        settings = Settings(feedback_order=order)  # type: ignore[arg-type]
        found = []
        for skip in range(0, sum(sizes) + top, top):
            rows, total = page(sources, question, settings, 0, skip, top)
            assert total == sum(sizes)
            found += [(row["external_reference"], row["timestamp"]) for row in rows]
        orders[order] = found
    assert orders["newest"] == orders["arrival"][::-1]
    assert sorted(orders["shuffled"]) == sorted(orders["arrival"])
    assert len(orders["arrival"]) == sum(sizes)


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [
        ("P2D", 172_800),
        ("PT30M", 1800),
        ("PT10S", 10),
        ("PT0.5S", 0.5),
        ("P1W", 604_800),
        ("P5M", 13_150_000),
        ("P2Y", 63_072_000),
        ("P1DT1H1M1S", 90_061),
        ("P", None),
        ("PT", None),
        ("P1DT", None),
        ("1D", None),
        ("P-1D", None),
        ("PT1D", None),
        ("P1H", None),
        ("p2d", None),
        ("P2D ", None),
        ("P2D\n", None),
    ],
)
def test_duration_is_read_as_iso_8601(duration: str, seconds: float | None) -> None:
    assert seconds_of(duration) == seconds
