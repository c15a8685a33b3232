"""Where an answer's body goes: into memory, or as a stream into a file."""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import suppress
from typing import IO, NoReturn

from airflow_provider_messaging.core.errors import StorageError

_BUFFER = 256 * 1024


class DownloadError(StorageError):
    """A 2xx answer came and can't be kept: the local disk does not take it. The vendor has acted on the request."""


class Memory:
    """Keeps the body."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        self._parts.append(data)

    def finish(self) -> bytes:
        return b"".join(self._parts)

    def discard(self) -> None:
        self._parts.clear()


class File:
    """Writes the body to a new file beside `path`, which takes its place when the body is whole and not before.

    :raises DownloadError: if the file can't be written; a retry may find more room.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        folder = os.path.dirname(os.path.abspath(path))
        try:
            descriptor, self._part = tempfile.mkstemp(prefix=".download-", dir=folder)
        except OSError as error:
            _cant_write(error)
        self._stream: IO[bytes] = os.fdopen(descriptor, "wb", buffering=_BUFFER)

    def write(self, data: bytes) -> None:
        try:
            self._stream.write(data)
        except OSError as error:
            _cant_write(error)

    def finish(self) -> bytes:
        try:
            self._stream.close()
            os.replace(self._part, self._path)
        except OSError as error:
            _cant_write(error)
        return b""

    def discard(self) -> None:
        """Remove what came so far. Does nothing once the body is whole."""
        # It is the flush that a full disk refuses; the descriptor is closed all the same.
        with suppress(OSError):
            self._stream.close()
        if os.path.exists(self._part):
            os.unlink(self._part)


def _cant_write(error: OSError) -> NoReturn:
    reason = errno.errorcode.get(error.errno or 0, type(error).__name__)
    raise DownloadError(f"the download can't be written to the local disk ({reason})") from None
