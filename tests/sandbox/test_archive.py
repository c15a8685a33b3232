from __future__ import annotations

import base64
import time
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from typing import Any
from urllib.parse import quote

import pytest

from tests.sandbox.conftest import day_of

LIST = "/api/archive/v1/LIST.1"
HOSTILE = ["../../etc/passwd", "a/b.txt", "..\\x", "ü ñ%2F?#&.pdf", "a\r\nX-Evil: 1", '"quoted".txt']


@pytest.fixture
def kept(marigold: Any, email: Any) -> Any:
    """Three archived messages of one profile, one that is not archived, and one of another profile."""
    for number in range(3):
        marigold.send_email(email(f"m-{number}", archive_enabled=True, headers__subject=f"Nr. {number}"))
    marigold.send_email(email("not-kept", archive_enabled=False), email("default"))
    marigold.send_email(email("other", archive_enabled=True, context__profile="LIST.2"))
    return marigold


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [row["message_id"] for row in answer.json()["value"]]


def test_list_shows_the_profile_newest_first(kept: Any) -> None:
    now = datetime.now(UTC)
    answer = kept.get(LIST)
    assert ids(answer) == ["m-2", "m-1", "m-0"]
    assert set(answer.json()) == {"value"}
    row = answer.json()["value"][0]
    assert abs(datetime.fromisoformat(row.pop("timestamp")[:26]).replace(tzinfo=UTC) - now) < timedelta(minutes=2)
    assert row == {
        "message_id": "m-2",
        "channel": "email",
        "tags": ["spring"],
        "metadata": '{"name":"john"}',
        "profile": "LIST.1",
        "attachments": [{"file_name": "a.txt", "mime_type": "text/plain"}],
        "subject": "Nr. 2",
        "time_to_live": 30 * 86_400,
    }


def test_unknown_profile_has_no_messages(kept: Any) -> None:
    assert ids(kept.get("/api/archive/v1/nobody")) == []


def test_account_setting_decides_for_messages_that_do_not_say(sandbox: Any, marigold: Any, email: Any) -> None:
    sandbox.settings(archive_default=True)
    marigold.send_email(email("default"), email("no", archive_enabled=False), email("null", archive_enabled=None))
    assert sorted(ids(marigold.get(LIST))) == ["default", "null"]


def test_pages_are_linked_both_ways(kept: Any) -> None:
    first = kept.get(LIST, params={"$top": 2, "$count": "true"}).json()
    assert (len(first["value"]), first["@count"]) == (2, 3)
    assert "@previous_link" not in first
    second = kept.get(first["@next_link"]).json()
    assert [row["message_id"] for row in second["value"]] == ["m-0"]
    assert second["@count"] == 3
    assert "@next_link" not in second
    assert kept.get(second["@previous_link"]).json() == first


def test_link_is_opaque(kept: Any) -> None:
    link = kept.get(LIST, params={"$top": 2}).json()["@next_link"]
    assert kept.get(f"{link}&$top=2").status_code == 400
    assert kept.get(f"{LIST}?$skiptoken=forged").status_code == 400


def test_skip_and_top(kept: Any) -> None:
    assert ids(kept.get(LIST, params={"$skip": 1, "$top": 1})) == ["m-1"]
    assert kept.get(LIST, params={"$top": 0}).status_code == 400
    assert kept.get(LIST, params={"$count": "yes"}).status_code == 400


def test_list_ends_at_hundred_messages(marigold: Any, email: Any) -> None:
    for start in (0, 60):
        marigold.send_email(*(email(f"m-{n}", archive_enabled=True) for n in range(start, start + 60)))
    answer = marigold.get(LIST, params={"$top": 1000, "$count": "true"})
    assert ids(answer) == [f"m-{n}" for n in range(119, 19, -1)]
    assert answer.json()["@count"] == 100


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"start": 0, "end": 0}, 3),
        ({"start": 1}, 0),
        ({"end": -1}, 0),
    ],
)
def test_list_is_filtered_by_day(kept: Any, query: dict[str, int], count: int) -> None:
    row = kept.get(LIST).json()["value"][0]
    days = {name: day_of(row, offset) for name, offset in query.items()}
    assert len(ids(kept.get(LIST, params=days))) == count


def test_one_message_with_and_without_tracking(kept: Any) -> None:
    listed = kept.get(LIST).json()["value"][1]
    assert kept.get(f"{LIST}/m-1").json() == listed
    with_tracking = kept.get(f"{LIST}/m-1", params={"$tracking": "true"}).json()
    assert with_tracking.pop("tracking") == kept.track("m-1").json()["value"]
    assert with_tracking == listed


@pytest.mark.parametrize("suffix", ["", "/download", "/download/a.txt", "/preview"])
@pytest.mark.parametrize("message", ["LIST.1/not-kept", "LIST.1/other", "LIST.2/m-1", "nobody/m-1"])
def test_message_that_is_not_there_is_not_found(kept: Any, message: str, suffix: str) -> None:
    assert kept.get(f"/api/archive/v1/{message}{suffix}").status_code == 404


@pytest.mark.parametrize("profile", ["LIST.1", "a/b", "ä b", "100%", "x?y=1#z", "..", "a/../b"])
def test_profile_is_one_encoded_segment(marigold: Any, email: Any, profile: str) -> None:
    marigold.send_email(email("m", archive_enabled=True, context__profile=profile))
    encoded = quote(profile, safe="") if profile != ".." else "%2E%2E"
    answer = marigold.get(f"/api/archive/v1/{encoded}")
    assert ids(answer) == ["m"]
    assert answer.json()["value"][0]["profile"] == profile
    assert marigold.get(f"/api/archive/v1/{encoded}/m").status_code == 200


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_file_name_is_kept_as_given(marigold: Any, email: Any, name: str) -> None:
    data = base64.b64encode(b"\x00contents\xff").decode()
    attachments = [{"file_name": name, "data": data, "mime_type": "application/pdf"}]
    marigold.send_email(email("m", archive_enabled=True, content__attachments=attachments))
    assert marigold.get(f"{LIST}/m").json()["attachments"] == [{"file_name": name, "mime_type": "application/pdf"}]
    answer = marigold.get(f"{LIST}/m/download/{quote(name, safe='')}")
    assert (answer.status_code, answer.content) == (200, b"\x00contents\xff")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "content-disposition" not in answer.headers
    message = message_from_bytes(marigold.get(f"{LIST}/m/download").content, policy=policy.default)
    assert "X-Evil" not in message
    (attached,) = message.iter_attachments()
    assert attached.get_payload(decode=True) == b"\x00contents\xff"


def test_unknown_file_is_not_found(kept: Any) -> None:
    assert kept.get(f"{LIST}/m-1/download/b.txt").status_code == 404


def test_download_is_the_message_as_it_was_sent(kept: Any) -> None:
    answer = kept.get(f"{LIST}/m-1/download")
    assert answer.headers["content-type"] == "application/octet-stream"
    message = message_from_bytes(answer.content, policy=policy.default)
    assert (message["Subject"], message["To"], message["From"]) == (
        "Nr. 1",
        "Jane Doe <jane.doe@example.com>",
        "News <news@example.com>",
    )
    assert (message["Reply-To"], message["X-Campaign"]) == ("reply@example.com", "spring")
    assert message["List-Unsubscribe"] == "<https://www.example.com/u?id=1>"
    assert message.get_body(("plain",)).get_content().strip() == "Hello"
    assert message.get_body(("html",)).get_content().strip() == "<p>Hello</p>"
    (attached,) = message.iter_attachments()
    assert (attached.get_filename(), attached.get_content().strip()) == ("a.txt", "hello")


@pytest.mark.parametrize("alias", ['Doe, "J"', "Jörg", "a\\b", "x" * 200])
def test_any_alias_can_be_downloaded(marigold: Any, email: Any, alias: str) -> None:
    marigold.send_email(email("m", archive_enabled=True, headers__to__alias=alias))
    message = message_from_bytes(marigold.get(f"{LIST}/m/download").content, policy=policy.default)
    assert message["To"].addresses[0].addr_spec == "jane.doe@example.com"
    assert message["To"].addresses[0].display_name == alias


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("*/*", "text/html; charset=utf-8"),
        ("text/html", "text/html; charset=utf-8"),
        ("application/pdf", "application/pdf"),
        ("application/pdf;q=0.9, text/html;q=0.1", "application/pdf"),
        ("application/json", None),
    ],
)
def test_accept_chooses_the_preview(kept: Any, accept: str, content_type: str | None) -> None:
    answer = kept.get(f"{LIST}/m-1/preview", headers={"Accept": accept})
    if content_type is None:
        assert answer.status_code == 406
    else:
        assert (answer.status_code, answer.headers["content-type"]) == (200, content_type)
        assert answer.content.startswith(b"%PDF-1.4" if "pdf" in content_type else b"<p>Hello</p>")


def test_pdf_has_a_sound_table_of_objects(kept: Any) -> None:
    file = kept.get(f"{LIST}/m-1/preview", headers={"Accept": "application/pdf"}).content
    assert b"(Nr. 1)" in file
    assert file.endswith(b"%%EOF\n")
    table = int(file.rsplit(b"startxref\n", 1)[1].split()[0])
    assert file[table : table + 9] == b"xref\n0 6\n"
    entries = file[table + 9 :].split(b"\n")[1:6]
    for number, entry in enumerate(entries, 1):
        offset = int(entry.split()[0])
        assert file[offset:].startswith(b"%d 0 obj" % number)


def test_text_preview_is_escaped(marigold: Any, email: Any) -> None:
    marigold.send_email(email("m", archive_enabled=True, content={"text": "<script>"}))
    assert "&lt;script&gt;" in marigold.get(f"{LIST}/m/preview").text


def test_deleting_a_message_is_done_at_once(kept: Any) -> None:
    answer = kept.delete(f"{LIST}/m-1")
    assert (answer.status_code, answer.content) == (204, b"")
    assert ids(kept.get(LIST)) == ["m-2", "m-0"]
    assert kept.get(f"{LIST}/m-1/preview").status_code == 404
    assert kept.delete(f"{LIST}/m-1").status_code == 404
    assert kept.track("m-1").status_code == 200, "tracking is not the archive"


def test_deleting_a_profile_takes_its_time(sandbox: Any, kept: Any) -> None:
    sandbox.settings(archive_delete_delay=0.6)
    assert kept.delete(LIST).status_code == 202
    assert len(ids(kept.get(LIST))) == 3
    time.sleep(0.7)
    assert ids(kept.get(LIST)) == []
    assert ids(kept.get("/api/archive/v1/LIST.2")) == ["other"]


def test_deleting_a_profile_can_be_repeated(kept: Any) -> None:
    assert [kept.delete(LIST).status_code for _ in range(2)] == [202, 202]
    assert ids(kept.get(LIST)) == []


def test_archive_is_late_as_set(sandbox: Any, marigold: Any, email: Any) -> None:
    sandbox.settings(archive_delay=3600)
    marigold.send_email(email("m", archive_enabled=True))
    assert ids(marigold.get(LIST)) == []
    assert marigold.get(f"{LIST}/m").status_code == 404
    types = [row["type"].removeprefix("com.") for row in marigold.track("m").json()["value"]]
    assert "sdc.archive.email.archived" not in types


def test_duration_is_at_most_the_account_s(marigold: Any, email: Any, absent: object) -> None:
    for duration, seconds in (("P1D", 86_400), ("P2Y", 31_536_000), (absent, 31_536_000)):
        marigold.send_email(email("m", archive_enabled=True, archive_duration=duration))
        assert marigold.get(f"{LIST}/m").json()["time_to_live"] == seconds


def test_push_message_is_archived_in_its_own_form(marigold: Any, push: Any) -> None:
    message = push("p", archive_enabled=True)
    marigold.send_push(message)
    row = marigold.get(f"{LIST}/p").json()
    assert row["channel"] == "mobile"
    assert {"subject", "attachments"}.isdisjoint(row)
    assert marigold.get(f"{LIST}/p/download").json() == message
    assert "World" in marigold.get(f"{LIST}/p/preview").text


def test_limit_counts_the_days_asked_for_or_the_whole_profile(sandbox: Any, marigold: Any) -> None:
    messages = [{"message_id": f"m-{n}", "timestamp": f"2026-01-0{n % 2 + 1}T12:00:00Z"} for n in range(240)]
    sandbox.seed_archive("p-1", messages)
    path = "/api/archive/v1/p-1"
    day = {"start": "2026-01-01", "end": "2026-01-01", "$count": "true"}
    assert marigold.get(path, params=day).json()["@count"] == 100
    sandbox.settings(archive_limit="profile")
    assert marigold.get(path, params=day).json()["@count"] == 0


def test_seeded_message_is_given_back_as_it_was_ordered(sandbox: Any, marigold: Any) -> None:
    attachments = [{"file_name": "../a", "size": 7}, {"file_name": "../a"}]
    sandbox.seed_archive("p-1", [{"message_id": "x/y", "timestamp": "2026-01-01", "attachments": attachments}])
    (row,) = marigold.get("/api/archive/v1/p-1").json()["value"]
    assert [each["file_name"] for each in row["attachments"]] == ["../a", "../a"]
    assert marigold.get("/api/archive/v1/p-1/x%2Fy/download/..%2Fa").content == b"../a../"


def test_malformed_seed_is_refused(sandbox: Any) -> None:
    for messages in ([{"message_id": "m"}], [{"message_id": "m", "timestamp": "soon"}], [{"timestamp": "2026-01-01"}]):
        with pytest.raises(Exception, match="seed"):
            sandbox.seed_archive("p-1", messages)


def test_download_is_the_same_bytes_each_time(kept: Any) -> None:
    first, second = (kept.get(f"{LIST}/m-1/download").content for _ in range(2))
    assert first == second
