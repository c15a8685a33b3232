"""Durations."""

from __future__ import annotations

import pytest

from airflow_provider_messaging.vendors.marigold.times import parse_duration


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
