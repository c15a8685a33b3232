"""Which events of a window are landed already: on disk, so that memory does not grow with their number."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import timedelta
from enum import IntEnum
from hashlib import blake2b

from airflow_provider_messaging.core.feedback import BOUNCE, FeedbackEvent
from airflow_provider_messaging.core.windows import Window
from airflow_provider_messaging.vendors.marigold.webhooks import match_key

_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA temp_store = FILE;
PRAGMA cache_size = -16384;
CREATE TABLE known (
    key BLOB PRIMARY KEY, filled INTEGER NOT NULL, untyped INTEGER NOT NULL, pulled INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
"""
_ADD = """
INSERT INTO known (key, filled, untyped) VALUES (?, ?, ?)
ON CONFLICT (key) DO UPDATE SET filled = min(filled, excluded.filled), untyped = min(untyped, excluded.untyped)
"""
_SLACK = timedelta(seconds=1)


class Standing(IntEnum):
    """How an event that was pulled stands to what is landed."""

    COPY = 0
    """It was pulled before."""
    KNOWN = 1
    FILLED = 2
    """An earlier run has filled it in."""
    BARE = 3
    """It is known, without its bounce type, which the pulled one has."""
    MISSING = 4


class KnownEvents:
    """Takes what is landed, then judges what is pulled. May move from thread to thread; a context manager by `closing`.

    :param window: what happened outside of it is not asked for.
    """

    def __init__(self, window: Window) -> None:
        self._window = Window(window.start - _SLACK, window.end + _SLACK)
        # An empty name makes a file that has none from the start.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.executescript(_SCHEMA)
        self._database.execute("BEGIN")

    def close(self) -> None:
        self._database.close()

    def add(self, events: Iterable[FeedbackEvent], *, filled: bool) -> None:
        """Add landed events.

        :param filled: they are from an earlier run that filled gaps.
        """
        self._database.executemany(_ADD, self._rows(events, filled))

    def judge(self, event: FeedbackEvent) -> Standing:
        """Tell how a pulled event stands to those landed, and remember that it was pulled."""
        key = _digest(event)
        with closing(self._database.execute("SELECT filled, untyped, pulled FROM known WHERE key = ?", [key])) as found:
            row = found.fetchone()
        if row is None:
            self._database.execute("INSERT INTO known VALUES (?, 0, 0, 1)", [key])
            return Standing.MISSING
        filled, untyped, pulled = row
        if pulled:
            return Standing.COPY
        self._database.execute("UPDATE known SET pulled = 1 WHERE key = ?", [key])
        if filled:
            return Standing.FILLED
        return Standing.BARE if untyped and event["bounce_type"] is not None else Standing.KNOWN

    def _rows(self, events: Iterable[FeedbackEvent], filled: bool) -> Iterator[tuple[bytes, bool, bool]]:
        for event in events:
            at = event["occurred_at"]
            if at is None or at in self._window:
                yield _digest(event), filled, event["kind"] == BOUNCE and event["bounce_type"] is None


def _digest(event: FeedbackEvent) -> bytes:
    return blake2b("\x1f".join(match_key(event)).encode("utf-8", "surrogatepass"), digest_size=16).digest()
