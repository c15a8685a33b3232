"""Timestamps as the vendors write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_TIMESTAMP = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,12})?)?(?:Z|[+-]\d\d:?\d\d)?", re.ASCII | re.IGNORECASE
)


def parse_timestamp(text: str) -> datetime:
    """Return an aware UTC datetime. Digits behind the microseconds are cut off; no offset means UTC.

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
