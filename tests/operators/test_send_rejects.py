"""Rows that are refused: found before anything is sent, reported by row, field and code, kept to be mended."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_messaging.core.errors import ValidationError
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.contexts import StateStore, TaskInstance
from tests.operators.conftest import Row, Send, message, messages, read_lines, write_lines

WITHOUT = object()
FIVE_MEGABYTES = "x" * 5_000_000
ATTACHMENT = {"file_name": "a.txt", "data": "aGVsbG8=", "mime_type": "text/plain"}

SHORT_FORM: list[tuple[Row, list[tuple[str, str]]]] = [
    ({"to": WITHOUT}, [("to", "REQUIRED_TO_HEADER")]),
    ({"to": ""}, [("to", "REQUIRED_TO_ADDRESS")]),
    ({"to": "nobody"}, [("to", "INVALID_ADDRESS")]),
    ({"to": "a@example.com, b@example.com"}, [("to", "INVALID_ADDRESS")]),
    ({"to": "a@example.com\r\nBcc: b@example.com"}, [("to", "INVALID_ADDRESS")]),
    ({"to": ["a@example.com"]}, [("to", "INVALID_TYPE")]),
    ({"to": "x" * 250 + "@example.com"}, [("to", "INVALID_ADDRESS")]),
    ({"from": WITHOUT}, [("from", "REQUIRED_FROM_HEADER")]),
    ({"from": "News <news>"}, [("from", "INVALID_ADDRESS")]),
    ({"reply": "nobody"}, [("reply", "INVALID_ADDRESS")]),
    ({"subject": WITHOUT}, [("subject", "REQUIRED_PROPERTY")]),
    ({"subject": ""}, [("subject", "INVALID_SUBJECT_EMPTY")]),
    ({"subject": "Hi\nBcc: b@example.com"}, [("subject", "INVALID_HEADER_VALUE")]),
    ({"subject": 5}, [("subject", "INVALID_TYPE")]),
    ({"text": WITHOUT}, [("html", "REQUIRED_CONTENT")]),
    ({"text": ""}, [("html", "REQUIRED_CONTENT")]),
    ({"html": 5}, [("html", "INVALID_TYPE")]),
    ({"reference": ""}, [("reference", "INVALID_REFERENCE_EMPTY")]),
    ({"reference": "x" * 65}, [("reference", "INVALID_REFERENCE_LENGTH")]),
    ({"reference": "no spaces"}, [("reference", "INVALID_REFERENCE_CHAR")]),
    ({"reference": 5}, [("reference", "INVALID_TYPE")]),
    ({"tags": [""]}, [("tags[0]", "INVALID_TAG_EMPTY")]),
    ({"tags": ["ok", "x" * 97]}, [("tags[1]", "INVALID_TAG_LENGTH")]),
    ({"tags": ["ü" * 49]}, [("tags[0]", "INVALID_TAG_LENGTH")]),
    ({"tags": ["a/b"]}, [("tags[0]", "INVALID_TAG_CHAR")]),
    ({"tags": "spring"}, [("tags", "INVALID_TYPE")]),
    ({"metadata": "x" * 141}, [("metadata", "INVALID_METADATA_LENGTH")]),
    ({"profile": "x" * 141}, [("profile", "INVALID_PROFILE_LENGTH")]),
    ({"attachments": [{**ATTACHMENT, "file_name": ""}]}, [("attachments[0].file_name", "INVALID_ATTACHMENT_NAME")]),
    ({"attachments": [{**ATTACHMENT, "mime_type": ""}]}, [("attachments[0].mime_type", "INVALID_ATTACHMENT_TYPE")]),
    ({"attachments": [{**ATTACHMENT, "data": "a b"}]}, [("attachments[0].data", "INVALID_ATTACHMENT_DATA")]),
    ({"custom_send_time": "tomorrow"}, [("custom_send_time", "INVALID_CUSTOM_SEND_TIME")]),
    ({"custom_send_time": "2099-01-01T00:00:00Z"}, [("custom_send_time", "INVALID_CUSTOM_SEND_TIME")]),
    ({"time_to_live": "P3D"}, [("time_to_live", "INVALID_TIME_TO_LIVE")]),
    ({"archive_enabled": True, "archive_duration": "PT1H"}, [("archive_duration", "INVALID_ARCHIVE_DURATION")]),
    ({"archive_enabled": "yes"}, [("archive_enabled", "INVALID_TYPE")]),
    ({"cc": "b@example.com"}, [("cc", "UNKNOWN_PROPERTY")]),
    ({"subjekt": "Hi"}, [("subjekt", "UNKNOWN_PROPERTY")]),
    ({"text": FIVE_MEGABYTES}, [("", "MESSAGE_TOO_LARGE")]),
    (
        {"to": "nobody", "subject": "", "tags": ["", "a/b"]},
        [
            ("subject", "INVALID_SUBJECT_EMPTY"),
            ("tags[0]", "INVALID_TAG_EMPTY"),
            ("tags[1]", "INVALID_TAG_CHAR"),
            ("to", "INVALID_ADDRESS"),
        ],
    ),
]
VENDOR_FORM: list[tuple[str, Any, list[tuple[str, str]]]] = [
    ("headers", WITHOUT, [("headers", "REQUIRED_PROPERTY")]),
    ("content", WITHOUT, [("content", "REQUIRED_PROPERTY")]),
    ("headers.to.address", "nobody", [("headers.to.address", "INVALID_ADDRESS")]),
    ("headers.subject", "", [("headers.subject", "INVALID_SUBJECT_EMPTY")]),
    ("headers.to.alias", "Jane\nDoe", [("headers.to.alias", "INVALID_HEADER_VALUE")]),
    ("headers.list_unsubscribe", "<x>\r\n", [("headers.list_unsubscribe", "INVALID_HEADER_VALUE")]),
    ("headers.optional", [{"name": "Campaign", "value": "x"}], [("headers.optional[0].name", "INVALID_HEADER_NAME")]),
    ("headers.optional", [{"name": "X-C", "value": "ü"}], [("headers.optional[0].value", "INVALID_HEADER_VALUE")]),
    ("headers.optional", [{"name": "X-Bcc", "value": "x"}], [("headers.optional[0].name", "RECIPIENT_OVERRIDE")]),
    ("headers.cc", "b@example.com", [("headers.cc", "UNKNOWN_PROPERTY")]),
    ("content.html", "", [("content", "REQUIRED_CONTENT")]),
    ("context.tags", ["a/b"], [("context.tags[0]", "INVALID_TAG_CHAR")]),
    ("to", "jane@example.com", [("to", "MIXED_FORMS")]),
]


def invalid_rows() -> list[tuple[Any, list[tuple[str, str]]]]:
    """Every kind of invalid row, with the fields and codes it is rejected for."""
    rows: list[tuple[Any, list[tuple[str, str]]]] = []
    for changes, errors in SHORT_FORM:
        rows.append(({name: value for name, value in message(0, **changes).items() if value is not WITHOUT}, errors))
    for path, value, errors in VENDOR_FORM:
        row: Row = {
            "headers": {"to": {"address": "a@example.com"}, "from": {"address": "b@example.com"}, "subject": "Hi"},
            "content": {"html": "<p>Hello</p>"},
            "context": {},
        }
        *parents, last = path.split(".")
        place = row
        for parent in parents:
            place = place[parent]
        if value is WITHOUT:
            del place[last]
        else:
            place[last] = value
        rows.append((row, errors))
    return [*rows, ("not an object", [("", "INVALID_TYPE")]), (None, [("", "INVALID_TYPE")])]


def errors_of(line: Row) -> list[tuple[str, str]]:
    return sorted((error["field"], error["code"]) for error in line["_rejected"]["errors"])


def test_among_2000_messages_each_kind_of_invalid_row_is_rejected_and_every_other_arrives_once(
    send: Send, sandbox: Sandbox, tmp_path: Path
) -> None:
    invalid = invalid_rows()
    sizes = [10, 400, 3_000, 20_000, 90_000]
    rows: list[Any] = [message(number, text="x" * sizes[number % 5]) for number in range(2000)]
    rows[1500] = message(1500, text="x" * 3_900_000)
    expected = {}
    for number, (row, errors) in enumerate(invalid):
        rows.insert(number * 30, row)
        expected[number * 30] = sorted(errors)
    path, rejects = write_lines(tmp_path / "messages.ndjson", rows), tmp_path / "rejects.ndjson"

    result = send(messages_path=path, rejects_path=str(rejects), on_rejected="continue")

    assert (result["messages"], result["accepted"], result["rejected"]) == (2000 + len(invalid), 2000, len(invalid))
    assert {line["_rejected"]["row"]: errors_of(line) for line in read_lines(rejects)} == expected
    recipients = [delivery["recipient"] for delivery in sandbox.deliveries()]
    assert sorted(recipients) == sorted(f"user{number}@example.com" for number in range(2000))
    assert sandbox.counts() == {"total": 2000, "distinct": 2000, "duplicates": 0}
    requests = sandbox.requests(operation="send_email")
    assert {request["status"] for request in requests} == {202}
    assert max(request["messages"] for request in requests) <= 100
    assert max(request["request_bytes"] for request in requests) <= 4_000_000
    assert len(requests) == result["requests"]


@pytest.mark.parametrize("position", [0, 60, 120])
def test_by_default_one_invalid_row_keeps_everything_from_being_sent(
    send: Send, sandbox: Sandbox, position: int, store: StateStore | None
) -> None:
    rows = messages(120)
    rows.insert(position, message(0, to="nobody"))
    with pytest.raises(AirflowFailException, match="1 of 121 rows break the vendor's rules; nothing was sent"):
        send(messages=rows, store=store)
    assert sandbox.requests() == []


def test_the_error_lists_row_field_code_and_the_file_of_all(send: Send, tmp_path: Path) -> None:
    rejects = str(tmp_path / "rejects.ndjson")
    with pytest.raises(AirflowFailException) as caught:
        send(messages=[message(0), message(1, to="nobody", tags=[""]), message(2, subject="")], rejects_path=rejects)
    text = str(caught.value)
    assert "row 1: to INVALID_ADDRESS" in text
    assert "tags[0] INVALID_TAG_EMPTY" in text
    assert "row 2: subject INVALID_SUBJECT_EMPTY" in text
    assert rejects in text
    cause = caught.value.__cause__
    assert isinstance(cause, ValidationError)
    assert [row.row for row in cause.rows] == [1, 2]


def test_the_error_of_many_rows_stays_short(send: Send) -> None:
    with pytest.raises(AirflowFailException) as caught:
        send(messages=[message(0, to="nobody")] * 10_000)
    assert "10000 of 10000 rows" in str(caught.value)
    assert len(str(caught.value)) < 2_000


def test_the_error_holds_no_address_and_no_text_of_a_message(send: Send) -> None:
    with pytest.raises(AirflowFailException) as caught:
        send(messages=[message(0, to="jane.doe@example.com, joe@example.com", text="Top secret")])
    assert "jane.doe" not in str(caught.value)
    assert "Top secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["rejects.ndjson", "rejects.ndjson.gz"])
def test_the_rejects_file_of_a_failed_task_holds_the_rows_as_they_were_given(
    send: Send, tmp_path: Path, name: str
) -> None:
    bad = message(1, to="nobody", reference="m-1")
    with pytest.raises(AirflowFailException):
        send(messages=[message(0), bad, message(2)], rejects_path=str(tmp_path / name))
    (line,) = read_lines(tmp_path / name)
    rejected = line.pop("_rejected")
    assert line == bad
    assert set(rejected) == {"row", "errors"}
    assert rejected["row"] == 1
    (error,) = rejected["errors"]
    assert (error["field"], error["code"]) == ("to", "INVALID_ADDRESS")
    assert error["message"].startswith("must be one address")


def test_a_mended_rejects_file_can_be_sent(send: Send, sandbox: Sandbox, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.ndjson"
    rows = [message(0), message(1, to="nobody"), message(2, subject=""), message(3)]
    send(messages=rows, rejects_path=str(rejects), on_rejected="continue")
    first, second = read_lines(rejects)
    mended = [{**first, "to": "user1@example.com"}, {**second, "subject": "No. 2"}]
    result = send(
        messages_path=write_lines(tmp_path / "mended.ndjson", mended),
        rejects_path=str(rejects),
        ti=TaskInstance(run_id="manual__2"),
    )
    assert (result["accepted"], result["rejected"]) == (2, 0)
    assert sorted(each["recipient"] for each in sandbox.deliveries()) == [f"user{n}@example.com" for n in range(4)]
    assert read_lines(rejects) == []


def test_lines_that_are_no_json_are_rejected_and_kept(send: Send, sandbox: Sandbox, tmp_path: Path) -> None:
    path, rejects = tmp_path / "m.ndjson", tmp_path / "rejects.ndjson"
    path.write_bytes(b'{"to": \nplain text\n\xff\xfe\n')
    result = send(messages_path=str(path), rejects_path=str(rejects), on_rejected="continue")
    assert (result["messages"], result["rejected"]) == (3, 3)
    lines = read_lines(rejects)
    assert [errors_of(line) for line in lines] == [[("", "INVALID_JSON")]] * 3
    assert [line["_raw"] for line in lines] == ['{"to":', "plain text", "��"]
    assert sandbox.requests(operation="send_email") == []


def test_a_reference_that_stands_twice_is_rejected_from_the_second_row_on(
    send: Send, sandbox: Sandbox, tmp_path: Path
) -> None:
    rows = [message(number, reference=f"m-{number % 150}") for number in range(151)]
    rejects = tmp_path / "rejects.ndjson"
    result = send(messages=rows, rejects_path=str(rejects), on_rejected="continue")
    assert (result["accepted"], result["rejected"]) == (150, 1)
    (line,) = read_lines(rejects)
    assert (line["_rejected"]["row"], errors_of(line)) == (150, [("reference", "REFERENCE_DUPLICATE_DETECTED")])
    assert sandbox.counts() == {"total": 150, "distinct": 150, "duplicates": 0}


def test_rows_that_only_the_vendor_refuses_are_rejected_and_the_others_sent(
    send: Send, sandbox: Sandbox, tmp_path: Path
) -> None:
    body = '{"errors": [{"index": 1, "field": "reference", "error": "REFERENCE_IN_USE", "message": "is in use"}]}'
    sandbox.faults([{"operation": "send_email", "fault": "status", "status": 400, "body": body, "times": 1}])
    rejects, manifest = tmp_path / "rejects.ndjson", tmp_path / "manifest.ndjson"
    result = send(messages=messages(3), rejects_path=str(rejects), manifest_path=str(manifest), on_rejected="continue")
    assert (result["accepted"], result["rejected"], result["requests"]) == (2, 1, 2)
    (line,) = read_lines(rejects)
    assert (line["_rejected"]["row"], errors_of(line)) == (1, [("reference", "REFERENCE_IN_USE")])
    assert sorted((line["row"], line["outcome"]) for line in read_lines(manifest)) == [
        (0, "accepted"),
        (1, "rejected"),
        (2, "accepted"),
    ]
    assert [each["recipient"] for each in sandbox.deliveries()] == ["user0@example.com", "user2@example.com"]


def test_rows_that_only_the_vendor_refuses_fail_the_task_by_default_after_the_others_were_sent(
    send: Send, sandbox: Sandbox
) -> None:
    body = '{"errors": [{"index": 1, "field": "reference", "error": "REFERENCE_IN_USE", "message": "is in use"}]}'
    sandbox.faults([{"operation": "send_email", "fault": "status", "status": 400, "body": body, "times": 1}])
    with pytest.raises(AirflowFailException, match="row 1: reference REFERENCE_IN_USE"):
        send(messages=messages(3))
    assert sandbox.counts()["total"] == 2


def test_a_dry_run_judges_every_row_writes_the_rejects_and_sends_nothing(
    send: Send, sandbox: Sandbox, tmp_path: Path
) -> None:
    rejects, manifest = tmp_path / "rejects.ndjson", tmp_path / "manifest.ndjson"
    result = send(
        messages=[*messages(150), message(150, to="nobody")],
        dry_run=True,
        on_rejected="continue",
        rejects_path=str(rejects),
        manifest_path=str(manifest),
    )
    assert (result["messages"], result["accepted"], result["rejected"], result["requests"]) == (151, 150, 1, 2)
    assert result["manifest_path"] is None
    assert not manifest.exists()
    assert [line["_rejected"]["row"] for line in read_lines(rejects)] == [150]
    assert sandbox.requests() == []


def test_a_dry_run_fails_on_rejects_as_the_real_one_would(send: Send, sandbox: Sandbox, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.ndjson"
    with pytest.raises(AirflowFailException, match="1 of 1 rows"):
        send(messages=[message(0, to="nobody")], dry_run=True, rejects_path=str(rejects))
    assert len(read_lines(rejects)) == 1
    assert sandbox.requests() == []


def test_without_rejects_the_rejects_file_is_empty_and_replaces_an_older_one(send: Send, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.ndjson"
    rejects.write_text("old\n")
    send(messages=messages(1), rejects_path=str(rejects))
    assert rejects.read_bytes() == b""


@pytest.mark.parametrize(
    ("arguments", "rows"),
    [
        ({}, messages(2)),
        ({}, [message(0, to="nobody")]),
        ({"dry_run": True}, messages(2)),
        ({"on_rejected": "continue"}, [message(0, to="nobody")]),
        ({"messages_path": "/no/such/file"}, None),
        ({"rejects_path": "nowhere://x/y"}, messages(2)),
        ({"marigold_conn_id": "wrong"}, messages(2)),
    ],
)
def test_no_temporary_file_is_left_behind(
    send: Send,
    sandbox: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: dict[str, Any],
    rows: list[Row] | None,
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WRONG", sandbox.connections["AIRFLOW_CONN_MARIGOLD_DEFAULT"].replace("t-s", "x"))
    temporary, out = tmp_path / "tmp", tmp_path / "out"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    paths = {"rejects_path": f"{out}/rejects.ndjson", "manifest_path": f"{out}/manifest.ndjson.gz"}
    with suppress(AirflowFailException):
        send(**{"messages": rows, **paths, **arguments})
    assert list(temporary.iterdir()) == []
