"""The archive of many profiles as files: concurrent, resumable, with an index."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow_provider_messaging.core.errors import (
    AuthenticationError,
    ConfigurationError,
    MessagingError,
    VendorError,
)
from airflow_provider_messaging.delivery.outputs import LineFile
from airflow_provider_messaging.hooks._archive import ArchiveHook
from airflow_provider_messaging.hooks._export_message import Exported, MessageExport, Parts
from airflow_provider_messaging.hooks._folder import Folder
from airflow_provider_messaging.hooks._storage import is_compressed, publisher
from airflow_provider_messaging.vendors.marigold import archive
from airflow_provider_messaging.vendors.marigold.archive import FullWindow, moment_of

log = logging.getLogger(__name__)

PROGRESS_SECONDS = 10.0
MOST_FAILURES = 10
"""Calls in a row that may fail, each after its own retries, before the export gives up."""
_SHOWN = 3
_FATAL = (AuthenticationError, ConfigurationError)
_EARLIEST = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class ExportReport:
    """What an export came to. ``exported + present + gone + shadowed + failed`` are all messages that were listed.

    :param exported: fetched now. :param present: fetched by an earlier export. :param gone: deleted meanwhile.
    :param shadowed: older ones whose message id a younger one has, so that they can't be fetched.
    :param failed: messages that could not be fetched. :param failed_profiles: profiles that could not be listed.
    :param skipped: attachments and previews left out; each message's ``metadata.json`` says why.
    :param full_windows: windows of which the vendor may have more messages than it lists.
    """

    profiles: int = 0
    messages: int = 0
    exported: int = 0
    present: int = 0
    gone: int = 0
    shadowed: int = 0
    failed: int = 0
    failed_profiles: int = 0
    files: int = 0
    bytes: int = 0
    skipped: int = 0
    full_windows: int = 0

    def counts(self) -> dict[str, int]:
        return asdict(self)

    def __str__(self) -> str:
        return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in self.counts().items() if count)

    def add(self, done: Exported) -> None:
        setattr(self, done.status, getattr(self, done.status) + 1)
        self.files += done.files
        self.bytes += done.bytes
        self.skipped += done.skipped


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which messages of a profile.

    :param references: of these sends only, by profile; None takes all.
    """

    start: datetime | None = None
    end: datetime | None = None
    page_size: int = archive.LISTED
    references: Mapping[str, frozenset[str]] | None = None

    def takes(self, profile_id: str, row: Mapping[str, Any]) -> bool:
        if self.references is None:
            return True
        # The page's samples show ids like <reference>_<number>; a reference itself has no underscore.
        sent_as = str(row.get("message_id") or "").partition("_")[0]
        return sent_as in self.references.get(profile_id, ())


@dataclass(frozen=True, slots=True)
class _Listed:
    rows: list[tuple[dict[str, Any], bool]]
    full: list[FullWindow]


@dataclass(slots=True)
class _Troubles:
    in_a_row: int = 0
    errors: list[MessagingError] = field(default_factory=list)
    retryable: bool = False

    def note(self, error: MessagingError) -> None:
        """:raises MessagingError: the same, if it makes no sense to go on."""
        self.in_a_row += 1
        self.retryable |= error.retryable
        if len(self.errors) < _SHOWN:
            self.errors.append(error)
        if isinstance(error, _FATAL) or self.in_a_row >= MOST_FAILURES:
            raise error


class ArchiveExport:
    """One run of an export; a second one with the same folder fetches only what is missing.

    :param path: the folder, local or on object storage.
    :param index_path: where the index goes, NDJSON; one line for each message.
    """

    def __init__(
        self,
        hook: ArchiveHook,
        path: str,
        *,
        index_path: str,
        parts: Parts,
        selection: Selection,
        max_concurrency: int = 8,
    ) -> None:
        hook.open()
        self._hook = hook
        self._selection = selection
        self._max_concurrency = max_concurrency
        self._messages = MessageExport(hook, Folder(path, "export_path"), parts)
        self._publish = publisher(index_path, "index_path")
        self._index_path = index_path
        self._stopped = threading.Event()
        self._troubles = _Troubles()
        self.report = ExportReport()

    def run(self, profile_ids: Iterable[str]) -> ExportReport:
        """Export the profiles and write the index, also when messages failed.

        :raises MessagingError: if messages or profiles failed; a retry goes on where it makes sense.
        """
        index = LineFile(self._publish, compressed=is_compressed(self._index_path))
        whole = False
        try:
            self._work(iter(profile_ids), index)
            whole = not self._stopped.is_set()
        finally:
            index.finish(publish=whole)
        if self._stopped.is_set():
            raise _retryable(MessagingError(f"the export was asked to end: {self.report}; a retry goes on"))
        log.info("Archive export: %s", self.report)
        if self.report.skipped:
            log.warning(
                "%d attachments or previews were left out: the metadata.json of their messages say why",
                self.report.skipped,
            )
        if self.report.failed or self.report.failed_profiles:
            first = "; ".join(str(error) for error in self._troubles.errors)
            raise VendorError(
                f"the export is not complete: {self.report}; a later try fetches what is missing. The first errors: "
                f"{first}",
                retryable=self._troubles.retryable,
            )
        return self.report

    def stop(self) -> None:
        """Start nothing new. Safe in a signal handler."""
        self._stopped.set()

    def _work(self, profile_ids: Iterator[str], index: LineFile) -> None:
        waiting: deque[tuple[str, dict[str, Any], bool]] = deque()
        running: dict[Future[Any], tuple[str, dict[str, Any] | None]] = {}
        began = told = time.monotonic()
        more = True
        # Never more jobs than threads, so that nothing waits in the pool when the work breaks off.
        with ThreadPoolExecutor(self._max_concurrency, thread_name_prefix="messaging-export") as pool:
            while (more or waiting or running) and not self._stopped.is_set():
                while len(running) < self._max_concurrency and (waiting or more):
                    if waiting:
                        profile_id, row, newest = waiting.popleft()
                        job = pool.submit(self._messages.export, profile_id, row, newest=newest)
                        running[job] = (profile_id, row)
                    elif (listed := next(profile_ids, None)) is None:
                        more = False
                    else:
                        running[pool.submit(self._list, listed)] = (listed, None)
                done, _ = wait(running, timeout=1.0, return_when=FIRST_COMPLETED)
                for job in done:
                    profile_id, made_of = running.pop(job)
                    waiting.extend(self._conclude(job, profile_id, made_of, index))
                if time.monotonic() - told >= PROGRESS_SECONDS:
                    told = time.monotonic()
                    rate = (self.report.exported + self.report.present) / (told - began)
                    log.info("Archive export so far: %s; %.1f messages/s", self.report, rate)

    def _list(self, profile_id: str) -> _Listed:
        """List a profile, and tell for each message whether it is the youngest of its id."""
        selection = self._selection
        flow = archive.iter_archive(
            self._hook.client.api,
            profile_id,
            start=selection.start,
            end=selection.end,
            page_size=selection.page_size,
        )
        items = list(self._hook.iterate(flow))
        rows = [row for row in items if isinstance(row, dict) and selection.takes(profile_id, row)]
        youngest: dict[Any, dict[str, Any]] = {}
        for row in rows:
            known = youngest.get(row.get("message_id"))
            if known is None or (moment_of(row) or _EARLIEST) > (moment_of(known) or _EARLIEST):
                youngest[row.get("message_id")] = row
        return _Listed(
            [(row, youngest[row.get("message_id")] is row) for row in rows],
            [item for item in items if isinstance(item, FullWindow)],
        )

    def _conclude(
        self, job: Future[Any], profile_id: str, row: Mapping[str, Any] | None, index: LineFile
    ) -> Iterator[tuple[str, dict[str, Any], bool]]:
        """Count a finished job; yield the messages that it brought."""
        report = self.report
        if row is None:
            report.profiles += 1
        try:
            result: _Listed | Exported = job.result()
        except MessagingError as error:
            if row is None:
                report.failed_profiles += 1
            else:
                report.failed += 1
            message_id = None if row is None else row.get("message_id")
            index.write_all(
                [{"profile": profile_id, "message_id": message_id, "status": "failed", "error": str(error)}]
            )
            log.warning("message %r of profile %r: %s", message_id, profile_id, error)
            self._troubles.note(error)
            return
        self._troubles.in_a_row = 0
        if isinstance(result, Exported):
            report.add(result)
            index.write_all([result.line])
            return
        report.messages += len(result.rows)
        for window in result.full:
            report.full_windows += 1
            log.warning(
                "The archive lists no more than %d messages of profile %r for %s; there may be more that are not "
                "exported",
                archive.LISTED,
                profile_id,
                window,
            )
        for listed, newest in result.rows:
            yield profile_id, listed, newest


def _retryable(error: MessagingError) -> MessagingError:
    error.retryable = True
    return error


def index_in(export_path: str, context: dict[str, Any]) -> str:
    """Return the index's default place: mapped tasks may share a folder, and must not share an index."""
    map_index = getattr(context.get("ti"), "map_index", None)
    name = "index.ndjson" if map_index is None or map_index < 0 else f"index-{map_index}.ndjson"
    return f"{export_path.rstrip('/')}/{name}"
