"""Reading and writing the files of one landing."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

from airflow_provider_messaging.core.listing import Rows, Tally
from airflow_provider_messaging.delivery.outputs import Publish
from airflow_provider_messaging.hooks._base import Client
from airflow_provider_messaging.hooks._storage import publisher
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.transfers._files import Format, RowFile, row_file
from airflow_provider_messaging.vendors.marigold.reading import Selection, read_feedback

PROGRESS_SECONDS = 10.0
ROWS_AT_ONCE = 1000
"""Rows that are handed to the writing thread together: each time costs as much as reading some twenty."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """One file and what goes into it."""

    path: str
    form: Format
    publish: Publish
    selections: Sequence[Selection]

    @classmethod
    def to(cls, path: str, form: Format, selections: Sequence[Selection]) -> Job:
        """:raises ConfigurationError: if there is no file system for the path."""
        return cls(path, form, publisher(path, "path"), selections)

    def open(self) -> RowFile:
        """Return a new file that ends in the path's place."""
        return row_file(self.path, self.form, self.publish)


class Landing:
    """Writes the files one after the other, the pages of each read several at a time.

    Rows are compressed and written in a thread of their own, some pages behind the reading.
    """

    def __init__(
        self, hook: MarigoldHook, client: Client, jobs: Sequence[Job], *, page_size: int, max_concurrency: int
    ) -> None:
        self._hook = hook
        self._client = client
        self._jobs = jobs
        self._page_size = page_size
        self._max_concurrency = max_concurrency
        self._rows: Counter[str] = Counter()
        self._tally = Tally()
        self._files = 0
        self._began = time.monotonic()

    async def run(self) -> dict[str, int]:
        """Write all the files and return the number of rows by kind."""
        progress = asyncio.create_task(self._tell_progress())
        with ThreadPoolExecutor(1, thread_name_prefix="landing") as writer:
            try:
                async with self._hook.async_transport(self._client) as runner:
                    for job in self._jobs:
                        await self._land(runner, job, writer)
                        self._files += 1
                        kind = job.selections[0].kind
                        log.info("%d %s so far, %s is written", self._rows[kind], kind, job.path)
            finally:
                progress.cancel()
                with suppress(asyncio.CancelledError):
                    await progress
        return dict(self._rows)

    async def _land(self, runner: Any, job: Job, writer: ThreadPoolExecutor) -> None:
        file = job.open()
        whole = False
        loop = asyncio.get_running_loop()
        writing: asyncio.Future[None] | None = None
        try:
            for selection in job.selections:
                pages = read_feedback(
                    runner,
                    self._client.api,
                    selection,
                    page_size=self._page_size,
                    in_flight=self._max_concurrency,
                    tally=self._tally,
                )
                waiting: Rows = []
                async with aclosing(pages) as stream:
                    async for rows in stream:
                        self._rows[selection.kind] += len(rows)
                        waiting += rows
                        if len(waiting) >= ROWS_AT_ONCE:
                            if writing is not None:
                                await writing
                            writing = loop.run_in_executor(writer, file.write, selection.kind, waiting)
                            waiting = []
                if writing is not None:
                    await writing
                writing = loop.run_in_executor(writer, file.write, selection.kind, waiting)
            if writing is not None:
                await writing
            whole = True
        finally:
            if writing is not None:
                await asyncio.wait([writing])
            await loop.run_in_executor(writer, lambda: file.finish(publish=whole))

    async def _tell_progress(self) -> None:
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            done = sum(self._rows.values())
            log.info(
                "%d rows read, %.0f a second; %d of %d files are written; %d requests, %d of them repeated",
                done,
                done / (time.monotonic() - self._began),
                self._files,
                len(self._jobs),
                self._tally.pages + self._tally.repeated,
                self._tally.repeated,
            )
