"""Durations in the vendor's fields; timestamps are those of `core.times`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from airflow_provider_messaging.core.times import parse_timestamp, utc_text

__all__ = ["Duration", "parse_duration", "parse_timestamp", "utc_text"]

_NUMBER = r"\d{1,12}(?:[.,]\d{1,12})?"
_DURATION = re.compile(
    rf"P(?:(?P<weeks>{_NUMBER})W"
    rf"|(?:(?P<years>{_NUMBER})Y)?(?:(?P<months>{_NUMBER})M)?(?:(?P<days>{_NUMBER})D)?"
    rf"(?:T(?=\d)(?:(?P<hours>{_NUMBER})H)?(?:(?P<minutes>{_NUMBER})M)?(?:(?P<seconds>{_NUMBER})S)?)?)",
    re.ASCII,
)
# Seconds, which keep every sum of whole parts exact.
_DAY = 86_400
_SHORTEST = {"years": 365 * _DAY, "months": 28 * _DAY}
_LONGEST = {"years": 366 * _DAY, "months": 31 * _DAY}
_FIXED = {"weeks": 7 * _DAY, "days": _DAY, "hours": 3_600, "minutes": 60, "seconds": 1}


class Duration(NamedTuple):
    """The length of an ISO 8601 duration in seconds, as short and as long as its months and years can be."""

    shortest: Decimal
    longest: Decimal


@lru_cache(maxsize=256)
def parse_duration(text: str) -> Duration:
    """Return the length of an ISO 8601 duration such as ``P2D``, ``PT30M`` or ``P5M``.

    :raises ValueError: if the text is no such duration; signs are not part of ISO 8601.
    """
    match = _DURATION.fullmatch(text)
    parts = {name: value for name, value in match.groupdict().items() if value} if match else {}
    if not parts:
        raise ValueError("not an ISO 8601 duration")
    if any("." in value or "," in value for value in list(parts.values())[:-1]):
        raise ValueError("only the last number of an ISO 8601 duration may have decimals")
    numbers = {name: Decimal(value.replace(",", ".")) for name, value in parts.items()}
    return Duration(shortest=_length(numbers, _SHORTEST), longest=_length(numbers, _LONGEST))


def _length(numbers: Mapping[str, Decimal], calendar: Mapping[str, int]) -> Decimal:
    return sum((number * {**_FIXED, **calendar}[name] for name, number in numbers.items()), Decimal(0))
