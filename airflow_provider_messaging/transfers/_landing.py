"""Feedback to object storage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.core.feedback import FEEDBACK as COLUMNS
from airflow_provider_messaging.core.windows import Window
from airflow_provider_messaging.hooks._errors import no_retry_where_useless
from airflow_provider_messaging.hooks._lineage import Dataset, Lineage, collect_hook_lineage, emit_asset_events
from airflow_provider_messaging.hooks._storage import storage_path
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.transfers._files import SUFFIXES, Format, format_of
from airflow_provider_messaging.transfers._jobs import Job
from airflow_provider_messaging.transfers._pulling import PullOperator
from airflow_provider_messaging.vendors.marigold.endpoints import FEEDBACK
from airflow_provider_messaging.vendors.marigold.reading import MODES, Selection

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class FeedbackToObjectStorageOperator(PullOperator):
    """Reads the feedback of a window and writes it to object storage, as the vendor's rows or as events.

    A file is written as a whole or not at all, and its name depends on its kind and the window: a re-run replaces it.
    Windows are closed, and each reads again what the one before it read last, because feedback comes late and in any
    order: see ``docs/feedback.md``. Memory does not grow with the number of rows.

    Returns ``{"files": [...], "rows": {kind: n}, "start", "end"}``. The task's outlets get the same as extra of their
    asset events.

    :param path: a file (it has a suffix, and one kind is asked for; ``.gz`` is packed), else a folder, partitioned
        into ``kind=…/date=…/``, and by ``account=…`` and ``mode=…`` where they are given.
    :param kinds: some of ``bounces``, ``complaints``, ``list_unsubscribes``.
    :param start: rows before it are left out: ISO 8601 or a datetime. Default: the start of the run's data interval,
        less `lag` and `look_back`.
    :param end: rows from then on are left out; later than now less `lag` is never read. Default: the end of the run's
        data interval less `lag`; of a run that has no data interval, now less `lag`.
    :param lag: seconds, or a timedelta, after which the vendor lists an event.
    :param look_back: seconds, or a timedelta, that each window begins before the run's data interval: at least as long
        as feedback is late. Where runs have an empty data interval (``schedule="@hourly"``), the pause between two
        runs longer than that.
    :param account_id: another account than the connection's, or a list of accounts.
    :param mode: bounces of one mode only, ``direct`` or ``indirect``.
    :param format: ``ndjson``, the vendor's own rows, or ``parquet``, events (needs the extra ``parquet``). Default: by
        the suffix of `path`.
    :param page_size: rows a page (``$top``).
    :param max_concurrency: pages that are asked for at the same time.
    :param marigold_conn_id: a connection of type ``marigold``.
    """

    def __init__(self, *, mode: str | None = None, format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mode = mode
        self.format = format

    def execute(self, context: Context) -> dict[str, Any]:
        """Write the files and return their names and counts.

        :raises AirflowFailException: where a retry is of no use.
        """
        with no_retry_where_useless():
            kinds = self.checked()
            form = format_of(self.path, self.format)
            window = self.window(context)
            jobs = list(self._jobs(kinds, window, form))
            # Who tries it out wonders where a bounce of a minute ago is.
            self.log.info("Reading what happened from %s to before %s (lag: %s)", window.start, window.end, self.lag)
            with MarigoldHook(self.marigold_conn_id) as hook:
                rows = self.pull(hook, jobs)
        rows = {kind: rows.get(kind, 0) for kind in kinds}
        span = {"start": window.start.isoformat(), "end": window.end.isoformat()}
        sources = [FEEDBACK[kind].url(hook.client.api.base_url, hook.client.api.overrides) for kind in kinds]
        files = [job.path for job in jobs]
        emit_asset_events(
            cast("dict[str, Any]", context), location=self.path, extra={"rows": rows, "files": len(files), **span}
        )
        collect_hook_lineage(hook, inputs=sources, outputs=files)
        columns = [(column.name, column.type, column.meaning) for column in COLUMNS] if form == "parquet" else []
        self._lineage = Lineage(
            inputs=[Dataset.at(source) for source in sources],
            outputs=[Dataset.at(self.path, rows=sum(rows.values()), columns=columns)],
        )
        return {"files": files, "rows": rows, **span}

    def _jobs(self, kinds: Sequence[str], window: Window, form: Format) -> Iterator[Job]:
        """Yield a job for each file."""
        if self.mode is not None and (self.mode not in MODES or "bounces" not in kinds):
            raise ConfigurationError(
                f"mode is {' or '.join(MODES)}, of bounces only, not {self.mode!r}", setting="mode, kinds"
            )
        accounts = self.accounts()
        if storage_path(self.path, "path").suffix and len(kinds) == 1:
            if window.start < window.end:
                chosen = [self._selection(kinds[0], window, account) for account in accounts]
                yield Job.to(self.path, form, chosen)
            return
        for kind in kinds:
            for account in accounts:
                for day in window.days():
                    chosen = [self._selection(kind, day, account)]
                    yield Job.to(self._file_name(chosen[0], window, form), form, chosen)

    def _selection(self, kind: str, window: Window, account: str | None) -> Selection:
        mode = self.mode if kind == "bounces" else None
        return Selection(kind=kind, window=window, mode=mode, account_id=account)

    def _file_name(self, chosen: Selection, window: Window, form: Format) -> str:
        """Return the name of a day's file. It holds the whole window: the file is of this run, and of no other."""
        parts = [self.path.rstrip("/"), f"kind={chosen.kind}"]
        if chosen.account_id is not None:
            parts.append(f"account={quote(chosen.account_id, safe='')}")
        if chosen.mode is not None:
            parts.append(f"mode={chosen.mode}")
        parts.append(f"date={chosen.window.start.date().isoformat()}")
        parts.append(f"{chosen.kind}-{_stamp(window.start)}-{_stamp(window.end)}{SUFFIXES[form]}")
        return "/".join(parts)


def _stamp(moment: datetime) -> str:
    fraction = f".{moment.microsecond:06}" if moment.microsecond else ""
    return f"{moment:%Y%m%dT%H%M%S}{fraction}Z"
