"""Time in ticks of 100 nanoseconds since 1970, the resolution of timestamps with seven fractional digits."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache

SECOND = 10_000_000
DAY = 86_400 * SECOND
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTES = tuple(f"{hour:02}:{minute:02}:" for hour in range(24) for minute in range(60))
_SECONDS = tuple(f"{second:02}." for second in range(60))
_ISO = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:T(?P<time>[0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:\.(?P<fraction>[0-9]{1,7}))?(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?)?"
)


def now() -> int:
    return time.time_ns() // 100


def from_seconds(seconds: float) -> int:
    return round(seconds * SECOND)


def parse(text: str) -> tuple[int, bool]:
    """Read an ISO 8601 date or date and time; without a zone it is UTC.

    :return: the ticks, and whether ``text`` is a whole day.
    :raises ValueError: ``text`` is neither.
    """
    match = _ISO.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not an ISO 8601 date or timestamp")
    day, clock, fraction, zone = match.group("day", "time", "fraction", "zone")
    if clock is None:
        return _since_epoch(datetime.fromisoformat(f"{day}T00:00:00+00:00")), True
    offset = "+00:00" if zone in (None, "Z") else zone
    whole = _since_epoch(datetime.fromisoformat(f"{day}T{clock}{offset}"))
    return whole + int((fraction or "").ljust(7, "0")), False


def _since_epoch(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(seconds=1) * SECOND


def day_of(ticks: int) -> int:
    return ticks - ticks % DAY


def text(ticks: int, zone: str = "Z") -> str:
    """Spell ``ticks`` with seven fractional digits; ``zone`` is ``Z``, ``+00:00`` or nothing."""
    days, rest = divmod(ticks, DAY)
    minute, rest = divmod(rest, 60 * SECOND)
    second, fraction = divmod(rest, SECOND)
    return f"{_day_text(days)}{_MINUTES[minute]}{_SECONDS[second]}{fraction:07}{zone}"


@lru_cache(maxsize=4096)
def _day_text(days: int) -> str:
    return (_EPOCH + timedelta(days=days)).date().isoformat() + "T"
