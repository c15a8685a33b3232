"""Timestamps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_messaging.core.times import parse_timestamp, utc_text

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
