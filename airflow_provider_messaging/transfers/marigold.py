"""Feedback of Marigold Engage Delivery Cloud: to object storage, and from there into a database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.compat.sdk import BaseHook, BaseOperator

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.core.windows import Window
from airflow_provider_messaging.delivery.outputs import LineFile
from airflow_provider_messaging.delivery.source import BadLine
from airflow_provider_messaging.hooks._errors import no_retry_where_useless
from airflow_provider_messaging.hooks._storage import is_compressed, lines_of, publisher, storage_path
from airflow_provider_messaging.hooks._window import run_window
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.transfers._sql import EventTable
from airflow_provider_messaging.vendors.marigold.endpoints import FEEDBACK, VENDOR
from airflow_provider_messaging.vendors.marigold.feedback import normalise
from airflow_provider_messaging.vendors.marigold.times import parse_timestamp

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

KINDS = ("bounces", "complaints", "list_unsubscribes")


class FeedbackToObjectStorageOperator(BaseOperator):
    """Reads the feedback of a window and writes the vendor's rows as NDJSON to object storage.

    A file is written as a whole or not at all, and its name depends on kind and window only: a re-run replaces it.
    Pages go straight to the file; memory does not grow with their number.

    Returns ``{"files": [...], "rows": {kind: n}, "start", "end"}``.

    :param path: a file (it has a suffix, and one kind is asked for; ``.gz`` is packed), else a folder, partitioned
        into ``kind=…/date=…/``.
    :param kinds: some of ``bounces``, ``complaints``, ``list_unsubscribes``.
    :param start: rows before it are left out: ISO 8601 or a datetime. Default: the start of the run's data interval,
        or of the run itself where it has none.
    :param end: rows from then on are left out. Default: the end of the run's data interval, or a day after the start
        of the run.
    :param account_id: another account than the connection's.
    :param page_size: rows a page (``$top``).
    :param marigold_conn_id: a connection of type ``marigold``.
    """

    template_fields: Sequence[str] = ("path", "start", "end", "account_id", "marigold_conn_id")

    def __init__(
        self,
        *,
        path: str,
        kinds: Sequence[str] = KINDS,
        start: str | datetime | None = None,
        end: str | datetime | None = None,
        account_id: str | None = None,
        page_size: int = 100,
        marigold_conn_id: str = MarigoldHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.kinds = kinds
        self.start = start
        self.end = end
        self.account_id = account_id
        self.page_size = page_size
        self.marigold_conn_id = marigold_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Write the files and return their names and counts."""
        with no_retry_where_useless():
            kinds = _checked_kinds(self.kinds)
            _check_positive(self.page_size, "page_size")
            window = self._window(context)
            files: list[str] = []
            rows: dict[str, int] = {}
            with MarigoldHook(self.marigold_conn_id) as hook:
                for kind in kinds:
                    rows[kind] = 0
                    for part in [window] if self._is_file(kinds) else window.days():
                        name = self._file_name(kind, part, kinds)
                        rows[kind] += self._land(hook, kind, part, name)
                        files.append(name)
                        self.log.info("%d %s so far, %s is written", rows[kind], kind, name)
        return {
            "files": files,
            "rows": rows,
            "start": window.start.isoformat(),
            "end": window.end.isoformat(),
        }

    def _window(self, context: Context) -> Window:
        run = run_window(cast("dict[str, Any]", context))
        start = _moment(self.start, "start") if self.start else run.start
        end = _moment(self.end, "end") if self.end else run.end
        if end < start:
            raise ConfigurationError(f"the window ends ({end}) before it starts ({start})", setting="start, end")
        return Window(start, end)

    def _is_file(self, kinds: Sequence[str]) -> bool:
        return len(kinds) == 1 and bool(storage_path(self.path, "path").suffix)

    def _file_name(self, kind: str, window: Window, kinds: Sequence[str]) -> str:
        if self._is_file(kinds):
            return self.path
        day = window.start.date().isoformat()
        span = f"{window.start:%Y%m%dT%H%M%SZ}-{window.end:%Y%m%dT%H%M%SZ}"
        return f"{self.path.rstrip('/')}/kind={kind}/date={day}/{kind}-{span}.ndjson.gz"

    def _land(self, hook: MarigoldHook, kind: str, window: Window, name: str) -> int:
        file = LineFile(publisher(name, "path"), compressed=is_compressed(name))
        complete = False
        try:
            for row in hook.iter_feedback_json(kind, window, account_id=self.account_id, page_size=self.page_size):
                file.write_line(row)
            complete = True
        finally:
            file.finish(publish=complete)
        return file.lines


class FeedbackToSqlOperator(BaseOperator):
    """Loads landed feedback into a table, one row an event. Loading twice changes nothing.

    Columns: see ``docs/feedback.md``. Returns ``{"table", "rows", "files"}``, where `rows` counts what was read.

    :param source_path: a file, a list of files, the folder, or the result of `FeedbackToObjectStorageOperator`.
    :param table: the table, with its schema where the database needs one.
    :param sql_conn_id: any connection whose hook is of Airflow's common SQL provider.
    :param kinds: what to load from a folder; of a single file without ``kind=…`` in its path: what it holds.
    :param create_table: create the table if it does not exist.
    :param commit_every: rows a transaction.
    """

    template_fields: Sequence[str] = ("source_path", "table", "sql_conn_id")

    def __init__(
        self,
        *,
        source_path: str | Sequence[str] | dict[str, Any],
        table: str,
        sql_conn_id: str,
        kinds: Sequence[str] = KINDS,
        create_table: bool = False,
        commit_every: int = 1000,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source_path = source_path
        self.table = table
        self.sql_conn_id = sql_conn_id
        self.kinds = kinds
        self.create_table = create_table
        self.commit_every = commit_every

    def execute(self, context: Context) -> dict[str, Any]:
        """Load the files and return how many rows they hold."""
        with no_retry_where_useless():
            kinds = _checked_kinds(self.kinds)
            _check_positive(self.commit_every, "commit_every")
            files = [(name, self._kind(name, kinds)) for name in self._files(kinds)]
            table = EventTable(BaseHook.get_hook(self.sql_conn_id), self.table)
            if self.create_table:
                table.create()
            loaded = 0
            events = chain.from_iterable(_events(name, kind) for name, kind in files)
            while part := list(islice(events, self.commit_every)):
                table.upsert(part)
                loaded += len(part)
                self.log.info("%d rows loaded into %s", loaded, self.table)
        return {"table": self.table, "rows": loaded, "files": [name for name, _ in files]}

    def _files(self, kinds: Sequence[str]) -> list[str]:
        source = self.source_path
        if isinstance(source, dict):
            if "files" not in source:
                raise ConfigurationError(
                    "it is not the result of FeedbackToObjectStorageOperator: it names no files",
                    setting="source_path",
                )
            source = source["files"]
        if not isinstance(source, str):
            return [str(name) for name in source]
        path = storage_path(source, "source_path")
        # The path's own methods may use another file system than the one that is attached in Airflow.
        if not path.fs.exists(path.path):
            raise ConfigurationError(f"there is nothing at {source!r}", setting="source_path")
        if not path.fs.isdir(path.path):
            return [source]
        files: list[str] = []
        for folder in (f"/kind={kind}/" for kind in kinds):
            found = path.fs.find(path.path.rstrip("/") + folder)
            files += [source.rstrip("/") + folder + name.rpartition(folder)[2] for name in found]
        if not files and not any(path.fs.exists(f"{path.path.rstrip('/')}/kind={kind}") for kind in KINDS):
            raise ConfigurationError(
                f"the folder {source!r} has no kind=… below it, as FeedbackToObjectStorageOperator writes them",
                setting="source_path",
            )
        # Not the parts that a landing is writing at this moment, or left behind when it was killed.
        return sorted(name for name in files if name.endswith((".ndjson", ".ndjson.gz")))

    def _kind(self, name: str, kinds: Sequence[str]) -> str:
        for kind in KINDS:
            if f"/kind={kind}/" in name:
                return kind
        if len(kinds) != 1:
            raise ConfigurationError(
                f"{name!r} does not say which kind of feedback it holds; give exactly one kind",
                setting="kinds",
            )
        return kinds[0]


def _events(name: str, kind: str) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(lines_of(name, "source_path")()):
        if isinstance(row, BadLine) or not isinstance(row, dict):
            raise ConfigurationError(f"line {number} of {name!r} is not a JSON object", setting="source_path")
        yield normalise(kind, row)


def _checked_kinds(kinds: Sequence[str]) -> list[str]:
    listed = [kinds] if isinstance(kinds, str) else list(kinds)
    unknown = [kind for kind in listed if kind not in FEEDBACK]
    if unknown or not listed:
        raise ConfigurationError(
            f"kinds must be some of {', '.join(KINDS)}, not {listed}", vendor=VENDOR, setting="kinds"
        )
    return listed


def _check_positive(value: int, setting: str) -> None:
    if value < 1:
        raise ConfigurationError(f"{setting} must be at least 1", vendor=VENDOR, setting=setting)


def _moment(value: Any, setting: str) -> datetime:
    text = value.isoformat() if isinstance(value, date) else str(value)
    try:
        return parse_timestamp(f"{text}T00:00:00Z" if len(text) == len("2026-01-01") else text)
    except ValueError:
        raise ConfigurationError(
            f"{setting} is {text!r}, not an ISO 8601 date or time", vendor=VENDOR, setting=setting
        ) from None
