"""Batches between judging and sending, where every row has to be judged before the first is sent."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from datetime import datetime
from types import TracebackType
from typing import IO, Any

import msgspec

from airflow_provider_messaging.core.messages import Message
from airflow_provider_messaging.delivery.plan import Batch
from airflow_provider_messaging.delivery.source import Line

log = logging.getLogger(__name__)

MOST_BYTES = 1_000_000_000
"""What a spool may take of the disk."""
_LENGTH_BYTES = 4


class _Record(msgspec.Struct, array_like=True, gc=False):
    """A batch in the file; `lines` has None for a row that was no line."""

    number: int
    first_ordinal: int
    digest: bytes
    messages: list[Message]
    lines: list[bytes | None]


_ENCODER = msgspec.msgpack.Encoder(enc_hook=str.__str__)
_DECODER = msgspec.msgpack.Decoder(_Record)


class Spool:
    """Batches as they were planned, in a temporary file without a name: the rows need not be judged a second time.

    Of what is too large, or finds no room on the disk, nothing is kept. A context manager, which gives the room back.

    :param now: the time against which the rows are judged.
    """

    def __init__(self, now: datetime, *, most_bytes: int = MOST_BYTES) -> None:
        self.now = now
        self.duplicates = 0
        """Rows that add nothing to an earlier one."""
        self._most_bytes = most_bytes
        self._size = 0
        self._file: IO[bytes] | None = None
        self._values: dict[int, Any] = {}
        """Rows that are no lines: somebody has them in memory anyway."""
        self._gave_up = False

    @property
    def usable(self) -> bool:
        """All batches that came are kept, and there were some."""
        return self._file is not None

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.give_up()

    def add(self, batch: Batch) -> None:
        """Keep the next batch."""
        if self._gave_up:
            return
        lines: list[bytes | None] = []
        for message in batch.messages:
            given = batch.raw[message.row]
            if isinstance(given, Line):
                lines.append(given.data)
            else:
                lines.append(None)
                self._values[message.row] = given
        record = _Record(batch.number, batch.first_ordinal, batch.digest, list(batch.messages), lines)
        try:
            data = _ENCODER.encode(record)
            self._size += len(data)
            if self._size > self._most_bytes:
                log.info("more than %d MB: the rows are judged once more as they are sent", self._most_bytes // 10**6)
                self.give_up()
                return
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="messaging-")  # noqa: SIM115
            self._file.write(len(data).to_bytes(_LENGTH_BYTES, "big"))
            self._file.write(data)
        except OSError as error:
            log.warning("judged rows can't be kept on the disk (%s): they are judged once more", error.strerror)
            self.give_up()

    def steps(self) -> Iterator[Batch | None]:
        """Yield the batches once more, from the first."""
        if self._file is None:
            return
        self._file.seek(0)
        while length := self._file.read(_LENGTH_BYTES):
            record = _DECODER.decode(self._file.read(int.from_bytes(length, "big")))
            yield Batch(
                number=record.number,
                first_ordinal=record.first_ordinal,
                messages=record.messages,
                raw={
                    message.row: self._values[message.row] if line is None else Line(line)
                    for message, line in zip(record.messages, record.lines, strict=True)
                },
                digest=record.digest,
            )

    def give_up(self) -> None:
        """Keep nothing any more."""
        self._gave_up = True
        self._values = {}
        if self._file is not None:
            self._file.close()
            self._file = None
