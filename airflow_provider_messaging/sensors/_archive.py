"""Waiting for messages to be archived, and exporting them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.hooks._export import ArchiveExport, Selection, index_in
from airflow_provider_messaging.hooks._export_message import MAX_ATTACHMENTS, MAX_FILE_BYTES, make_parts
from airflow_provider_messaging.hooks._inputs import as_moment, listed, manifest_lines
from airflow_provider_messaging.hooks._settings import limited
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.sensors._waiting import whole_number
from airflow_provider_messaging.sensors._watch import WatchSensor, ids

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_messaging.triggers.marigold import ArchiveTrigger


class ArchiveExportSensor(WatchSensor):
    """Waits until messages are archived, and exports them if it is told where to.

    Messages given by reference or manifest are waited for by tracking, a profile's messages by listing. The export is
    that of `ExportArchiveOperator`; it runs in the task, never in the triggerer, and a retry goes on with it.

    Returns ``{"total", "reached", "lost", "open", "states", "references"}`` (``"profile_ids"`` where profiles are
    waited for), and with an `export_path` ``"export"`` with the result of the export.

    See ``docs/archive.md``.

    :param profile_ids: the profiles. Alone: wait until each has `min_count` messages in the archive. With `references`:
        where those are.
    :param references: the messages, at most 50,000.
    :param manifest_path: a manifest on object storage, instead: the messages in it that the vendor accepted, and their
        profiles.
    :param start: only messages, and events, from then on: ISO 8601 or a datetime. Default: no limit.
    :param end: only messages before then. Default: no limit.
    :param min_count: messages of each profile to wait for.
    :param export_path: the folder to export to. Default: no export.
    :param marigold_conn_id: a connection of type ``marigold``.

    ``index_path``, ``attachments``, ``previews``, ``max_attachments`` and ``max_bytes`` are those of
    `ExportArchiveOperator`, the other parameters those of `WatchSensor`.
    """

    template_fields: Sequence[str] = (
        "profile_ids",
        "references",
        "manifest_path",
        "start",
        "end",
        "min_count",
        "export_path",
        "index_path",
        "marigold_conn_id",
    )

    def __init__(
        self,
        *,
        profile_ids: Sequence[str] | None = None,
        references: Sequence[str] | None = None,
        manifest_path: str | None = None,
        start: str | datetime | None = None,
        end: str | datetime | None = None,
        min_count: int | str = 1,
        export_path: str | None = None,
        index_path: str | None = None,
        attachments: bool = True,
        previews: Sequence[str] = (),
        max_attachments: int = MAX_ATTACHMENTS,
        max_bytes: int = MAX_FILE_BYTES,
        marigold_conn_id: str = MarigoldHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.profile_ids = profile_ids
        self.references = references
        self.manifest_path = manifest_path
        self.start = start
        self.end = end
        self.min_count = min_count
        self.export_path = export_path
        self.index_path = index_path
        self.attachments = attachments
        self.previews = previews
        self.max_attachments = max_attachments
        self.max_bytes = max_bytes
        self.marigold_conn_id = marigold_conn_id

    def _make_trigger(self, **options: Any) -> ArchiveTrigger:
        from airflow_provider_messaging.triggers.marigold import ArchiveTrigger

        self._check()
        references = profile_ids = None
        if self.manifest_path is not None:
            references = [str(line["reference"]) for line in manifest_lines(self.manifest_path)]
        elif self.references is not None:
            references = ids(listed(self.references, "references"))
        else:
            profile_ids = ids(listed(self.profile_ids, "profile_ids"))
        start, end = as_moment(self.start, "start"), as_moment(self.end, "end")
        return ArchiveTrigger(
            marigold_conn_id=self.marigold_conn_id,
            references=references,
            profile_ids=profile_ids,
            start=None if start is None else start.isoformat(),
            end=None if end is None else end.isoformat(),
            min_count=whole_number(self.min_count, "min_count"),
            **options,
        )

    def _check(self) -> None:
        if self.references is not None and self.manifest_path is not None:
            raise ConfigurationError("give references or manifest_path", setting="references or manifest_path")
        if self.manifest_path is not None and self.profile_ids is not None:
            raise ConfigurationError("the manifest names the profiles: do not give both", setting="profile_ids")
        if self.references is None and self.manifest_path is None and self.profile_ids is None:
            raise ConfigurationError("say what to wait for", setting="profile_ids, references or manifest_path")
        if self.references is not None and self.profile_ids is None and self.export_path is not None:
            raise ConfigurationError(
                "references say nothing of their profiles, which an export needs to know",
                setting="profile_ids, or a manifest_path instead of references",
            )
        make_parts(self.attachments, self.previews, self.max_attachments, self.max_bytes)

    def _conclude(self, context: Context, outcome: dict[str, Any]) -> dict[str, Any]:
        if self.export_path is None:
            return outcome
        profiles, references = self._what_to_export()
        index_path = self.index_path or index_in(self.export_path, cast("dict[str, Any]", context))
        with MarigoldHook(self.marigold_conn_id) as hook:
            export = ArchiveExport(
                hook,
                self.export_path,
                index_path=index_path,
                parts=make_parts(self.attachments, self.previews, self.max_attachments, self.max_bytes),
                selection=Selection(
                    start=as_moment(self.start, "start"), end=as_moment(self.end, "end"), references=references
                ),
                max_concurrency=limited(self.max_concurrency),
            )
            report = export.run(profiles)
        paths = {"export_path": self.export_path, "index_path": index_path}
        return {**outcome, "export": {**report.counts(), **paths}}

    def _what_to_export(self) -> tuple[list[str], dict[str, frozenset[str]] | None]:
        """Return the profiles, and of each the references, None for all messages."""
        if self.manifest_path is None:
            profiles = ids(listed(self.profile_ids, "profile_ids"))
            if self.references is None:
                return profiles, None
            wanted = frozenset(ids(listed(self.references, "references")))
            return profiles, dict.fromkeys(profiles, wanted)
        found: dict[str, set[str]] = {}
        without = 0
        for line in manifest_lines(self.manifest_path):
            if line.get("profile"):
                found.setdefault(str(line["profile"]), set()).add(line["reference"])
            else:
                without += 1
        if without:
            self.log.warning("%d messages have no profile: the archive can't be asked for them", without)
        return list(found), {profile: frozenset(references) for profile, references in found.items()}
