"""Rules of single values."""

from __future__ import annotations

import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from functools import lru_cache

from airflow_provider_messaging.sandbox import ticks

REFERENCE = re.compile(r"[A-Za-z0-9-]{1,64}")
REFERENCE_CHARS = re.compile(r"[A-Za-z0-9-]*")
HEADER_NAME = re.compile(r"[!-9;-~]+")
MIME_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+")
_DURATION = re.compile(
    r"P(?=.)(?:(?P<years>[0-9]+)Y)?(?:(?P<months>[0-9]+)M)?(?:(?P<weeks>[0-9]+)W)?(?:(?P<days>[0-9]+)D)?"
    r"(?:T(?=.)(?:(?P<hours>[0-9]+)H)?(?:(?P<minutes>[0-9]+)M)?(?:(?P<seconds>[0-9]+(?:\.[0-9]+)?)S)?)?"
)
# The page counts a year as 31,536,000 seconds and a month as 2,630,000.
_UNITS = {
    "years": 31_536_000,
    "months": 2_630_000,
    "weeks": 604_800,
    "days": 86_400,
    "hours": 3_600,
    "minutes": 60,
    "seconds": 1,
}


def breaks_line(text: str) -> bool:
    return "\r" in text or "\n" in text


def decoded(data: str) -> bytes | None:
    """The bytes of strict base64, or None."""
    try:
        return a2b_base64(data, strict_mode=True)
    except (Base64Error, ValueError):
        return None


@lru_cache(maxsize=256)
def seconds_of(duration: str) -> float | None:
    """Seconds of an ISO 8601 duration, or None if it is not one."""
    match = _DURATION.fullmatch(duration)
    if match is None or not any(match.groups()):
        return None
    return sum(float(count) * _UNITS[unit] for unit, count in match.groupdict().items() if count is not None)


def utc(text: str) -> int | None:
    """Ticks of a date and time in UTC, or None if it is something else."""
    try:
        moment, whole_day = ticks.parse(text)
    except ValueError:
        return None
    if whole_day or (text[-6:-5] in ("+", "-") and text[-5:] != "00:00"):
        return None
    return moment
