"""One archived message as a folder of files."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from airflow_provider_messaging.core.errors import ConfigurationError, MessagingError, ValidationError, VendorError
from airflow_provider_messaging.core.flow import Flow
from airflow_provider_messaging.core.names import numbered_name, unique_name
from airflow_provider_messaging.hooks._archive import ArchiveHook
from airflow_provider_messaging.hooks._folder import Folder
from airflow_provider_messaging.vendors.marigold import archive
from airflow_provider_messaging.vendors.marigold.archive import PREVIEWS, Document, TooLargeError, moment_of

METADATA = "metadata.json"
"""Written last: a folder that has it is complete."""
MAX_ATTACHMENTS = 100
MAX_FILE_BYTES = 256 * 1024 * 1024
_SUFFIXES = {"email": ".eml", "mobile": ".push", "push": ".push", "sms": ".sms"}
_NOT_THERE = frozenset({404, 406, 410})

Status = Literal["exported", "present", "gone", "shadowed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What is fetched of each message, and how much at most.

    :param previews: some of ``html`` and ``pdf``.
    :param max_attachments: attachments of one message; further ones are left out and reported.
    :param max_bytes: bytes of one file; a larger attachment or preview is left out and reported.
    """

    attachments: bool = True
    previews: Sequence[str] = ()
    max_attachments: int = MAX_ATTACHMENTS
    max_bytes: int = MAX_FILE_BYTES

    @property
    def names(self) -> list[str]:
        return ["message", *(["attachments"] if self.attachments else []), *(f"preview.{n}" for n in self.previews)]


def make_parts(attachments: bool, previews: Sequence[str], max_attachments: int, max_bytes: int) -> Parts:
    """Check what is to be exported of each message.

    :raises ConfigurationError: naming the argument at fault.
    """
    if isinstance(previews, str) or not set(previews) <= set(PREVIEWS):
        raise ConfigurationError(
            f"previews must be a list of {', '.join(PREVIEWS)}, not {previews!r}", setting="previews"
        )
    if max_attachments < 0:
        raise ConfigurationError("max_attachments must not be negative", setting="max_attachments")
    if max_bytes < 1:
        raise ConfigurationError("max_bytes must be at least 1", setting="max_bytes")
    return Parts(
        attachments=attachments,
        previews=tuple(dict.fromkeys(previews)),
        max_attachments=max_attachments,
        max_bytes=max_bytes,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What became of one message; `line` is its line in the index."""

    status: Status
    files: int = 0
    bytes: int = 0
    skipped: int = 0
    line: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Files:
    """The files of a message as they are stored."""

    stored: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[dict[str, Any]] = field(default_factory=list)

    def skip(self, reason: str, count: int = 1, **what: Any) -> None:
        self.skipped.append({**what, "reason": reason, "count": count})

    @property
    def bytes(self) -> int:
        return sum(file["size"] for file in self.stored)


class MessageExport:
    """Fetches messages of an archive into folders of their own; may be used by several threads at once.

    A path consists of names that we make. What the vendor says a file is called stands in the metadata only.
    """

    def __init__(self, hook: ArchiveHook, folder: Folder, parts: Parts) -> None:
        self._hook = hook
        self._api = hook.client.api
        self._folder = folder
        self._parts = parts
        self._proven: set[str] = set()

    def export(self, profile_id: str, row: Mapping[str, Any], *, newest: bool = True) -> Exported:
        """Fetch a listed message unless its folder is complete.

        :param newest: False if another message of the profile has the same id and is younger: only that one can be
            fetched.
        :raises MessagingError: if it can't be fetched; its folder is then not complete.
        """
        message_id = str(row.get("message_id") or "")
        moment = moment_of(row)
        when = moment.isoformat() if moment else str(row.get("timestamp") or "")
        names = (unique_name(profile_id), unique_name(message_id, when))
        line = {
            "profile": profile_id,
            "message_id": message_id,
            "channel": row.get("channel"),
            "timestamp": when,
            "folder": "/".join(names),
        }
        present = self._present(names)
        if present is not None:
            return _outcome("present", line, present["files"], present["skipped"])
        if not newest:
            return _outcome("shadowed", line)
        document = self._metadata(profile_id, message_id)
        if document is None:
            return _outcome("gone", line)
        files = _Files()
        self._folder.sweep(*names)
        with tempfile.TemporaryDirectory(prefix="messaging-export-") as scratch:
            local = os.path.join(scratch, "file")
            for kind, name, flow_of, what in self._planned(profile_id, message_id, document, files):
                self._store(names, kind, name, flow_of, what, local, files)
            if not any(file["kind"] == "message" for file in files.stored):
                return _outcome("gone", line)
            self._commit(names, local, profile_id, message_id, document, files)
        return _outcome("exported", line, files.stored, files.skipped)

    def _present(self, names: tuple[str, str]) -> dict[str, Any] | None:
        """Return what an earlier export wrote, if it has all that is wanted now."""
        content = self._folder.read(*names, METADATA)
        if content is None:
            return None
        try:
            document = msgspec.json.decode(content)
            export = document["export"]
            limits = ("max_attachments", "max_bytes")
            grown = any(export[name] < getattr(self._parts, name) for name in limits)
            lacks = set(self._parts.names) - set(export["parts"]) or (document["skipped"] and grown)
            return None if lacks else {"files": document["files"], "skipped": document["skipped"]}
        except (msgspec.DecodeError, KeyError, TypeError, ValueError):
            return None

    def _metadata(self, profile_id: str, message_id: str) -> dict[str, Any] | None:
        document = self._hook.run(archive.get_message(self._api, profile_id, message_id, tracking=True))
        if document is None and "archive_get" not in self._proven:
            # The path is a default of ours: as long as it has never worked, a 404 may well mean that it is wrong.
            raise VendorError(
                "HTTP 404 for a message that is listed",
                status=404,
                vendor=self._api.vendor,
                operation="archive_get",
                connection=self._api.connection,
                setting="extra 'endpoints' → 'archive_get' (its path is unpublished, ours is a default)",
            )
        self._proven.add("archive_get")
        return document

    def _planned(
        self, profile_id: str, message_id: str, document: Mapping[str, Any], files: _Files
    ) -> Iterator[tuple[str, tuple[str, ...], Callable[..., Flow[Document]], dict[str, Any]]]:
        """Yield kind, name, download and description of each file."""
        api = self._api
        suffix = _SUFFIXES.get(str(document.get("channel")).lower(), ".bin")
        yield (
            "message",
            (f"message{suffix}",),
            lambda **to: archive.download_message(api, profile_id, message_id, **to),
            {},
        )
        if self._parts.attachments:
            for number, file_name, mime_type in self._attachments(document, files):
                yield (
                    "attachment",
                    ("attachments", numbered_name(number, file_name)),
                    lambda file_name=file_name, **to: archive.download_attachment(
                        api, profile_id, message_id, file_name, **to
                    ),
                    {"number": number, "file_name": file_name, "mime_type": mime_type},
                )
        for form in self._parts.previews:
            yield (
                f"preview.{form}",
                (f"preview.{form}",),
                lambda form=form, **to: archive.preview_message(api, profile_id, message_id, form, **to),
                {},
            )

    def _attachments(self, document: Mapping[str, Any], files: _Files) -> Iterator[tuple[int, str, Any]]:
        listed = document.get("attachments")
        entries = listed if isinstance(listed, list) else []
        names: set[str] = set()
        for number, entry in enumerate(entries[: self._parts.max_attachments], start=1):
            name = entry.get("file_name") if isinstance(entry, Mapping) else None
            if not isinstance(name, str) or not name:
                files.skip("NO_NAME", kind="attachment", number=number)
            elif name in names:
                # By its name it can't be told from the first one.
                files.skip("DUPLICATE_NAME", kind="attachment", number=number, file_name=name)
            else:
                names.add(name)
                yield number, name, entry.get("mime_type")
        if len(entries) > self._parts.max_attachments:
            files.skip("TOO_MANY", len(entries) - self._parts.max_attachments, kind="attachment")

    def _store(
        self,
        names: tuple[str, str],
        kind: str,
        name: tuple[str, ...],
        flow_of: Callable[..., Flow[Document]],
        what: dict[str, Any],
        local: str,
        files: _Files,
    ) -> None:
        route = kind.partition(".")[0]
        try:
            found = self._hook.run(flow_of(path=local, max_bytes=self._parts.max_bytes))
        except TooLargeError:
            if kind == "message":
                raise
            files.skip("TOO_LARGE", kind=kind, **what)
            return
        except ValidationError:
            if kind == "message":
                raise
            files.skip("UNADDRESSABLE_NAME", kind=kind, **what)
            return
        except MessagingError as error:
            status = getattr(error, "status", None)
            if status not in _NOT_THERE or route not in self._proven:
                raise
            files.skip(f"HTTP_{status}", kind=kind, **what)
            return
        self._proven.add(route)
        self._folder.put(local, *names, *name)
        with open(local, "rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        stored = {"kind": kind, "path": "/".join(name), "size": found.size, "media_type": found.media_type}
        files.stored.append({**stored, "sha256": digest, **what})

    def _commit(
        self,
        names: tuple[str, str],
        local: str,
        profile_id: str,
        message_id: str,
        document: Mapping[str, Any],
        files: _Files,
    ) -> None:
        parts = self._parts
        content = {
            "profile": profile_id,
            "message_id": message_id,
            "metadata": document,
            "files": files.stored,
            "skipped": files.skipped,
            "export": {
                "parts": parts.names,
                "max_attachments": parts.max_attachments,
                "max_bytes": parts.max_bytes,
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
            },
        }
        with open(local, "wb") as stream:
            stream.write(msgspec.json.format(msgspec.json.encode(content), indent=2))
        self._folder.put(local, *names, METADATA)


def _outcome(
    status: Status,
    line: dict[str, Any],
    files: Sequence[Mapping[str, Any]] = (),
    skipped: Sequence[Mapping[str, Any]] = (),
) -> Exported:
    size = sum(file["size"] for file in files)
    left_out = sum(each["count"] for each in skipped)
    more = {"files": len(files), "bytes": size, "skipped": left_out}
    return Exported(status=status, **more, line={**line, "status": status, **more})
