"""Attachments that a row names by a path: read when they are needed, several at once, and kept for the next rows."""

from __future__ import annotations

import base64
import mimetypes
import posixpath
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from airflow_provider_messaging.core.errors import StorageError

Read = Callable[[int], bytes]
"""Reads a file from its start, so many bytes at most."""
Opener = Callable[[str], Read]
"""Finds the file of a path. Raises `Unreadable` if there can be none; what it returns may raise it as well, or any
other error, which then means that the storage is at fault and a retry may help."""

CACHE_BYTES = 16_000_000
READ_AHEAD = 8
_OVERHEAD = 500


class Unreadable(Exception):
    """A file that no retry makes readable."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Attachments:
    """Files in Base64, by path. At most `cache_bytes` are kept, and `read_ahead` files are on their way at once.

    :param most_bytes: a larger file is refused, and not read to its end.
    """

    def __init__(
        self,
        open_path: Opener,
        *,
        most_bytes: int,
        cache_bytes: int = CACHE_BYTES,
        read_ahead: int = READ_AHEAD,
    ) -> None:
        self.most_bytes = most_bytes
        self._open = open_path
        self._cache_bytes = cache_bytes
        self._read_ahead = read_ahead
        self._kept: OrderedDict[str, str | Unreadable] = OrderedDict()
        self._held = 0
        self._coming: dict[str, Future[str]] = {}
        self._readers: ThreadPoolExecutor | None = None

    def expect(self, paths: Sequence[str]) -> None:
        """Begin to read the files that will be asked for next, in this order, as many as may be on their way.

        Files that an earlier call announced and this one does not are no longer waited for.
        """
        for path in self._coming.keys() - set(paths):
            self._coming.pop(path).cancel()
        for path in paths:
            if len(self._coming) >= self._read_ahead:
                return
            if path not in self._kept and path not in self._coming:
                self._begin(path)

    def load(self, path: str) -> str:
        """Return a file's content in Base64.

        :raises Unreadable: ATTACHMENT_NOT_FOUND, ATTACHMENT_UNREADABLE or ATTACHMENT_TOO_LARGE.
        :raises StorageError: if the storage fails; a retry may help.
        """
        if path in self._kept:
            self._kept.move_to_end(path)
            found = self._kept[path]
        else:
            found = self._arrived(path)
            self._keep(path, found)
        if isinstance(found, Unreadable):
            raise Unreadable(found.code, found.message)
        return found

    def _begin(self, path: str) -> Future[str]:
        if self._readers is None:
            self._readers = ThreadPoolExecutor(self._read_ahead, thread_name_prefix="attachments")
        # The path is resolved here, not in the thread: it may need what only the caller's thread can reach.
        try:
            future = self._readers.submit(self._read, self._open(path))
        except Exception as error:
            future = Future()
            future.set_exception(error)
        self._coming[path] = future
        return future

    def _arrived(self, path: str) -> str | Unreadable:
        future = self._coming.get(path) or self._begin(path)
        try:
            return future.result()
        except Unreadable as error:
            return error
        except Exception as error:
            raise StorageError(f"an attachment can't be read now: {type(error).__name__}") from error
        finally:
            del self._coming[path]

    def _read(self, read: Read) -> str:
        content = read(self.most_bytes + 1)
        if len(content) > self.most_bytes:
            raise Unreadable("ATTACHMENT_TOO_LARGE", f"has more than {self.most_bytes} bytes")
        if not content:
            raise Unreadable("ATTACHMENT_EMPTY", "is empty")
        return base64.b64encode(content).decode()

    def _keep(self, path: str, found: str | Unreadable) -> None:
        self._kept[path] = found
        self._held += _size(found)
        while self._held > self._cache_bytes and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._held -= _size(dropped)


def file_name_of(path: str) -> str:
    """Return the last part of a path."""
    return posixpath.basename(path)


def type_of(file_name: str) -> str:
    """Return the MIME type that a name suggests, the same on every machine."""
    suffix = posixpath.splitext(file_name)[1].lower()
    if suffix in _TYPES:
        return _TYPES[suffix]
    # Without the files of the operating system, which differ from worker to worker.
    guessed, encoding = mimetypes.MimeTypes(filenames=()).guess_type(f"x{suffix}")
    return guessed if guessed and not encoding else "application/octet-stream"


def _size(found: str | Unreadable) -> int:
    return _OVERHEAD if isinstance(found, Unreadable) else _OVERHEAD + len(found)


_OFFICE = "application/vnd.openxmlformats-officedocument"
# Those that some Python releases do not know, or know under another name.
_TYPES = {
    ".avif": "image/avif",
    ".docx": f"{_OFFICE}.wordprocessingml.document",
    ".eml": "message/rfc822",
    ".gz": "application/gzip",
    ".ics": "text/calendar",
    ".md": "text/markdown",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".pkpass": "application/vnd.apple.pkpass",
    ".pptx": f"{_OFFICE}.presentationml.presentation",
    ".rtf": "application/rtf",
    ".vcf": "text/vcard",
    ".webp": "image/webp",
    ".xlsx": f"{_OFFICE}.spreadsheetml.sheet",
    ".xml": "application/xml",
    ".zip": "application/zip",
}
