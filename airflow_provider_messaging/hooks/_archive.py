"""The part of Marigold's hook that reads statistics and the archive."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from airflow_provider_messaging.core.flow import Flow
from airflow_provider_messaging.core.windows import Window
from airflow_provider_messaging.hooks._base import MessagingHook
from airflow_provider_messaging.hooks._storage import publisher
from airflow_provider_messaging.vendors.marigold import archive, statistics
from airflow_provider_messaging.vendors.marigold.archive import Document, FullWindow, Preview

MAX_BYTES = 64 * 1024 * 1024
"""Bytes of a download at most, unless the caller says otherwise."""

Target = str | Path | IO[bytes]


class ArchiveHook(MessagingHook):
    """Statistics and the archive."""

    def get_statistics(self, start: datetime, end: datetime) -> list[dict[str, Any]]:
        """Return ``{"window", "counters"}`` for every window that begins in ``start <= window < end``, in order.

        The vendor answers with at most 100 windows: a range that has more is halved and asked for again. Where a
        single minute still has 100, a warning in the log says so.
        """
        return list(self.iter_statistics(start, end))

    def iter_statistics(self, start: datetime, end: datetime) -> Iterator[dict[str, Any]]:
        """Yield what `get_statistics` returns, as it comes."""
        for item in self.iterate(statistics.iter_statistics(self.client.api, Window(start, end))):
            if isinstance(item, statistics.FullSpan):
                self.log.warning("Statistics: the answer for %s is full; windows may be missing there", item)
            else:
                yield item

    def list_archive(
        self,
        profile_id: str,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        page_size: int = archive.LISTED,
    ) -> Iterator[dict[str, Any]]:
        """Yield the archived messages of a profile with ``start <= timestamp < end``, each once, in no order.

        The vendor lists the last 100 messages only: a listing that is full is asked for again in parts, down to single
        days. Where a single day is still full, a warning in the log says so.

        :param page_size: rows a page (``$top``).
        """
        flow = archive.iter_archive(self.client.api, profile_id, start=start, end=end, page_size=page_size)
        for item in self.iterate(flow):
            if isinstance(item, FullWindow):
                self.log.warning(
                    "The archive lists no more than %d messages of profile %r for %s; there may be more",
                    archive.LISTED,
                    profile_id,
                    item,
                )
            else:
                yield item

    def get_archived_message(self, profile_id: str, message_id: str, tracking: bool = False) -> dict[str, Any] | None:
        """Return the metadata of an archived message, None where the vendor does not have it.

        :param tracking: ask for its tracking events as well.
        """
        return self.run(archive.get_message(self.client.api, profile_id, message_id, tracking=tracking))

    def delete_archived_message(self, profile_id: str, message_id: str) -> bool:
        """Delete one archived message, at once; return False where the vendor does not have it."""
        return self.run(archive.delete_message(self.client.api, profile_id, message_id))

    def delete_profile_archive(self, profile_id: str) -> None:
        """Ask the vendor to delete all archived messages of a profile, which it does some time later.

        `DeleteProfileArchiveOperator` waits until they are gone.
        """
        self.run(archive.delete_profile(self.client.api, profile_id))

    def download_message(
        self, profile_id: str, message_id: str, target: Target | None = None, *, max_bytes: int = MAX_BYTES
    ) -> Document:
        """Fetch an archived message in its channel's own format (``.eml``, ``.push``, ``.sms``).

        :param target: where to write it: a path, local or on object storage, written as a whole or not at all, or an
            open binary file. None returns the bytes as `content`.
        :param max_bytes: a larger file is an error.
        :raises TooLargeError: if it is larger.
        """
        return self._fetch(archive.download_message, profile_id, message_id, target=target, max_bytes=max_bytes)

    def download_attachment(
        self,
        profile_id: str,
        message_id: str,
        file_name: str,
        target: Target | None = None,
        *,
        max_bytes: int = MAX_BYTES,
    ) -> Document:
        """Fetch an attachment of an archived message; the other parameters are those of `download_message`.

        :param file_name: its name as the metadata give it. It is somebody else's text: do not make a path of it.
        """
        return self._fetch(
            archive.download_attachment, profile_id, message_id, file_name, target=target, max_bytes=max_bytes
        )

    def preview_message(
        self,
        profile_id: str,
        message_id: str,
        target: Target | None = None,
        *,
        as_: Preview = "html",
        max_bytes: int = MAX_BYTES,
    ) -> Document:
        """Fetch the preview of an archived message; the other parameters are those of `download_message`.

        :param as_: ``html`` or ``pdf``. It is somebody else's document: do not show it with your own rights.
        """
        return self._fetch(archive.preview_message, profile_id, message_id, as_, target=target, max_bytes=max_bytes)

    def _fetch(
        self, flow_of: Callable[..., Flow[Document]], *ids: str, target: Target | None, max_bytes: int
    ) -> Document:
        api = self.client.api
        if target is None:
            return self.run(flow_of(api, *ids, path=None, max_bytes=max_bytes))
        with tempfile.TemporaryDirectory(prefix="messaging-") as folder:
            path = os.path.join(folder, "file")
            document = self.run(flow_of(api, *ids, path=path, max_bytes=max_bytes))
            if isinstance(target, str | Path):
                publisher(str(target), "target")(path)
            else:
                with open(path, "rb") as source:
                    shutil.copyfileobj(source, target)
        return document
