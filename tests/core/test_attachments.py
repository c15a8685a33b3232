"""Files of attachments: read once, ahead, in bounds, and told apart by whether a retry helps."""

from __future__ import annotations

import base64
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import pytest

from airflow_provider_messaging.core.attachments import Attachments, Read, Unreadable, file_name_of, type_of
from airflow_provider_messaging.core.errors import StorageError


@dataclass
class Storage:
    """Files in memory that notes what is read of them."""

    files: dict[str, bytes]
    delay: float = 0.0
    reads: Counter[str] = field(default_factory=Counter)
    bytes_read: int = 0
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def open_path(self, path: str) -> Read:
        def read(most: int) -> bytes:
            with self.lock:
                self.reads[path] += 1
                self.at_once += 1
                self.most_at_once = max(self.most_at_once, self.at_once)
            time.sleep(self.delay)
            with self.lock:
                self.at_once -= 1
            if path not in self.files:
                raise Unreadable("ATTACHMENT_NOT_FOUND", "there is no such file")
            content = self.files[path][:most]
            self.bytes_read += len(content)
            return content

        return read


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def code_of(attachments: Attachments, path: str) -> str:
    with pytest.raises(Unreadable) as caught:
        attachments.load(path)
    return caught.value.code


def test_a_file_comes_in_base64_and_is_read_once() -> None:
    storage = Storage({"a": b"hello"})
    attachments = Attachments(storage.open_path, most_bytes=10)
    assert [attachments.load("a") for _ in range(3)] == [encoded(b"hello")] * 3
    assert storage.reads == {"a": 1}


def test_a_file_that_is_not_there_is_looked_for_once() -> None:
    storage = Storage({})
    attachments = Attachments(storage.open_path, most_bytes=10)
    assert [code_of(attachments, "a") for _ in range(3)] == ["ATTACHMENT_NOT_FOUND"] * 3
    assert storage.reads == {"a": 1}


def test_a_large_file_is_not_read_to_its_end() -> None:
    storage = Storage({"a": b"x" * 1_000_000, "b": b"x" * 100})
    attachments = Attachments(storage.open_path, most_bytes=100)
    assert code_of(attachments, "a") == "ATTACHMENT_TOO_LARGE"
    assert storage.bytes_read == 101
    assert attachments.load("b") == encoded(b"x" * 100)


def test_an_empty_file_is_none() -> None:
    assert code_of(Attachments(Storage({"a": b""}).open_path, most_bytes=10), "a") == "ATTACHMENT_EMPTY"


def test_what_is_kept_is_bounded_and_the_latest_used_stays() -> None:
    storage = Storage({str(number): b"x" * 3_000 for number in range(50)})
    attachments = Attachments(storage.open_path, most_bytes=3_000, cache_bytes=20_000)
    for number in range(50):
        attachments.load("0")
        attachments.load(str(number))
    assert storage.reads["0"] == 1
    assert sum(len(kept) for kept in attachments._kept.values() if isinstance(kept, str)) <= 20_000


def test_files_are_read_ahead_and_only_so_many_at_once() -> None:
    storage = Storage({str(number): b"x" for number in range(20)}, delay=0.02)
    attachments = Attachments(storage.open_path, most_bytes=10, read_ahead=4)
    paths = list(storage.files)
    for position, path in enumerate(paths):
        attachments.expect(paths[position : position + 8])
        attachments.load(path)
    assert storage.most_at_once == 4
    assert set(storage.reads.values()) == {1}


def test_what_is_no_longer_expected_takes_no_place() -> None:
    storage = Storage(dict.fromkeys("abcdef", b"x"))
    attachments = Attachments(storage.open_path, most_bytes=10, read_ahead=2)
    attachments.expect(["a", "b", "c"])
    attachments.expect(["d", "e"])
    assert attachments._coming.keys() == {"d", "e"}
    assert attachments.load("a") == encoded(b"x")


@pytest.mark.parametrize("when", ["opening", "reading"])
def test_a_storage_that_fails_is_an_error_worth_a_retry(when: str) -> None:
    def failing(*_: object) -> bytes:
        raise TimeoutError("secret host")

    attachments = Attachments(failing if when == "opening" else lambda _: failing, most_bytes=10)  # type: ignore[arg-type]
    attachments.expect(["a"])
    with pytest.raises(StorageError, match="TimeoutError") as caught:
        attachments.load("a")
    assert caught.value.retryable
    assert isinstance(caught.value.__cause__, TimeoutError)
    assert "secret" not in str(caught.value)


def test_a_file_that_could_not_be_read_is_tried_again_when_it_is_asked_for_again() -> None:
    storage = Storage({"a": b"x"})
    broken = [True]

    def open_path(path: str) -> Read:
        if broken.pop() if broken else False:
            raise OSError
        return storage.open_path(path)

    attachments = Attachments(open_path, most_bytes=10)
    with pytest.raises(StorageError):
        attachments.load("a")
    assert attachments.load("a") == encoded(b"x")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.pdf", "application/pdf"),
        ("A.PDF", "application/pdf"),
        ("a.txt", "text/plain"),
        ("a.csv", "text/csv"),
        ("a.png", "image/png"),
        ("a.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("a.ics", "text/calendar"),
        ("a.tar.gz", "application/gzip"),
        ("a.zip", "application/zip"),
        ("a.unheard-of", "application/octet-stream"),
        ("a", "application/octet-stream"),
        (".pdf", "application/octet-stream"),
        ("", "application/octet-stream"),
    ],
)
def test_a_type_is_told_by_the_name(name: str, kind: str) -> None:
    assert type_of(name) == kind


@pytest.mark.parametrize(("path", "name"), [("s3://b/x/a.pdf", "a.pdf"), ("a.pdf", "a.pdf"), ("s3://b/x/", "")])
def test_a_file_is_named_by_the_end_of_its_path(path: str, name: str) -> None:
    assert file_name_of(path) == name
