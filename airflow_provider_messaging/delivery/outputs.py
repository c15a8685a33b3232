"""Manifest and rejects: NDJSON written to a local file as outcomes come in, published as a whole."""

from __future__ import annotations

import gzip
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import IO, Any, Literal

import msgspec

from airflow_provider_messaging.core.errors import FieldError
from airflow_provider_messaging.core.messages import Message, Reject
from airflow_provider_messaging.delivery.source import REJECTED_KEY, BadLine, value_of

Outcome = Literal["accepted", "rejected", "ambiguous"]
Publish = Callable[[str], None]
"""Puts the local file of that name in its place, all or nothing."""

log = logging.getLogger(__name__)

_ENCODER = msgspec.json.Encoder()


class LineFile:
    """A local NDJSON file, gzipped on request, that `publish` hands over when it is closed."""

    def __init__(self, publish: Publish, *, compressed: bool) -> None:
        self._publish = publish
        descriptor, self._name = tempfile.mkstemp(prefix="messaging-", suffix=".ndjson")
        raw = os.fdopen(descriptor, "wb")
        self._raw = raw
        self._stream: IO[bytes] = (
            gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=5, mtime=0) if compressed else raw  # type: ignore[assignment]
        )
        self.lines = 0

    def write_all(self, values: Sequence[Mapping[str, Any] | msgspec.Struct]) -> None:
        self._stream.write(_ENCODER.encode_lines(values))
        self.lines += len(values)

    def write_line(self, line: bytes) -> None:
        """Write one JSON value that is encoded already."""
        self._stream.write(line + b"\n")
        self.lines += 1

    def finish(self, *, publish: bool = True) -> None:
        """Close the file, publish it, remove the local one."""
        try:
            if self._stream is not self._raw:
                self._stream.close()
            self._raw.close()
            if publish:
                self._publish(self._name)
        finally:
            if os.path.exists(self._name):
                os.unlink(self._name)


class Outputs:
    """The files of one try. A context manager: once they are `ready` they are published at its end, come what may."""

    def __init__(
        self,
        *,
        manifest: LineFile | None,
        rejects: LineFile | None,
        origin: Mapping[str, Any],
        sample_size: int = 20,
    ) -> None:
        self._manifest = manifest
        self._rejects = rejects
        # A type of its own: its lines are made and written in half the time of dictionaries'.
        names = ("reference", "recipient", "profile", "tags", *origin, "row", "outcome", "at")
        self._line = msgspec.defstruct("ManifestLine", names, gc=False)
        self._origin = tuple(origin.values())
        self._sample_size = sample_size
        self.ready = False
        """The files hold all that earlier tries achieved, and so may take the place of those tries' files."""
        self.sample: list[Reject] = []
        """The first rejects, for the log and the error."""

    def __enter__(self) -> Outputs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.ready:
            log.warning("This try ended before it had repeated what earlier ones achieved: their files are kept.")
        try:
            if self._manifest is not None:
                self._manifest.finish(publish=self.ready)
        finally:
            if self._rejects is not None:
                self._rejects.finish(publish=self.ready)

    def reject(self, reject: Reject, raw: Any) -> None:
        """Keep a row that is not accepted, as it was given, with its errors."""
        if len(self.sample) < self._sample_size:
            self.sample.append(reject)
        if self._rejects is None:
            return
        value = value_of(raw)
        line = dict(value) if isinstance(value, dict) else {"_raw": value.text if isinstance(value, BadLine) else value}
        line[REJECTED_KEY] = {"row": reject.row, "errors": [error.as_dict() for error in reject.errors]}
        self._rejects.write_all([line])

    def settle(
        self,
        messages: Sequence[Message],
        outcome: Outcome,
        at: datetime | None = None,
        details: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Write the manifest lines of valid messages.

        :param details: more members of the lines, by reference; they do not replace ours.
        """
        if self._manifest is None or not messages:
            return
        when = (at or datetime.now(UTC)).isoformat(timespec="milliseconds")
        make, origin = self._line, self._origin
        lines: list[Any] = [
            make(given.reference, given.recipient, given.profile, given.tags, *origin, given.row, outcome, when)
            for given in messages
        ]
        if details:
            lines = [{**details.get(line.reference, {}), **msgspec.structs.asdict(line)} for line in lines]
        self._manifest.write_all(lines)


def copy_to(target: str) -> Publish:
    """Publish to a local path: written beside it, on the disk, then moved over it."""

    def publish(name: str) -> None:
        os.makedirs(os.path.dirname(os.path.abspath(target)), exist_ok=True)
        part = f"{target}.part-{os.getpid()}"
        try:
            shutil.copyfile(name, part)
            _sync(part)
            os.replace(part, target)
            _sync(os.path.dirname(part))
        finally:
            if os.path.exists(part):
                os.unlink(part)

    return publish


def _sync(path: str) -> None:
    """Wait until a file, or the names in a folder, are on the disk: who published may forget what it was made of."""
    descriptor = os.open(path or ".", os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def reject_of(message: Message, errors: tuple[FieldError, ...]) -> Reject:
    """Return the reject of a valid message that the vendor refused."""
    return Reject(row=message.row, errors=errors, reference=message.reference)
