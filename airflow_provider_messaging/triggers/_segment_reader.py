"""The one reader that all watchers of a folder of segments share. Airflow 3.3 and later."""

from __future__ import annotations

import asyncio
import gzip
import logging
import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from airflow_provider_messaging.core.cursor import to_micros
from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.hooks._storage import open_binary, storage_path
from airflow_provider_messaging.triggers._stream_reader import Ask, Look, StreamReader
from airflow_provider_messaging.vendors.marigold.segments import Segment
from airflow_provider_messaging.vendors.marigold.times import parse_timestamp

MOST_TALLIES = 4096
"""Segments whose counts are remembered, so that each is read once for all watchers."""

log = logging.getLogger(__name__)


class Found(NamedTuple):
    """A segment, and 64 bits that stand for it."""

    segment: Segment
    id: int


class Tally(NamedTuple):
    """What a segment holds: lines, and when their events happened (microseconds)."""

    lines: int
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentAsk(Ask):
    """What one watcher needs of the folder.

    :param since: segments sealed from then on.
    :param first_day: folders of days from then on may hold such segments.
    """

    first_day: date


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SegmentLook(Look):
    """The segments that are there, by the time they were sealed.

    :param kinds: those that were listed.
    :param since: those sealed before it are left out.
    :param first_day: the first day that was listed; all later ones were, too.
    """

    reader: SegmentReader  # type: ignore[assignment]
    kinds: frozenset[str]
    since: datetime
    first_day: date
    found: list[Found]


class SegmentReader(StreamReader[SegmentAsk]):
    """Lists what the watchers ask for, beside the event loop.

    :param path: the root folder.
    """

    def __init__(self, *, path: str, poll_interval: float) -> None:
        super().__init__(poll_interval=poll_interval)
        self._path = path
        self._tallies: OrderedDict[int, Tally | None] = OrderedDict()
        self._reading = asyncio.Lock()

    async def looks(self) -> AsyncIterator[SegmentLook]:
        if not self._asks:
            return
        asks = list(self._asks.values())
        kinds = frozenset(kind for ask in asks for kind in ask.kinds)
        since, first = min(ask.since for ask in asks), min(ask.first_day for ask in asks)
        at = await self.may_look()
        try:
            found = await asyncio.to_thread(_listed, self._path, sorted(kinds), first, at, since)
        except Exception as error:
            log.warning("the segments below %s could not be listed; the next poll tries again: %s", self._path, error)
            found, kinds = [], frozenset()
        yield SegmentLook(reader=self, at=at, kinds=kinds, since=since, first_day=first, found=found)

    async def tally(self, found: Found) -> Tally | None:
        """Return what a segment holds, None if it is gone."""
        async with self._reading:
            if found.id not in self._tallies:
                self._tallies[found.id] = await asyncio.to_thread(_tally, f"{self._path}/{found.segment.path}", found)
                if len(self._tallies) > MOST_TALLIES:
                    self._tallies.popitem(last=False)
            return self._tallies[found.id]

    async def aclose(self) -> None:
        """There is nothing open between two polls."""


def _listed(path: str, kinds: list[str], first: date, at: datetime, since: datetime) -> list[Found]:
    root = storage_path(path, "path")
    found: list[Found] = []
    # A receiver whose clock is ahead may be in tomorrow already.
    last = (at + timedelta(hours=1)).date()
    for kind in kinds:
        day = first
        while day <= last:
            folder = f"kind={kind}/date={day.isoformat()}"
            for name in _names(root, folder):
                segment = Segment.parse(f"{folder}/{name}")
                if segment is not None and segment.sealed_at >= since:
                    digest = blake2b(segment.path.encode(), digest_size=8).digest()
                    found.append(Found(segment, int.from_bytes(digest, "big")))
            day += timedelta(days=1)
    found.sort(key=lambda one: (one.segment.sealed_at, one.segment.path))
    return found


def _names(root: object, folder: str) -> Iterator[str]:
    fs, place = root.fs, f"{root.path.rstrip('/')}/{folder}"  # type: ignore[attr-defined]
    # Most file systems of object storage remember what they listed.
    fs.invalidate_cache(place)
    try:
        listed = fs.ls(place, detail=False)
    except FileNotFoundError:
        return
    for name in listed:
        yield str(name).rstrip("/").rpartition("/")[2]


class _Line(msgspec.Struct, gc=False):
    data: object = None
    time: object = None
    timestamp: object = None


_DECODER = msgspec.json.Decoder(_Line)


def _tally(name: str, found: Found) -> Tally | None:
    """Count a segment's lines. One that is damaged is counted as far as it goes: whoever loads it will say so."""
    sealed = to_micros(found.segment.sealed_at)
    lines, first, last = 0, sealed, -1
    try:
        with open_binary(name, "path") as stream:
            for line in stream:
                if line.strip():
                    lines += 1
                    at = _moment(line)
                    if at is not None:
                        first, last = min(first, at), max(last, at)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        log.warning("%s is damaged behind line %d: %s", name, lines, error)
    except ConfigurationError:
        return None
    return Tally(lines, first, last if last >= 0 else sealed)


def _moment(line: bytes) -> int | None:
    try:
        read = _DECODER.decode(line)
        stamps = (read.data.get("timestamp") if isinstance(read.data, dict) else None, read.timestamp, read.time)
        stamp = next(each for each in stamps if isinstance(each, str))
        return to_micros(parse_timestamp(stamp).astimezone(UTC))
    except (ValueError, msgspec.DecodeError, StopIteration):
        return None
