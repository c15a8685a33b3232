"""Archives whose names and links are out to do harm: nothing is written elsewhere, replaced, or followed."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_messaging.core.names import SAFE, numbered_name, safe_stem, unique_name
from airflow_provider_messaging.hooks._folder import Folder
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.archive.conftest import Export, folder_of, index, metadata, seeded

HOSTILE = [
    "../../escaped.txt",
    "..\\..\\escaped.txt",
    "/etc/passwd",
    "C:\\Windows\\system32\\x.dll",
    "file:///etc/passwd",
    "https://example.com/x",
    "metadata.json",
    "../metadata.json",
    "message.eml",
    ".htaccess",
    "~/.ssh/authorized_keys",
    "-rf",
    "CON",
    "a\nb",
    "a\u0000b",
    "con.txt:stream",
    "%2e%2e%2fescaped",
    "\u202egpj.exe",
    "\uff11\uff12.pdf",
    "\u00e4.txt",
    "a\u0308.txt",
    "Ä.txt",
    "x" * 5000,
    "a" * 300 + ".pdf",
    "....",
    " ",
    "$(touch escaped)",
    "`touch escaped`",
    "{profile_id}",
    "😀.png",
]
UNADDRESSABLE = ["..", "."]
"""As a segment of a URL these mean something else, percent-encoded or not."""


def everything(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if not path.is_dir())


def test_hostile_file_names_stay_within_their_message(
    sandbox: Sandbox, export: Export, target: Path, tmp_path: Path
) -> None:
    (tmp_path / "outer").mkdir()
    canary = tmp_path / "outer" / "escaped.txt"
    canary.write_text("untouched")
    sandbox.seed_archive("p-1", [seeded("m-1", "2026-03-10T12:00:00Z", *HOSTILE, *UNADDRESSABLE)])
    result = export()
    folder = folder_of(target, "m-1")
    assert canary.read_text() == "untouched"
    assert [path for path in everything(tmp_path) if target not in path.parents] == [canary]
    stored = everything(folder / "attachments")
    assert len(stored) == len(HOSTILE)
    assert all(re.fullmatch(r"[0-9]{4}-[A-Za-z0-9_-]+(\.[a-z0-9]{1,8})?", path.name) for path in stored)
    assert all(len(path.name) < 80 and not path.is_symlink() for path in stored)
    document = metadata(folder)
    assert [file["file_name"] for file in document["files"] if file["kind"] == "attachment"] == HOSTILE
    assert [(each["reason"], each["file_name"]) for each in document["skipped"]] == [
        ("UNADDRESSABLE_NAME", name) for name in UNADDRESSABLE
    ]
    assert (result["exported"], result["skipped"]) == (1, 2)


def test_each_file_has_the_bytes_of_its_own_name(sandbox: Sandbox, export: Export, target: Path) -> None:
    sandbox.seed_archive("p-1", [seeded("m-1", "2026-03-10T12:00:00Z", *HOSTILE)])
    export()
    folder = folder_of(target, "m-1")
    for file in metadata(folder)["files"]:
        if file["kind"] == "attachment":
            name = file["file_name"].encode()
            assert (folder / file["path"]).read_bytes() == (name * 10)[:10]


def test_duplicate_names_replace_nothing(sandbox: Sandbox, export: Export, target: Path) -> None:
    names = ["a.txt", "a.txt", "A.TXT", "b/a.txt", "a?.txt"]
    sandbox.seed_archive("p-1", [seeded("m-1", "2026-03-10T12:00:00Z", *names)])
    result = export()
    stored = [path.name for path in everything(folder_of(target, "m-1") / "attachments")]
    assert stored == ["0001-a.txt", "0003-A.txt", "0004-a.txt", "0005-a.txt"]
    assert len({name.lower() for name in stored}) == 4
    assert result["skipped"] == 1
    (skipped,) = metadata(folder_of(target, "m-1"))["skipped"]
    assert (skipped["reason"], skipped["number"]) == ("DUPLICATE_NAME", 2)


def test_ten_thousand_attachments_end_at_the_cap_with_a_clear_report(
    sandbox: Sandbox, export: Export, target: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.seed_archive("p-1", [seeded("m-1", "2026-03-10T12:00:00Z", *(f"{n}.txt" for n in range(10_000)))])
    # The sandbox would take long to write such a message.
    sandbox.faults([{"operation": "archive_download", "fault": "status", "status": 200, "body": "short"}])
    with caplog.at_level(logging.WARNING):
        result = export(max_attachments=25)
    assert len(sandbox.requests(operation="archive_attachment")) == 25
    assert len(everything(folder_of(target, "m-1") / "attachments")) == 25
    assert (result["exported"], result["skipped"]) == (1, 9975)
    assert metadata(folder_of(target, "m-1"))["skipped"] == [
        {"kind": "attachment", "reason": "TOO_MANY", "count": 9975}
    ]
    assert index(target / "index.ndjson")[0]["skipped"] == 9975
    assert "9975 attachments or previews were left out" in caplog.text


@pytest.mark.parametrize("message_id", [name for name in HOSTILE if name.isprintable() and len(name) < 1000])
def test_hostile_message_ids_stay_within_the_target(
    sandbox: Sandbox, export: Export, target: Path, tmp_path: Path, message_id: str
) -> None:
    sandbox.seed_archive("p-1", [seeded(message_id)])
    export()
    folder = folder_of(target, message_id)
    assert (folder / "message.eml").exists()
    assert folder.parent.parent == target
    assert all(target in path.parents for path in everything(tmp_path))


@pytest.mark.parametrize("profile", ["../../x", "/etc", "LIST.1", "a/b", "ä b", "100%", "..\\x", "x" * 300])
def test_hostile_profiles_stay_within_the_target(
    sandbox: Sandbox, export: Export, target: Path, tmp_path: Path, profile: str
) -> None:
    sandbox.seed_archive(profile, [seeded("m-1")])
    assert export(profile_ids=[profile])["exported"] == 1
    assert folder_of(target, "m-1").parent.parent == target
    assert all(target in path.parents for path in everything(tmp_path))


@pytest.mark.parametrize("profile", ["..", ".", ""])
def test_a_profile_that_would_lead_to_another_address_is_refused(
    sandbox: Sandbox, export: Export, target: Path, profile: str
) -> None:
    with pytest.raises(AirflowFailException, match="must not be"):
        export(profile_ids=[profile])
    assert not sandbox.requests(operation="archive_list")


@pytest.mark.parametrize(
    "link",
    [
        "http://127.0.0.2:9/archive/v1/p-1",
        "https://example.com/archive/v1/p-1",
        "//example.com/x",
        "file:///etc/passwd",
        "http://user:pass@127.0.0.1/x",
    ],
)
def test_a_link_to_another_host_is_not_followed(sandbox: Sandbox, export: Export, target: Path, link: str) -> None:
    body = json.dumps({"value": [], "@next_link": link})
    sandbox.faults([{"operation": "archive_list", "fault": "status", "status": 200, "body": body}])
    with pytest.raises(AirflowFailException, match="leads to another host; it was not followed"):
        export()
    assert {each["operation"] for each in sandbox.requests()} == {"token", "archive_list"}


def test_a_redirect_is_not_followed(sandbox: Sandbox, export: Export, target: Path) -> None:
    sandbox.seed_archive("p-1", [seeded("m-1")])
    sandbox.faults(
        [
            {
                "operation": "archive_download",
                "fault": "status",
                "status": 302,
                "headers": {"Location": f"{sandbox.url}/marigold/api/archive/v1/p-2/m-2/download"},
            }
        ]
    )
    with pytest.raises(AirflowFailException, match="redirects are not followed"):
        export()
    assert len(sandbox.requests(operation="archive_download")) == 1


@pytest.mark.parametrize(
    "entry",
    [None, 5, "a.txt", {}, {"file_name": None}, {"file_name": 5}, {"file_name": ""}, {"file_name": ["a"]}],
)
def test_an_attachment_without_a_name_is_reported(sandbox: Sandbox, export: Export, target: Path, entry: Any) -> None:
    sandbox.seed_archive("p-1", [seeded("m-1")])
    body = json.dumps({"message_id": "m-1", "channel": "email", "attachments": [entry]})
    sandbox.faults([{"operation": "archive_get", "fault": "status", "status": 200, "body": body}])
    assert export()["skipped"] == 1
    assert metadata(folder_of(target, "m-1"))["skipped"][0]["reason"] == "NO_NAME"


@pytest.mark.parametrize("attachments", [None, 5, "x", {"a": 1}])
def test_attachments_that_are_no_list_are_none(
    sandbox: Sandbox, export: Export, target: Path, attachments: Any
) -> None:
    sandbox.seed_archive("p-1", [seeded("m-1")])
    body = json.dumps({"message_id": "m-1", "attachments": attachments})
    sandbox.faults([{"operation": "archive_get", "fault": "status", "status": 200, "body": body}])
    assert (export()["exported"], [p.name for p in everything(folder_of(target, "m-1"))]) == (
        1,
        ["message.bin", "metadata.json"],
    )


@pytest.mark.parametrize("name", [*HOSTILE, *UNADDRESSABLE, "", "\ud800"])
def test_names_are_of_our_own_making(name: str) -> None:
    for made in (numbered_name(1, name), unique_name(name), safe_stem(name)):
        assert SAFE.fullmatch(made), made
        assert ".." not in made


def test_different_texts_have_different_names_also_where_case_does_not_count() -> None:
    texts = ["a", "A", "a/b", "a-b", "ä", "a\u0308", "", "x", "..", "a" * 100, "a" * 101]
    assert len({unique_name(text).lower() for text in texts}) == len(texts)
    assert unique_name("a", "b") != unique_name("a\0b\0") != unique_name("a", "b", "")


@pytest.mark.parametrize("part", ["..", ".", "", "/x", "a/b", "a\\b", ".hidden", "-x", "a b", "ä"])
def test_a_folder_refuses_names_that_are_not_ours(tmp_path: Path, part: str) -> None:
    (tmp_path / "file").write_text("x")
    folder = Folder(str(tmp_path / "target"), "path")
    with pytest.raises(ValueError, match="not a path of ours"):
        folder.put(str(tmp_path / "file"), "a", part)
    with pytest.raises(ValueError, match="not a path of ours"):
        folder.read(part)
    assert everything(tmp_path) == [tmp_path / "file"]
