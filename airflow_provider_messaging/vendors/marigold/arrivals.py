"""Feedback as a watcher needs it: which events there are, and of what sort."""

from __future__ import annotations

from contextlib import aclosing
from hashlib import blake2b

import msgspec

from airflow_provider_messaging.core.cursor import Arrivals, to_micros
from airflow_provider_messaging.core.feedback import BOUNCE_TYPES
from airflow_provider_messaging.core.flow import Api
from airflow_provider_messaging.core.listing import Runner, Tally
from airflow_provider_messaging.core.times import parse_timestamp
from airflow_provider_messaging.core.windows import Window
from airflow_provider_messaging.vendors.marigold.feedback import Kind, event_id
from airflow_provider_messaging.vendors.marigold.reading import Selection, read_feedback

UNKNOWN = "unknown"
LABELS = (*BOUNCE_TYPES, UNKNOWN)
"""What a bounce may be. Words of the vendor's own stay out of a watcher's events; other kinds have the last one."""
IN_FLIGHT = 4
"""Pages that are asked for at the same time."""

_DECODER = msgspec.json.Decoder()
_MARKS = {label: mark for mark, label in enumerate(LABELS)}


async def read_day(
    runner: Runner, api: Api, kind: str, day: Window, *, account_id: str | None, page_size: int
) -> Arrivals:
    """Return the events of one kind that the vendor lists for a day.

    An event without a readable time counts as the day's last moment: it is looked at when the day is over.

    :param day: from midnight to midnight.
    :raises VendorError: if a page can't be read.
    """
    arrivals = Arrivals(LABELS)
    latest = to_micros(day.end) - 1
    selection = Selection(kind=kind, window=day, account_id=account_id)
    pages = read_feedback(runner, api, selection, page_size=page_size, in_flight=IN_FLIGHT, tally=Tally())
    async with aclosing(pages) as reading:
        async for rows in reading:
            for raw in rows:
                arrivals.add(*_read(kind, raw, latest))
    return arrivals


def _read(kind: str, raw: msgspec.Raw, latest: int) -> tuple[int, int, int]:
    """Return identity, time and mark of a row, whatever the vendor put there."""
    unknown = _MARKS[UNKNOWN]
    try:
        row = _DECODER.decode(raw)
    except (ValueError, msgspec.DecodeError):
        row = None
    if not isinstance(row, dict):
        return int.from_bytes(blake2b(bytes(raw), digest_size=8).digest(), "big"), latest, unknown
    mapping, stamp = row.get("mapping"), row.get("timestamp")
    mark = _MARKS.get(mapping.lower(), unknown) if kind == Kind.BOUNCES and isinstance(mapping, str) else unknown
    try:
        moment = to_micros(parse_timestamp(stamp)) if isinstance(stamp, str) else latest
    except ValueError:
        moment = latest
    return int(event_id(kind, row)[:16], 16), moment, mark
