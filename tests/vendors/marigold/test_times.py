"""Timestamps and durations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_messaging.vendors.marigold.times import parse_duration, parse_timestamp, utc_text

MOMENT = datetime(2023, 7, 25, 19, 19, 0, 37872, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2023-07-25T19:19:00.0378723+00:00",
        "2023-07-25T19:19:00.0378723Z",
        "2023-07-25T19:19:00.0378723",
        "2023-07-25T21:19:00.0378723+02:00",
        "2023-07-25 19:19:00.037872+0000",
        "2023-07-25t19:19:00.037872z",
    ],
)
def test_all_spellings_of_a_timestamp_are_one_moment(text: str) -> None:
    assert parse_timestamp(text) == MOMENT
    assert parse_timestamp(text).utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2023-07-25",
        "20230725T191900",
        "2023-W30-2T10:00",
        "2023-13-01T00:00:00Z",
        "2023-07-25T19:19:00Z\n",
        "0001-01-01T00:00:00+14:00",
        "\u0662023-07-25T19:19:00",
    ],
)
def test_other_texts_are_no_timestamps(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_timestamp(text)


@given(
    moment=st.datetimes(
        min_value=datetime(1, 1, 3),  # noqa: DTZ001  hypothesis asks for naive bounds
        max_value=datetime(9999, 12, 29),  # noqa: DTZ001
        timezones=st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
    )
)
def test_timestamps_round_trip(moment: datetime) -> None:
    assert parse_timestamp(utc_text(moment)) == moment
    assert parse_timestamp(moment.isoformat()) == moment
    assert utc_text(moment).endswith("Z")


@pytest.mark.parametrize(
    ("text", "shortest", "longest"),
    [
        ("P2D", 2, 2),
        ("PT48H", 2, 2),
        ("P1W", 7, 7),
        ("P5M", 140, 155),
        ("P2Y", 730, 732),
        ("P1Y2M3D", 424, 431),
        ("PT36H", 1.5, 1.5),
        ("P0,5D", 0.5, 0.5),
    ],
)
def test_a_duration_has_a_length_in_days(text: str, shortest: float, longest: float) -> None:
    assert parse_duration(text) == (shortest * 86_400, longest * 86_400)


@pytest.mark.parametrize(
    "text",
    [
        *["", "P", "PT", "P1", "1D", "p1d", "-P1D", "P-1D", "P1DT", "P1H", "PT1D", "P1W1D", "P1.5DT1H", "P1e3D"],
        *[" P1D", "P1D\n", "P1D1D", "P1D1M", "P\u0661D"],
    ],
)
def test_other_texts_are_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match=r"ISO 8601 duration"):
        parse_duration(text)


def test_48_hours_in_small_parts_are_exactly_two_days() -> None:
    for text in ("PT2880M", "PT172800S", "P1DT23H59M60S", "PT47H59M60S"):
        assert parse_duration(text).longest == 2 * 86_400, text
    assert parse_duration("PT172800.000000001S").longest > 2 * 86_400
