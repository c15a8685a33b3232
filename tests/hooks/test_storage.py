"""Reading files on object storage."""

from __future__ import annotations

import gzip
from typing import Any, ClassVar

import pytest
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.spec import AbstractBufferedFile

from airflow_provider_messaging.hooks._storage import lines_of

ROWS = [{"number": number, "text": "x" * (number * 37 % 3_000)} for number in range(500)]


class Remote(AbstractBufferedFile):  # type: ignore[misc]
    """A file as those of S3, GCS and Azure are: whoever asks it for a line waits for a loop in Python."""

    ranges: ClassVar[list[int]] = []

    def _fetch_range(self, start: int, end: int) -> bytes:
        self.ranges.append(end - start)
        data: bytes = self.fs.store[self.path].getvalue()[start:end]
        return data

    def readline(self, size: int = -1) -> bytes:
        raise AssertionError("a line was asked for")

    __next__ = readline


class RemoteFileSystem(MemoryFileSystem):  # type: ignore[misc]
    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        if mode != "rb":
            return super()._open(path, mode, **options)
        return Remote(self, path, mode, size=self.info(path)["size"], block_size=64 * 1024)


@pytest.mark.parametrize("name", ["rows.ndjson", "rows.ndjson.gz"])
def test_lines_of_object_storage_are_cut_from_large_blocks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow.sdk.io.store._STORE_CACHE", {})
    empty = type("Remote", (RemoteFileSystem,), {"store": {}, "pseudo_dirs": [""]})
    attach("memory", fs=(system := empty(skip_instance_cache=True)))
    data = b"".join(b'{"number":%d,"text":"%b"}\n' % (row["number"], str(row["text"]).encode()) for row in ROWS)
    system.pipe_file(f"/{name}", gzip.compress(data) if name.endswith(".gz") else data)
    monkeypatch.setattr(Remote, "ranges", [])
    assert list(lines_of(f"memory:///{name}", "messages_path")()) == ROWS
    assert Remote.ranges
    assert len(Remote.ranges) <= len(data) // (64 * 1024) + 1
