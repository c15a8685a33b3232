"""Exporting the archive: one folder a message, complete or fetched again, and an index."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_messaging.core.errors import VendorError
from airflow_provider_messaging.hooks import _export
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.operators.marigold import ExportArchiveOperator
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.archive.conftest import Export, attachment, fetched, folder_of, index, metadata, row, seeded
from tests.contexts import TaskInstance, task_context

PUSH = {"token": "device-1", "provider": "apple", "title": "Hi", "body": "Hello"}


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_message_is_a_folder_with_message_attachments_previews_and_metadata(
    hook: MarigoldHook, export: Export, target: Path
) -> None:
    hook.send_email([row("m-1", attachments=[attachment("Rechnung März.PDF"), attachment("b")])])
    result = export(previews=("html", "pdf"))
    folder = folder_of(target, "m-1")
    assert files(folder) == [
        "attachments/0001-Rechnung-Marz.pdf",
        "attachments/0002-b",
        "message.eml",
        "metadata.json",
        "preview.html",
        "preview.pdf",
    ]
    assert (folder / "attachments" / "0002-b").read_bytes() == b"hello"
    assert b"Subject: Hi" in (folder / "message.eml").read_bytes()
    assert (folder / "preview.html").read_bytes() == b"<p>Hello</p>"
    assert (folder / "preview.pdf").read_bytes().startswith(b"%PDF")
    assert {name: result[name] for name in ("profiles", "messages", "exported", "files", "failed")} == {
        "profiles": 1,
        "messages": 1,
        "exported": 1,
        "files": 5,
        "failed": 0,
    }


def test_metadata_hold_tracking_original_names_and_digests(hook: MarigoldHook, export: Export, target: Path) -> None:
    hook.send_email([row("m-1", attachments=[attachment("Rechnung März.PDF")], tags=["a"], metadata="{}")])
    export()
    folder = folder_of(target, "m-1")
    document = metadata(folder)
    assert document["metadata"]["tags"] == ["a"]
    assert any(event["type"].endswith("sdc.archive.email.archived") for event in document["metadata"]["tracking"])
    stored = {file["path"]: file for file in document["files"]}
    assert stored["attachments/0001-Rechnung-Marz.pdf"]["file_name"] == "Rechnung März.PDF"
    for path, file in stored.items():
        content = (folder / path).read_bytes()
        assert (file["size"], file["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())


def test_a_push_message_is_stored_in_its_own_format(
    sandbox: Sandbox, hook: MarigoldHook, export: Export, target: Path
) -> None:
    sandbox.settings(archive_default=True)
    hook.send_push([{**PUSH, "reference": "push-1", "profile": "p-1"}])
    export()
    assert files(folder_of(target, "push-1")) == ["message.push", "metadata.json"]


@pytest.mark.parametrize(
    ("channel", "name"), [("sms", "message.sms"), ("fax/../x", "message.bin"), ("EMAIL", "message.eml")]
)
def test_the_suffix_is_the_channel_s(sandbox: Sandbox, export: Export, target: Path, channel: str, name: str) -> None:
    sandbox.seed_archive("p-1", [seeded("m-1", channel=channel)])
    sandbox.faults([{"operation": "archive_download", "fault": "status", "status": 200, "body": "text"}])
    export()
    assert files(folder_of(target, "m-1")) == [name, "metadata.json"]


def test_the_index_has_a_line_for_each_message(hook: MarigoldHook, export: Export, target: Path) -> None:
    hook.send_email([row(f"m-{n}", f"p-{n % 3}") for n in range(9)])
    result = export(profile_ids=["p-0", "p-1", "p-2", "p-unknown"])
    lines = index(result["index_path"])
    assert result["index_path"] == f"{target}/index.ndjson"
    assert {(line["profile"], line["message_id"], line["status"]) for line in lines} == {
        (f"p-{n % 3}", f"m-{n}", "exported") for n in range(9)
    }
    assert all((target / line["folder"] / "metadata.json").exists() for line in lines)


def test_mapped_tasks_share_a_folder_and_no_index(hook: MarigoldHook, export: Export, target: Path) -> None:
    hook.send_email([row("m-1", "p-1"), row("m-2", "p-2")])
    for number in (1, 2):
        export(TaskInstance(map_index=number), profile_ids=[f"p-{number}"])
    assert [len(index(target / f"index-{number}.ndjson")) for number in (1, 2)] == [1, 1]


@pytest.mark.parametrize(
    "text",
    [
        "p-1\np-2\n\np-1\n",
        '"p-1"\n"p-2"\n',
        '{"profile": "p-1", "reference": "x"}\n{"profile": "p-2"}\n',
        "﻿p-1\r\np-2",
    ],
    ids=["lines", "JSON", "manifest", "with a mark and without an end"],
)
def test_profiles_may_come_from_a_file(hook: MarigoldHook, export: Export, tmp_path: Path, text: str) -> None:
    hook.send_email([row("m-1", "p-1"), row("m-2", "p-2")])
    (tmp_path / "profiles").write_bytes(text.encode())
    assert export(profile_ids_path=str(tmp_path / "profiles"))["exported"] == 2


def test_only_messages_of_the_window_are_exported(sandbox: Sandbox, export: Export, target: Path) -> None:
    sandbox.seed_archive("p-1", [seeded(f"m-{day}", f"2026-03-{day}T12:00:00Z") for day in (10, 11, 12)])
    assert export(start="2026-03-10T12:00:01Z", end="2026-03-12T12:00:00Z")["messages"] == 1
    assert [line["message_id"] for line in index(target / "index.ndjson")] == ["m-11"]


def test_what_is_there_is_not_fetched_again(sandbox: Sandbox, hook: MarigoldHook, export: Export, target: Path) -> None:
    hook.send_email([row("m-1", attachments=[attachment("a.txt")]), row("m-2")])
    first = export()
    sandbox.settings(archive_limit="matching")
    before = len(fetched(sandbox))
    hook.send_email([row("m-3")])
    second = export()
    assert (second["present"], second["exported"]) == (2, 1)
    assert len(fetched(sandbox)) - before == 2  # metadata and message of the new one
    assert second["bytes"] > first["bytes"]
    assert {line["message_id"]: line["status"] for line in index(target / "index.ndjson")} == {
        "m-1": "present",
        "m-2": "present",
        "m-3": "exported",
    }


def test_a_folder_without_its_metadata_is_fetched_again(hook: MarigoldHook, export: Export, target: Path) -> None:
    hook.send_email([row("m-1", attachments=[attachment("a.txt")])])
    export()
    folder = folder_of(target, "m-1")
    (folder / "metadata.json").unlink()
    (folder / "message.eml").write_bytes(b"half")
    assert export()["exported"] == 1
    assert b"Subject: Hi" in (folder / "message.eml").read_bytes()


def test_what_a_killed_export_left_half_written_is_removed(hook: MarigoldHook, export: Export, target: Path) -> None:
    hook.send_email([row("m-1", attachments=[attachment("a.txt")])])
    export()
    folder = folder_of(target, "m-1")
    (folder / "metadata.json").unlink()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (folder / f"message.eml.part-{ended.pid}").touch()
    (folder / "attachments" / f"0001-a.txt.part-{ended.pid}").touch()
    (folder / f"message.eml.part-{os.getppid()}").touch()  # somebody is still at it
    export()
    assert [name for name in files(folder) if ".part" in name] == [f"message.eml.part-{os.getppid()}"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"export": {}}', b"\xff"])
def test_metadata_that_are_damaged_count_as_missing(
    hook: MarigoldHook, export: Export, target: Path, content: bytes
) -> None:
    hook.send_email([row("m-1")])
    export()
    path = folder_of(target, "m-1") / "metadata.json"
    path.write_bytes(content)
    assert export()["exported"] == 1
    assert metadata(path.parent)["message_id"] == "m-1"


def test_more_parts_than_before_are_fetched(hook: MarigoldHook, export: Export, target: Path) -> None:
    hook.send_email([row("m-1")])
    export(attachments=False)
    assert export(previews=("pdf",))["exported"] == 1
    assert export()["present"] == 1
    assert (folder_of(target, "m-1") / "preview.pdf").exists()


def test_a_greater_cap_fetches_what_the_smaller_one_left_out(hook: MarigoldHook, export: Export) -> None:
    hook.send_email([row("m-1", attachments=[attachment(f"{n}.txt") for n in range(3)])])
    assert export(max_attachments=1)["skipped"] == 2
    assert export(max_attachments=1)["present"] == 1
    again = export(max_attachments=3)
    assert (again["exported"], again["skipped"], again["files"]) == (1, 0, 4)


def test_an_attachment_beyond_the_size_is_left_out_and_reported(
    sandbox: Sandbox, export: Export, target: Path, caplog: pytest.LogCaptureFixture
) -> None:
    order = seeded("m-1")
    order["attachments"] = [{"file_name": "large.bin", "size": 200_000}, {"file_name": "small.bin", "size": 10}]
    sandbox.seed_archive("p-1", [order])
    # The message itself has the attachments in it.
    sandbox.faults([{"operation": "archive_download", "fault": "status", "status": 200, "body": "small"}])
    with caplog.at_level(logging.WARNING):
        result = export(max_bytes=100_000)
    assert (result["skipped"], result["files"], result["failed"]) == (1, 2, 0)
    (skipped,) = metadata(folder_of(target, "m-1"))["skipped"]
    assert (skipped["reason"], skipped["file_name"]) == ("TOO_LARGE", "large.bin")
    assert "1 attachments or previews were left out" in caplog.text


def test_a_message_beyond_the_size_fails_for_good_and_the_others_are_exported(
    sandbox: Sandbox, export: Export, target: Path
) -> None:
    large = seeded("m-large")
    large["attachments"] = [{"file_name": "large.bin", "size": 200_000}]
    sandbox.seed_archive("p-1", [large, seeded("m-small")])
    with pytest.raises(AirflowFailException, match="the file has more than 100000 bytes"):
        export(max_bytes=100_000)
    assert {line["message_id"]: line["status"] for line in index(target / "index.ndjson")} == {
        "m-large": "failed",
        "m-small": "exported",
    }


def test_a_message_that_fails_does_not_keep_the_others_and_a_retry_fetches_it(
    sandbox: Sandbox, hook: MarigoldHook, export: Export, target: Path, quickly: None
) -> None:
    hook.send_email([row(f"m-{n}") for n in range(5)])
    sandbox.faults([{"operation": "archive_download", "fault": "status", "status": 500, "times": 5}])
    with pytest.raises(VendorError, match=r"not complete: .* 4 exported, 1 failed") as caught:
        export(max_concurrency=1)
    assert caught.value.retryable
    statuses = [line["status"] for line in index(target / "index.ndjson")]
    assert sorted(statuses) == ["exported"] * 4 + ["failed"]
    again = export()
    assert (again["present"], again["exported"]) == (4, 1)


def test_a_vendor_that_is_down_ends_the_export_early(
    sandbox: Sandbox, hook: MarigoldHook, export: Export, target: Path, quickly: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_export, "MOST_FAILURES", 3)
    hook.send_email([row(f"m-{n}") for n in range(20)])
    sandbox.faults([{"operation": "archive_get", "fault": "status", "status": 503}])
    with pytest.raises(Exception, match="503"):
        export(max_concurrency=1)
    assert len(sandbox.requests(operation="archive_get")) == 15
    assert not (target / "index.ndjson").exists()


def test_a_refused_credential_ends_the_export_at_once_and_without_a_retry(
    sandbox: Sandbox, hook: MarigoldHook, export: Export
) -> None:
    hook.send_email([row(f"m-{n}") for n in range(20)])
    sandbox.faults([{"operation": "archive_get", "fault": "status", "status": 403}])
    with pytest.raises(AirflowFailException, match="refuses the credentials"):
        export(max_concurrency=2)
    assert len(sandbox.requests(operation="archive_get")) <= 3


def test_a_download_that_breaks_off_is_repeated(
    sandbox: Sandbox, hook: MarigoldHook, export: Export, target: Path, quickly: None
) -> None:
    hook.send_email([row("m-1", attachments=[attachment("a.txt")])])
    for operation in ("archive_download", "archive_attachment"):
        sandbox.faults([{"operation": operation, "fault": "truncate", "times": 1}])
    assert export()["exported"] == 1
    assert (folder_of(target, "m-1") / "attachments" / "0001-a.txt").read_bytes() == b"hello"


def test_a_message_deleted_meanwhile_is_gone_and_no_failure(
    sandbox: Sandbox, hook: MarigoldHook, export: Export, target: Path
) -> None:
    hook.send_email([row(f"m-{n}") for n in range(3)])
    sandbox.faults([{"operation": "archive_get", "fault": "status", "status": 404, "skip": 2, "times": 1}])
    result = export(max_concurrency=1)
    assert (result["exported"], result["gone"]) == (2, 1)


@pytest.mark.parametrize("operation", ["archive_get", "archive_download", "archive_attachment", "archive_preview"])
def test_a_path_that_never_worked_is_an_error_that_names_it(
    sandbox: Sandbox, hook: MarigoldHook, export: Export, target: Path, operation: str
) -> None:
    hook.send_email([row("m-1", attachments=[attachment("a.txt")])])
    sandbox.faults([{"operation": operation, "fault": "status", "status": 404}])
    with pytest.raises(AirflowFailException, match=f"extra 'endpoints' → '{operation}'"):
        export(previews=("pdf",))
    assert not list(target.rglob("metadata.json"))


def test_a_missing_attachment_is_reported_once_the_path_has_worked(
    sandbox: Sandbox, hook: MarigoldHook, export: Export, target: Path
) -> None:
    hook.send_email([row("m-1", attachments=[attachment("a.txt"), attachment("b.txt")])])
    sandbox.faults([{"operation": "archive_attachment", "fault": "status", "status": 404, "skip": 1}])
    assert export()["skipped"] == 1
    (skipped,) = metadata(folder_of(target, "m-1"))["skipped"]
    assert (skipped["reason"], skipped["file_name"]) == ("HTTP_404", "b.txt")


def test_of_messages_with_one_id_only_the_youngest_can_be_fetched(
    sandbox: Sandbox, export: Export, target: Path
) -> None:
    sandbox.seed_archive(
        "p-1", [seeded("m-1", "2026-03-10T12:00:00Z", text="old"), seeded("m-1", "2026-03-11T12:00:00Z", text="new")]
    )
    result = export()
    assert (result["messages"], result["exported"], result["shadowed"]) == (2, 1, 1)
    (message,) = target.rglob("message.eml")
    assert b"new" in message.read_bytes()


def test_a_later_send_with_a_used_id_does_not_replace_the_earlier_export(
    sandbox: Sandbox, export: Export, target: Path
) -> None:
    sandbox.seed_archive("p-1", [seeded("m-1", "2026-03-10T12:00:00Z", text="old")])
    export()
    sandbox.seed_archive("p-1", [seeded("m-1", "2026-03-11T12:00:00Z", text="new")])
    result = export()
    assert (result["present"], result["exported"], result["shadowed"]) == (1, 1, 0)
    assert len(list(target.rglob("message.eml"))) == 2


def test_hundreds_of_messages_of_a_profile_are_found_by_windows(sandbox: Sandbox, export: Export) -> None:
    days = [f"2026-{month:02}-{day:02}T12:00:00Z" for month in (1, 2, 3) for day in range(1, 29)]
    sandbox.seed_archive("p-1", [seeded(f"m-{n}", days[n % len(days)]) for n in range(350)])
    result = export(attachments=False)
    assert (result["messages"], result["exported"], result["full_windows"]) == (350, 350, 0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"profile_ids": None}, "give either"),
        ({"profile_ids": ["a"], "profile_ids_path": "x"}, "give either"),
        ({"profile_ids": "a"}, "must be a list"),
        ({"max_concurrency": 0}, "max_concurrency"),
        ({"previews": "pdf"}, "previews"),
        ({"previews": ("docx",)}, "previews"),
        ({"max_attachments": -1}, "max_attachments"),
        ({"max_bytes": 0}, "max_bytes"),
        ({"start": "yesterday"}, "start"),
        ({"export_path": "nowhere://x"}, "export_path"),
        ({"profile_ids": None, "profile_ids_path": "/does/not/exist"}, "profile_ids_path"),
    ],
)
def test_arguments_that_make_no_sense_fail_without_a_retry(
    marigold_conn: str, target: Path, sandbox: Sandbox, arguments: dict[str, Any], words: str
) -> None:
    operator = ExportArchiveOperator(task_id="e", **{"profile_ids": ["a"], "export_path": str(target), **arguments})
    with pytest.raises(AirflowFailException, match=words):
        operator.execute(task_context())
    assert not fetched(sandbox)


def test_a_list_that_a_template_made_text_of_is_read(hook: MarigoldHook, export: Export) -> None:
    hook.send_email([row("m-1", "p-1"), row("m-2", "p-2")])
    assert export(profile_ids=json.dumps(["p-1", "p-2", "p-1"]))["profiles"] == 2


def test_a_kill_lets_the_export_end_and_a_retry_go_on(
    hook: MarigoldHook, sandbox: Sandbox, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook.send_email([row(f"m-{n}") for n in range(10)])
    operator = ExportArchiveOperator(task_id="e", profile_ids=["p-1"], export_path=str(target), max_concurrency=1)
    conclude = _export.ArchiveExport._conclude

    def kill(self: Any, *arguments: Any) -> Any:
        operator.on_kill() if self.report.exported >= 3 else None
        return conclude(self, *arguments)

    monkeypatch.setattr(_export.ArchiveExport, "_conclude", kill)
    with pytest.raises(Exception, match="asked to end") as caught:
        operator.execute(task_context())
    assert caught.value.retryable  # type: ignore[attr-defined]
    monkeypatch.undo()
    assert 0 < len(list(target.rglob("metadata.json"))) < 10
    assert not (target / "index.ndjson").exists()


def test_object_storage_other_than_local_works(hook: MarigoldHook, export: Export) -> None:
    store = MemoryFileSystem()
    attach("memory", fs=store)
    hook.send_email([row("m-1", attachments=[attachment("a.txt")])])
    result = export(export_path="memory://export")
    (line,) = [json.loads(line) for line in store.cat_file("/export/index.ndjson").splitlines()]
    assert store.cat_file(f"/export/{line['folder']}/attachments/0001-a.txt") == b"hello"
    assert result["index_path"] == "memory://export/index.ndjson"
    assert export(export_path="memory://export")["present"] == 1
    store.rm("/export", recursive=True)
