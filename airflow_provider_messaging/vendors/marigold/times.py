"""The vendor's timestamps and durations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

_TIMESTAMP = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,12})?)?(?:Z|[+-]\d\d:?\d\d)?", re.ASCII | re.IGNORECASE
)
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


def parse_timestamp(text: str) -> datetime:
    """Return an aware UTC datetime. The vendor's 7th fractional digit is cut off; no offset means UTC.

    :raises ValueError: if the text is no ISO 8601 date and time.
    """
    if not _TIMESTAMP.fullmatch(text):
        raise ValueError("not an ISO 8601 date and time")
    moment = datetime.fromisoformat(text.upper())
    if moment.tzinfo is UTC:
        return moment
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("out of the calendar's range") from error


def utc_text(moment: datetime) -> str:
    """Return the moment as ``2026-01-01T12:00:00Z``; naive means UTC.

    :raises ValueError: if the moment lies outside the years 1 to 9999 in UTC.
    """
    try:
        utc = moment.astimezone(UTC) if moment.utcoffset() is not None else moment
    except OverflowError as error:
        raise ValueError("out of the calendar's range") from error
    # Subclasses (pendulum) format in ways of their own.
    return datetime.isoformat(utc.replace(tzinfo=None)) + "Z"


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
