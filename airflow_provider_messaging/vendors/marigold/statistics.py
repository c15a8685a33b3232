"""Deliverability statistics as a flow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from airflow_provider_messaging.core.flow import Api, Emit, Flow
from airflow_provider_messaging.core.paging import read_page
from airflow_provider_messaging.core.times import parse_timestamp, utc_text
from airflow_provider_messaging.core.windows import Window
from airflow_provider_messaging.vendors.marigold.endpoints import STATISTICS

MOST_ITEMS = 100
"""Items of one answer, as the page says."""
SMALLEST = timedelta(minutes=1)
"""The page's sample has a window a minute."""


@dataclass(frozen=True, slots=True)
class FullSpan:
    """A minute of which the vendor may have more items than it gives."""

    window: Window

    def __str__(self) -> str:
        return f"{utc_text(self.window.start)} to {utc_text(self.window.end)}"


def iter_statistics(api: Api, window: Window) -> Flow[None]:
    """Emit the items ``{"window", "counters"}`` whose window begins in `window`, in order, each once.

    A range whose answer is full is halved and asked for again, down to a minute; one that is full even so is emitted
    as a `FullSpan`. An item whose window can't be read is emitted once for each answer that has it.
    """
    spans = [window] if window.start < window.end else []
    while spans:
        span = spans.pop()
        items = yield from _read(api, span)
        if len(items) >= MOST_ITEMS and span.end - span.start > SMALLEST:
            middle = _middle(span)
            spans += [Window(middle, span.end), Window(span.start, middle)]
            continue
        if len(items) >= MOST_ITEMS:
            yield Emit(FullSpan(span))
        # Whether the vendor takes `end` as included is not said.
        within = [(moment, item) for item in items if (moment := _begin(item)) is None or moment in span]
        for _, item in sorted(within, key=lambda pair: pair[0] or span.start):
            yield Emit(item)


def _middle(span: Window) -> datetime:
    """Return a full minute near the middle, within the span."""
    middle = span.start + (span.end - span.start) / 2
    floor = middle.replace(second=0, microsecond=0)
    return floor if floor > span.start else middle


def _read(api: Api, span: Window) -> Flow[list[dict[str, Any]]]:
    params = {"start": utc_text(span.start), "end": utc_text(span.end)}
    response = yield from api.call(STATISTICS, params=params)
    try:
        items = [msgspec.json.decode(row) for row in read_page(response).rows]
    except (ValueError, msgspec.DecodeError):
        items = [None]
    if not all(isinstance(item, dict) for item in items):
        raise api.unreadable(STATISTICS, response)
    return items


def _begin(item: dict[str, Any]) -> datetime | None:
    try:
        return parse_timestamp(item["window"])
    except (KeyError, TypeError, ValueError):
        return None
