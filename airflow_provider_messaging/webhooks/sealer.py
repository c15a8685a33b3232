"""Turns the inbox into segments: one receiver at a time does it, and any other takes over where it stopped."""

from __future__ import annotations

import glob
import logging
import os
import secrets
import socket
import threading
import time
from datetime import UTC, datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from airflow_provider_messaging.delivery.outputs import LineFile
from airflow_provider_messaging.hooks._storage import is_compressed, is_local, publisher, storage_path
from airflow_provider_messaging.vendors.marigold.segments import DELIVERIES, OTHER
from airflow_provider_messaging.webhooks.inbox import Inbox, Sealed, Waiting, microseconds
from airflow_provider_messaging.webhooks.metrics import Metrics
from airflow_provider_messaging.webhooks.settings import Settings

log = logging.getLogger(__name__)

_LEASE = 15.0
_STOP = 10.0
_PURGE_EVERY = 3_600.0
_SETTING = "[messaging] webhooks_path"


class Sealer:
    """A thread that seals and lands segments until it is stopped."""

    def __init__(self, inbox: Inbox, settings: Settings, metrics: Metrics) -> None:
        self._inbox = inbox
        self._settings = settings
        self._metrics = metrics
        self._owner = f"{socket.gethostname()[:24]}-{os.getpid()}-{secrets.token_hex(4)}"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhooks-sealer", daemon=True)
        self._tick = min(1.0, max(0.1, min(settings.seal_seconds, settings.seal_seconds_deliveries) / 5))
        self._purged = 0.0
        self.failing_since: float | None = None
        """When landing began to fail, by the monotonic clock; None while it works."""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End after the segment at hand, and let another one seal. One that takes longer is left to its fate."""
        self._stop.set()
        self._thread.join(_STOP)

    def _run(self) -> None:
        pause = self._tick
        while not self._stop.wait(pause):
            try:
                is_mine = self._inbox.lease(self._owner, _LEASE)
                if is_mine:
                    self.work()
                self.failing_since = None
                pause = self._tick
            except Exception as error:
                # Nothing is lost: all of it is in the inbox, and landed once that works again.
                self._metrics.add("seal_errors_total")
                self.failing_since = self.failing_since or time.monotonic()
                pause = min(30.0, pause * 2)
                log.warning("Segments can't be landed, next try in %.0f s: %s", pause, _described(error))
        try:
            self._inbox.release(self._owner)
        except Exception as error:
            log.debug("The lease runs out by itself: %s", _described(error))

    def work(self) -> None:
        """Land what was sealed before, then seal and land what is due."""
        for segment in self._inbox.unlanded():
            self.land(segment)
        waiting = self._inbox.waiting()
        now = microseconds()
        if waiting:
            self._metrics.gauge("inbox_events", sum(each.events for each in waiting))
            self._metrics.gauge("lag_seconds", max(0, now - waiting[0].oldest) / 1_000_000)
        for each in waiting:
            if self._is_due(each, now):
                self._seal(each)
        if time.monotonic() - self._purged > _PURGE_EVERY or not self._purged:
            self._inbox.purge(datetime.now(UTC) - timedelta(days=self._settings.retention_days))
            self._purged = time.monotonic()

    def _is_due(self, waiting: Waiting, now: int) -> bool:
        settings = self._settings
        slow = waiting.kind in {DELIVERIES, OTHER}
        age = settings.seal_seconds_deliveries if slow else settings.seal_seconds
        return (
            waiting.events >= settings.seal_events
            or waiting.size >= settings.seal_bytes
            or now - waiting.oldest >= age * 1_000_000
        )

    def _seal(self, waiting: Waiting) -> None:
        """Land segments until what is left of this kind and day is less than one."""
        settings = self._settings
        left = waiting.events
        while left > 0 and not self._stop.is_set() and self._inbox.lease(self._owner, _LEASE):
            sealed = self._inbox.seal(
                waiting.kind,
                waiting.day,
                most_events=settings.seal_events,
                most_bytes=settings.seal_bytes,
                compressed=settings.gzip,
                owner=self._owner,
            )
            if sealed is None:
                return
            self.land(sealed)
            left -= sealed.events

    def land(self, segment: Sealed) -> None:
        """Write a segment's file, whole or not at all, then drop its events. Doing it twice writes the same file.

        :raises RuntimeError: if the inbox does not hold what was sealed.
        """
        lines = self._inbox.lines(segment)
        if not lines:
            # One that had the lease before us has landed it while we looked.
            self._inbox.landed(segment)
            return
        if len(lines) != segment.events:
            raise RuntimeError(f"segment {segment.id} has {len(lines)} of its {segment.events} events in the inbox")
        path = f"{self._settings.path.rstrip('/')}/{segment.path}"
        _remove_leftovers(path)
        file = LineFile(publisher(path, _SETTING), compressed=is_compressed(path))
        written = False
        try:
            for line in lines:
                file.write_line(line.encode())
            written = True
        finally:
            file.finish(publish=written)
        self._inbox.landed(segment)
        self._metrics.add("segments_total", segment.kind)
        self._metrics.add("landed_total", segment.kind, segment.events)
        log.info("Landed %d events in %s", segment.events, segment.path)


def _remove_leftovers(path: str) -> None:
    """Remove what a killed receiver left of this file on a local disk."""
    target = storage_path(path, _SETTING)
    if is_local(target):
        for name in glob.glob(f"{glob.escape(target.path)}.part-*"):
            if not name.endswith(f"-{os.getpid()}"):
                os.unlink(name)


def _described(error: Exception) -> str:
    """Return an error without the statement and the values that the text of a database's error has."""
    name = type(error).__name__
    return name if isinstance(error, SQLAlchemyError) else f"{name}: {str(error)[:500]}"
