"""Operators for the archive of Marigold Engage Delivery Cloud."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.hooks._erasure import Erasure
from airflow_provider_messaging.hooks._errors import no_retry_where_useless
from airflow_provider_messaging.hooks._export import ArchiveExport, Selection, index_in
from airflow_provider_messaging.hooks._export_message import MAX_ATTACHMENTS, MAX_FILE_BYTES, make_parts
from airflow_provider_messaging.hooks._inputs import as_moment, listed, profiles_of
from airflow_provider_messaging.hooks._settings import limited
from airflow_provider_messaging.hooks._storage import line_file, storage_path
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.vendors.marigold.archive import LISTED

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class _ProfilesOperator(BaseOperator):
    """What both have in common: the profiles and the connection."""

    template_fields: Sequence[str] = ("profile_ids", "profile_ids_path", "marigold_conn_id")

    def __init__(
        self,
        *,
        profile_ids: Sequence[str] | None = None,
        profile_ids_path: str | None = None,
        max_concurrency: int = 8,
        marigold_conn_id: str = MarigoldHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.profile_ids = profile_ids
        self.profile_ids_path = profile_ids_path
        self.max_concurrency = max_concurrency
        self.marigold_conn_id = marigold_conn_id

    def _profiles(self) -> Iterator[str]:
        if (self.profile_ids is None) == (self.profile_ids_path is None):
            raise ConfigurationError(
                "give either profile_ids or profile_ids_path", setting="profile_ids or profile_ids_path"
            )
        if self.max_concurrency < 1:
            raise ConfigurationError("max_concurrency must be at least 1", setting="max_concurrency")
        if self.profile_ids_path is not None:
            return profiles_of(self.profile_ids_path)
        ids: Iterable[Any] = listed(self.profile_ids, "profile_ids")
        return iter(dict.fromkeys(str(each) for each in ids))


class ExportArchiveOperator(_ProfilesOperator):
    """Exports archived messages of profiles to object storage: a folder each, and an index of them all.

    A folder holds ``message.eml`` (``.push``, ``.sms``), ``attachments/``, the previews, and at last ``metadata.json``
    with the vendor's metadata, the tracking events and every file's original name, size and SHA-256. A folder with a
    ``metadata.json`` is complete and not fetched again: a retry, or a later run, fetches what is missing. Names that
    come from the vendor never choose a path. See ``docs/archive.md``.

    Returns the counts ``{"profiles", "messages", "exported", "present", "gone", "shadowed", "failed", …}`` and
    ``{"export_path", "index_path"}``.

    :param profile_ids: the profiles.
    :param profile_ids_path: a file on object storage, instead: a profile a line, as it is, as a JSON string, or as
        ``profile`` of a JSON object, so that a manifest will do.
    :param export_path: the folder to write to.
    :param index_path: where the index goes, NDJSON. Default: ``index.ndjson`` in `export_path`, of a mapped task
        ``index-<map index>.ndjson``.
    :param start: only messages from then on: ISO 8601 or a datetime. Default: no limit.
    :param end: only messages before then. Default: no limit.
    :param attachments: fetch attachments.
    :param previews: fetch previews: some of ``html`` and ``pdf``.
    :param max_attachments: attachments of one message; further ones are left out and reported.
    :param max_bytes: bytes of one file; a larger attachment or preview is left out and reported, a larger message
        fails.
    :param page_size: rows a page of the vendor's listing.
    :param max_concurrency: messages that are fetched at the same time.
    :param marigold_conn_id: a connection of type ``marigold``.
    """

    template_fields: Sequence[str] = (
        *_ProfilesOperator.template_fields,
        "export_path",
        "index_path",
        "start",
        "end",
    )

    def __init__(
        self,
        *,
        export_path: str,
        index_path: str | None = None,
        start: str | datetime | None = None,
        end: str | datetime | None = None,
        attachments: bool = True,
        previews: Sequence[str] = (),
        max_attachments: int = MAX_ATTACHMENTS,
        max_bytes: int = MAX_FILE_BYTES,
        page_size: int = LISTED,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.export_path = export_path
        self.index_path = index_path
        self.start = start
        self.end = end
        self.attachments = attachments
        self.previews = previews
        self.max_attachments = max_attachments
        self.max_bytes = max_bytes
        self.page_size = page_size
        self._export: ArchiveExport | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Export, and return the counts and the two paths.

        :raises AirflowFailException: where a retry is of no use.
        """
        with no_retry_where_useless():
            profiles = self._profiles()
            parts = make_parts(self.attachments, self.previews, self.max_attachments, self.max_bytes)
            selection = Selection(
                start=as_moment(self.start, "start"), end=as_moment(self.end, "end"), page_size=self.page_size
            )
            index_path = self.index_path or index_in(self.export_path, cast("dict[str, Any]", context))
            with MarigoldHook(self.marigold_conn_id) as hook:
                self._export = ArchiveExport(
                    hook,
                    self.export_path,
                    index_path=index_path,
                    parts=parts,
                    selection=selection,
                    max_concurrency=limited(self.max_concurrency),
                )
                report = self._export.run(profiles)
        return {**report.counts(), "export_path": self.export_path, "index_path": index_path}

    def on_kill(self) -> None:
        """Start nothing new; a later try goes on."""
        if self._export is not None:
            self._export.stop()


class DeleteProfileArchiveOperator(_ProfilesOperator):
    """Deletes all archived messages of profiles, as for an erasure request, and writes a receipt.

    The vendor deletes some time after it was asked: with `verify` the task waits until it lists no message any more.
    The receipt has a line for each profile, also when the task fails: ``profile``, ``listed`` (messages before, at most
    as many as the vendor lists), ``requested_at``, ``verified``, ``verified_at``, ``remaining``, ``error``, and dag,
    run and task.

    Returns ``{"profiles", "listed", "verified", "receipt_path"}``.

    See ``docs/archive.md``.

    :param profile_ids: the profiles.
    :param profile_ids_path: a file on object storage, instead: a profile a line, as it is, as a JSON string, or as
        ``profile`` of a JSON object.
    :param receipt_path: where the receipt goes, NDJSON.
    :param verify: wait until the vendor lists no message any more.
    :param verify_timeout: seconds to wait for that, all profiles together.
    :param poll_interval: seconds between two looks.
    :param max_concurrency: profiles that are worked on at the same time.
    :param marigold_conn_id: a connection of type ``marigold``.
    """

    template_fields: Sequence[str] = (*_ProfilesOperator.template_fields, "receipt_path")

    def __init__(
        self,
        *,
        receipt_path: str | None = None,
        verify: bool = True,
        verify_timeout: float = 600.0,
        poll_interval: float = 5.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.receipt_path = receipt_path
        self.verify = verify
        self.verify_timeout = verify_timeout
        self.poll_interval = poll_interval
        self._erasure: Erasure | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Delete, verify, write the receipt.

        :raises AirflowFailException: where a retry is of no use.
        """
        with no_retry_where_useless():
            profiles = list(self._profiles())
            if self.receipt_path is not None:
                storage_path(self.receipt_path, "receipt_path")
            ti = context["ti"]
            origin = {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": ti.task_id}
            with MarigoldHook(self.marigold_conn_id) as hook:
                self._erasure = erasure = Erasure(
                    hook,
                    profiles,
                    verify_timeout=self.verify_timeout if self.verify else None,
                    poll_interval=self.poll_interval,
                    max_concurrency=limited(self.max_concurrency),
                )
                try:
                    erasure.run()
                finally:
                    receipt = line_file(self.receipt_path, "receipt_path")
                    if receipt is not None:
                        receipt.write_all([{**line, **origin} for line in erasure.receipt()])
                        receipt.finish()
                erasure.check(self.receipt_path)
        lines = erasure.receipt()
        return {
            "profiles": len(lines),
            "listed": sum(line["listed"] or 0 for line in lines),
            "verified": sum(line["verified"] for line in lines),
            "receipt_path": self.receipt_path,
        }

    def on_kill(self) -> None:
        """End the wait; the receipt says how far it came."""
        if self._erasure is not None:
            self._erasure.stop()
