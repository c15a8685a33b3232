"""Attachments that rows name by a path on object storage."""

from __future__ import annotations

import hashlib
import os
import random
import threading
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import psutil
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_messaging.core.errors import StorageError
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.contexts import StateStore, TaskInstance
from tests.operators.archived import Archived
from tests.operators.conftest import Row, Send, message, messages, read_lines

BUCKET = "memory://invoices"


class Bucket(MemoryFileSystem):
    """Object storage that counts what is read, and fails when it is told to."""

    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    reads: ClassVar[Counter[str]] = Counter()
    failing: ClassVar[list[Exception]] = []

    def _open(self, path: str, mode: str = "rb", **more: Any) -> Any:
        if mode == "rb":
            Bucket.reads[path.rsplit("/", 1)[-1]] += 1
            if Bucket.failing:
                raise Bucket.failing[0]
        return super()._open(path, mode, **more)


@pytest.fixture(autouse=True)
def bucket(monkeypatch: pytest.MonkeyPatch) -> type[Bucket]:
    # Airflow keeps what is attached first for good.
    monkeypatch.setattr("airflow.sdk.io.store._STORE_CACHE", {})
    attach("memory", fs=Bucket())
    Bucket.store.clear()
    Bucket.reads.clear()
    Bucket.failing.clear()
    return Bucket


def stored(name: str, content: bytes) -> str:
    path = ObjectStoragePath(f"{BUCKET}/{name}")
    with path.open("wb") as stream:
        stream.write(content)
    return str(path)


def with_file(number: int, *paths: str, **more: Any) -> Row:
    attachments = [{"path": path} for path in paths]
    return message(number, attachments=attachments, archive_enabled=True, profile="LIST.1", **more)


def contents(mail: Any) -> dict[str, bytes]:
    return {part.get_filename(): part.get_payload(decode=True) for part in mail.iter_attachments()}


def test_each_row_gets_the_files_that_it_names(send: Send, archived: Archived, store: StateStore | None) -> None:
    both = stored("terms.txt", b"terms")
    rows = [with_file(number, stored(f"{number}.pdf", b"invoice %d" % number), both) for number in range(5)]
    assert send(messages=rows, store=store)["accepted"] == 5
    assert [contents(mail) for mail in archived().values()] == [
        {f"{number}.pdf": b"invoice %d" % number, "terms.txt": b"terms"} for number in range(5)
    ]


def test_name_and_type_can_be_given(send: Send, archived: Archived) -> None:
    path = stored("4711", b"1,2")
    row = message(0, archive_enabled=True, profile="LIST.1")
    row["attachments"] = [{"path": path, "file_name": "Übersicht.csv", "mime_type": "text/csv"}]
    send(messages=[row])
    [mail] = archived().values()
    [part] = mail.iter_attachments()
    assert (part.get_filename(), part.get_content_type(), part.get_content()) == ("Übersicht.csv", "text/csv", "1,2")


def test_any_bytes_arrive_as_they_are(send: Send, archived: Archived) -> None:
    content = random.Random(1).randbytes(1_000_000)
    send(messages=[with_file(0, stored("a.bin", content))])
    [mail] = archived().values()
    assert hashlib.sha256(contents(mail)["a.bin"]).digest() == hashlib.sha256(content).digest()


def test_a_file_that_many_rows_name_is_read_once_for_all_passes_of_a_try(send: Send, bucket: type[Bucket]) -> None:
    path = stored("terms.pdf", b"x" * 1_000)
    assert send(messages=[with_file(number, path) for number in range(1_000)])["accepted"] == 1_000
    assert bucket.reads["terms.pdf"] == 1


def test_an_attachment_for_everyone_is_a_default(send: Send, archived: Archived) -> None:
    defaults = {"attachments": [{"path": stored("terms.pdf", b"terms")}], "archive_enabled": True, "profile": "LIST.1"}
    send(messages=messages(3), defaults=defaults)
    assert [contents(mail) for mail in archived().values()] == [{"terms.pdf": b"terms"}] * 3


def test_a_file_that_can_not_be_attached_is_the_rows_reject(
    send: Send, sandbox: Sandbox, tmp_path: Path, bucket: type[Bucket]
) -> None:
    rejects = tmp_path / "rejects.ndjson"
    bad = [
        with_file(0, f"{BUCKET}/nowhere.pdf"),
        with_file(1, stored("large.bin", b"x" * 5_000_000)),
        with_file(2, stored("a", b"x" * 2_000_000), stored("b", b"x" * 2_000_000)),
        with_file(3, f"{BUCKET}/folder"),
        with_file(4, "nowhere://bucket/a.pdf"),
        with_file(5, stored("empty", b"")),
    ]
    stored("folder/a.pdf", b"x")
    result = send(messages=[*bad, message(6)], on_rejected="continue", rejects_path=str(rejects))
    assert (result["accepted"], result["rejected"]) == (1, 6)
    lines = read_lines(rejects)
    told = [(each["field"], each["code"]) for line in lines for each in line.pop("_rejected")["errors"]]
    assert told == [
        ("attachments[0].path", "ATTACHMENT_NOT_FOUND"),
        ("attachments[0].path", "ATTACHMENT_TOO_LARGE"),
        ("attachments[1].path", "ATTACHMENT_TOO_LARGE"),
        ("attachments[0].path", "ATTACHMENT_NOT_FOUND"),
        ("attachments[0].path", "ATTACHMENT_UNREADABLE"),
        ("attachments[0].path", "ATTACHMENT_EMPTY"),
    ]
    assert lines == bad, "as they were given, with the path"


def test_a_missing_file_keeps_everything_from_being_sent_where_that_is_wanted(send: Send, sandbox: Sandbox) -> None:
    with pytest.raises(AirflowFailException, match=r"row 1: attachments\[0\]\.path ATTACHMENT_NOT_FOUND"):
        send(messages=[message(0), with_file(1, f"{BUCKET}/nowhere.pdf")])
    assert sandbox.requests() == []


@pytest.mark.parametrize(
    ("error", "code"), [(PermissionError(), "ATTACHMENT_UNREADABLE"), (FileNotFoundError(), "ATTACHMENT_NOT_FOUND")]
)
def test_what_no_retry_mends_is_a_reject(send: Send, bucket: type[Bucket], error: Exception, code: str) -> None:
    path = stored("a.pdf", b"x")
    bucket.failing.append(error)
    with pytest.raises(AirflowFailException, match=code):
        send(messages=[with_file(0, path)])


@pytest.mark.parametrize(
    "error", [OSError(5, "I/O"), TimeoutError(), ConnectionResetError(), RuntimeError("throttled")]
)
@pytest.mark.parametrize("on_rejected", ["fail", "continue"])
def test_a_storage_that_fails_is_worth_a_retry_and_rejects_nothing(
    send: Send, sandbox: Sandbox, bucket: type[Bucket], error: Exception, on_rejected: str
) -> None:
    store = StateStore()
    path = stored("a.pdf", b"x")
    rows = [*messages(150), with_file(150, path)]
    bucket.failing.append(error)
    with pytest.raises(StorageError, match=f"row 150: an attachment can't be read now: {type(error).__name__}"):
        send(messages=rows, on_rejected=on_rejected, store=store)
    bucket.failing.clear()
    result = send(messages=rows, on_rejected=on_rejected, store=store, ti=TaskInstance(try_number=2))
    assert (result["accepted"], result["rejected"]) == (151, 0)
    assert sandbox.counts() == {"total": 151, "distinct": 151, "duplicates": 0}


# Where files may come from ------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "attachments"
    (inside / "deep").mkdir(parents=True)
    (inside / "a.txt").write_text("inside")
    (inside / "deep" / "b.txt").write_text("deep")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "attachments-of-others").mkdir()
    (tmp_path / "attachments-of-others" / "a.txt").write_text("secret")
    return inside


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_local_files_come_from_the_folder_that_is_named(
    send: Send, archived: Archived, folder: Path, scheme: str
) -> None:
    rows = [
        with_file(0, "a.txt"),
        with_file(1, "deep/b.txt"),
        with_file(2, f"{folder}/a.txt"),
        with_file(3, f"file://{folder}/deep/../a.txt"),
    ]
    assert send(messages=rows, attachments_path=f"{scheme}{folder}/")["accepted"] == 4
    assert [[*contents(mail).values()] for mail in archived().values()] == [
        [b"inside"],
        [b"deep"],
        [b"inside"],
        [b"inside"],
    ]


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "deep/../../secret.txt",
        "{folder}/../secret.txt",
        "{folder}-of-others/a.txt",
        "file://{folder}/../secret.txt",
        "/etc/passwd",
        "file:///etc/passwd",
        "memory://invoices/a.pdf",
    ],
)
def test_nothing_outside_of_the_folder_is_read(send: Send, sandbox: Sandbox, folder: Path, path: str) -> None:
    stored("a.pdf", b"x")
    with pytest.raises(AirflowFailException, match="ATTACHMENT_NOT_ALLOWED"):
        send(messages=[with_file(0, path.replace("{folder}", str(folder)))], attachments_path=str(folder))
    assert sandbox.requests() == []


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "file:///etc/passwd", "local:///etc/passwd", "etc/passwd", "~/.bashrc"]
)
def test_without_a_folder_no_local_file_is_read(send: Send, sandbox: Sandbox, path: str) -> None:
    with pytest.raises(AirflowFailException, match=r"ATTACHMENT_NOT_ALLOWED|ATTACHMENT_UNREADABLE"):
        send(messages=[with_file(0, path)])
    assert sandbox.requests() == []


def test_a_folder_may_be_on_object_storage(send: Send, archived: Archived) -> None:
    stored("2026/a.pdf", b"a")
    send(messages=[with_file(0, "a.pdf"), with_file(1, f"{BUCKET}/2026/a.pdf")], attachments_path=f"{BUCKET}/2026")
    assert [contents(mail) for mail in archived().values()] == [{"a.pdf": b"a"}] * 2


# Several tries ------------------------------------------------------------------------------------------------------


def broken_off(send: Send, sandbox: Sandbox, rows: list[Row], store: StateStore) -> None:
    """Send 200 messages of the rows and fail."""
    sandbox.faults([{"operation": "send_email", "fault": "status", "status": 403, "skip": 2}])
    with pytest.raises(AirflowFailException):
        send(messages=rows, max_concurrency=1, store=store)
    sandbox.clear_faults()
    assert sandbox.counts()["total"] == 200


def test_a_retry_goes_on_where_the_last_try_stopped(send: Send, sandbox: Sandbox) -> None:
    store = StateStore()
    rows = [with_file(number, stored(f"{number}.txt", b"%d" % number)) for number in range(350)]
    broken_off(send, sandbox, rows, store)
    result = send(messages=rows, store=store, ti=TaskInstance(try_number=2))
    assert (result["accepted"], result["resumed"]) == (350, 200)
    assert sandbox.counts() == {"total": 350, "distinct": 350, "duplicates": 0}


@pytest.mark.parametrize("change", ["content", "gone"])
def test_a_retry_with_another_file_fails_for_good_and_sends_nothing(send: Send, sandbox: Sandbox, change: str) -> None:
    store = StateStore()
    rows = [with_file(number, stored(f"{number}.txt", b"%d" % number)) for number in range(350)]
    broken_off(send, sandbox, rows, store)
    if change == "content":
        stored("50.txt", b"51")
    else:
        del Bucket.store["/invoices/50.txt"]
    with pytest.raises(AirflowFailException, match=r"the input is not the one .* attachments"):
        send(messages=rows, store=store, ti=TaskInstance(try_number=2), on_rejected="continue")
    assert sandbox.counts()["total"] == 200


def test_memory_stays_flat_however_many_attachments_there_are(send: Send, sandbox: Sandbox) -> None:
    """200 messages of 1.4 MB each are 280 MB; nothing near that may be held at once."""
    sandbox.settings(check_rules=False)
    rows = [with_file(number, stored(f"{number % 8}.bin", os.urandom(1_000_000))) for number in range(8)] * 25
    rows = [{**row, "to": f"user{number}@example.com", "archive_enabled": False} for number, row in enumerate(rows)]
    process = psutil.Process()
    highest = [before := process.memory_info().rss]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            highest.append(process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        assert send(messages=rows, on_rejected="continue")["accepted"] == 200
    finally:
        done.set()
        watcher.join()
    assert max(highest) - before < 180_000_000
