"""Where a streamed request body comes from."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import closing, suppress

from airflow_provider_messaging.core.http import Stream

_PIECE = 64 * 1024


class SourceFailed(Exception):
    """Ends a request whose body can't be read on. Nothing that an HTTP library would take for a lost connection."""


class Source:
    """One reading of a `Stream`, in pieces of 64 KiB, of whatever size its own are.

    The last piece is handed out once the source has ended well: whatever goes wrong before leaves a request without
    its end, on which no server acts.
    """

    def __init__(self, stream: Stream) -> None:
        self._pieces = _repacked(stream.read())
        self._first: tuple[bytes, bool] | None = None
        self._lock = threading.Lock()
        self._reading = False
        self._given_up = False
        self.error: Exception | None = None
        """What the source raised."""
        self.exhausted = False
        """The last piece was handed out."""

    def start(self) -> None:
        """Open the source and read its first piece, before anything is sent.

        :raises SourceFailed: if it can't be read.
        """
        self._first = self._next()

    def read(self) -> bytes:
        """Return the next piece, nothing at the end.

        :raises SourceFailed: if it can't be read on.
        """
        if self.exhausted:
            return b""
        (piece, self.exhausted), self._first = self._first or self._next(), None
        return piece

    def close(self) -> None:
        """Close the source, or have it closed by the thread that is reading from it just now."""
        with self._lock:
            self._given_up = True
            reading = self._reading
        if not reading:
            self._close()

    def _next(self) -> tuple[bytes, bool]:
        with self._lock:
            if self._given_up:
                raise SourceFailed
            self._reading = True
        try:
            return next(self._pieces)
        except Exception as error:
            self.error = error
            raise SourceFailed from None
        finally:
            self._stop_reading()

    def _stop_reading(self) -> None:
        with self._lock:
            self._reading = False
            given_up = self._given_up
        if given_up:
            self._close()

    def _close(self) -> None:
        # What has been read is whole, or is of no use any more.
        with suppress(Exception):
            self._pieces.close()


def _repacked(pieces: Generator[bytes, None, None]) -> Generator[tuple[bytes, bool], None, None]:
    """Yield pieces of one size, always one byte behind at least, then the rest, and whether it is that."""
    held = bytearray()
    with closing(pieces):
        for piece in pieces:
            held += piece
            while len(held) > _PIECE:
                yield bytes(held[:_PIECE]), False
                del held[:_PIECE]
    yield bytes(held), True
