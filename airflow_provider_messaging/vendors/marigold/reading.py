"""Bulk reading of feedback: whole days, several pages at a time, cut to the window."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from airflow_provider_messaging.core.flow import Api
from airflow_provider_messaging.core.listing import Listing, Rows, Runner, Tally
from airflow_provider_messaging.core.windows import Window
from airflow_provider_messaging.vendors.marigold.endpoints import FEEDBACK
from airflow_provider_messaging.vendors.marigold.times import parse_timestamp

MODES = ("direct", "indirect")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What to read.

    :param mode: bounces of one mode only.
    :param account_id: another account than the connection's.
    """

    kind: str
    window: Window
    mode: str | None = None
    account_id: str | None = None


async def read_feedback(
    runner: Runner, api: Api, selection: Selection, *, page_size: int, in_flight: int, tally: Tally
) -> AsyncGenerator[Rows, None]:
    """Yield the rows of a window page by page, each as the vendor's own JSON.

    The vendor filters by whole days, so days are read one by one, and rows outside the window are left out. Rows whose
    timestamp can't be read are in every window: one odd row must not be lost.

    :raises VendorError: see `Listing.pages`.
    """
    for day in selection.window.days():
        start, end = day.day_range()
        listing = Listing(
            runner=runner,
            api=api,
            endpoint=FEEDBACK[selection.kind],
            params={"start": start, "end": end, "type": selection.mode, "accountId": selection.account_id},
            page_size=page_size,
            in_flight=in_flight,
            tally=tally,
        )
        async with aclosing(listing.pages()) as pages:
            async for rows in pages:
                yield within(rows, day)


class _Stamp(msgspec.Struct, gc=False):
    timestamp: datetime


class _AnyStamp(msgspec.Struct, gc=False):
    timestamp: object = None


_STAMP = msgspec.json.Decoder(_Stamp)
_ANY_STAMP = msgspec.json.Decoder(_AnyStamp)


def within(rows: Rows, window: Window) -> Rows:
    """Return the rows whose timestamp lies in the window, and those whose timestamp can't be read.

    One odd row must neither stop a reader for good nor be lost.
    """
    start, end, decode = window.start, window.end, _STAMP.decode
    kept = []
    for row in rows:
        try:
            moment = decode(row).timestamp
        except msgspec.DecodeError:
            if _is_within(row, window):
                kept.append(row)
            continue
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        # The decoder rounds to microseconds, `parse_timestamp` cuts off: that may be the difference at the borders.
        if start < moment < end or (moment in (start, end) and _is_within(row, window)):
            kept.append(row)
    return kept


def _is_within(row: msgspec.Raw, window: Window) -> bool:
    try:
        stamp = _ANY_STAMP.decode(row).timestamp
        return not isinstance(stamp, str) or parse_timestamp(stamp) in window
    except (ValueError, msgspec.DecodeError):
        return True
