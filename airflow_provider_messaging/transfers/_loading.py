"""Landed feedback, and manifests, into a database."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.compat.sdk import BaseHook, BaseOperator

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.hooks._errors import no_retry_where_useless
from airflow_provider_messaging.hooks._feedback_files import events_of, feedback_files
from airflow_provider_messaging.hooks._inputs import as_moment
from airflow_provider_messaging.hooks._lineage import Dataset, Lineage, collect_hook_lineage, emit_asset_events
from airflow_provider_messaging.hooks._manifests import manifest_files
from airflow_provider_messaging.transfers._arguments import KINDS, check_positive, checked_kinds
from airflow_provider_messaging.transfers._contracts import FEEDBACK_TABLE, LOADED, MANIFEST_TABLE, Contract
from airflow_provider_messaging.transfers._manifest_rows import manifest_rows
from airflow_provider_messaging.transfers._sql import SqlTable
from airflow_provider_messaging.transfers._upserts import Row, Written, weight

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

log = logging.getLogger(__name__)

MANIFEST = "manifest"
PROGRESS_SECONDS = 10.0
_BYTES_PER_TRANSACTION = 16_000_000


class FeedbackToSqlOperator(BaseOperator):
    """Loads landed feedback, or manifests, into a table: one row an event, or a message. Loading twice changes nothing.

    Rows are upserted by their key in transactions of bounded size, in bulk; memory does not grow with their number.
    Several loads into one table may run at the same time. Columns, types and indexes: see ``docs/feedback.md``.

    Returns ``{"table", "rows", "inserted", "updated", "files"}``: `rows` counts what was read, `inserted` what is new
    in the table, `updated` what was there with other values. The task's outlets get the counts as extra of their
    asset events.

    :param source_path: a file, a list of files, a folder, the result of `FeedbackToObjectStorageOperator`, or a batch
        of `WebhookEventTrigger`; NDJSON (``.gz`` is unpacked) of the vendor's rows or of its webhook's events, or
        Parquet. Of manifests: the same, or the result of the operator that sent.
    :param table: the table, with its schema where the database needs one. What stands in double quotes is exact
        (``"Mail Events"``), the rest follows the database's own rules of upper and lower case.
    :param sql_conn_id: any connection whose hook is of Airflow's common SQL provider. PostgreSQL, MySQL, MariaDB and
        SQLite are tested.
    :param kinds: what to load from a folder; of a single file without ``kind=…`` in its path: what it holds.
        ``manifest``, by itself, loads manifests, which have a table of their own.
    :param since: ISO 8601 or a datetime: leave out folders ``date=…`` of days that ended before it. What is loaded
        twice changes nothing, so it need not be exact. Not for manifests.
    :param create_table: make the table with its indexes if it does not exist; one that exists is left as it is.
    :param commit_every: rows a transaction, at most.
    """

    template_fields: Sequence[str] = ("source_path", "table", "sql_conn_id", "since")

    def __init__(
        self,
        *,
        source_path: str | Sequence[str] | dict[str, Any],
        table: str,
        sql_conn_id: str,
        kinds: Sequence[str] = KINDS,
        since: str | datetime | None = None,
        create_table: bool = False,
        commit_every: int = 10_000,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source_path = source_path
        self.table = table
        self.sql_conn_id = sql_conn_id
        self.kinds = kinds
        self.since = since
        self.create_table = create_table
        self.commit_every = commit_every
        self._lineage = Lineage()

    def execute(self, context: Context) -> dict[str, Any]:
        """Load the files and return how many rows they hold.

        :raises AirflowFailException: where a retry is of no use.
        """
        with no_retry_where_useless():
            check_positive(self.commit_every, "commit_every")
            contract, sources = self._sources()
            hook = BaseHook.get_hook(self.sql_conn_id)
            with SqlTable(hook, self.table, contract) as table:
                table.prepare(create=self.create_table)
                rows, written = self._load(table, contract, sources)
                target = table.location()
        files = list(sources)
        counts = {"rows": rows, "inserted": written.inserted, "updated": written.updated}
        emit_asset_events(
            cast("dict[str, Any]", context),
            location=target.uri,
            extra={"table": self.table, **counts, "files": len(files), **_window(self.source_path)},
        )
        collect_hook_lineage(hook, inputs=files, outputs=[target.uri])
        columns = [(column.name, column.type, column.meaning) for column in (*contract.columns, *LOADED)]
        self._lineage = Lineage(
            inputs=[Dataset.at(name) for name in files],
            outputs=[Dataset(namespace=target.namespace, name=target.name, rows=sum(written), columns=columns)],
        )
        return {"table": self.table, **counts, "files": files}

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Return what was read and written, for OpenLineage."""
        return self._lineage.as_openlineage()

    def _sources(self) -> tuple[Contract, Mapping[str, Callable[[], Iterable[Any]]]]:
        """Return what is loaded: for each file, what reads its rows."""
        kinds = [self.kinds] if isinstance(self.kinds, str) else list(self.kinds)
        if kinds == [MANIFEST]:
            names = manifest_files(self.source_path, "source_path")
            return MANIFEST_TABLE, {name: partial(manifest_rows, name, "source_path") for name in names}
        if MANIFEST in kinds:
            raise ConfigurationError("manifests have a table of their own: load them by themselves", setting="kinds")
        found = feedback_files(self.source_path, checked_kinds(kinds), since=as_moment(self.since, "since"))
        return FEEDBACK_TABLE, {file.name: partial(events_of, file) for file in found}

    def _load(
        self, table: SqlTable, contract: Contract, sources: Mapping[str, Callable[[], Iterable[Any]]]
    ) -> tuple[int, Written]:
        began = told = time.monotonic()
        read, written = 0, Written()
        for part, done in self._parts(contract, sources):
            written = written.plus(table.upsert(part))
            read += len(part)
            if time.monotonic() - told >= PROGRESS_SECONDS:
                told = time.monotonic()
                self._tell(read, written, told - began, f"{done} of {len(sources)} files are read")
        self._tell(read, written, time.monotonic() - began, f"all of {len(sources)} files")
        return read, written

    def _tell(self, read: int, written: Written, seconds: float, files: str) -> None:
        log.info(
            "%d rows are in %s, %.0f a second; %d are new, %d have changed; %s",
            read,
            self.table,
            read / max(seconds, 1e-6),
            *written,
            files,
        )

    def _parts(
        self, contract: Contract, sources: Mapping[str, Callable[[], Iterable[Any]]]
    ) -> Iterator[tuple[list[Row], int]]:
        """Yield the rows of each transaction, cut by number and by size, and how many files are read."""
        part: list[Row] = []
        size = 0
        for done, rows in enumerate(sources.values()):
            for row in rows():
                contract.fit(row)
                part.append(row)
                size += weight(row)
                if len(part) >= self.commit_every or size >= _BYTES_PER_TRANSACTION:
                    yield part, done
                    part, size = [], 0
        if part:
            yield part, len(sources)


def _window(source: object) -> dict[str, Any]:
    """Return the window of the landing, where its result is the source."""
    return {name: source[name] for name in ("start", "end") if name in source} if isinstance(source, Mapping) else {}
