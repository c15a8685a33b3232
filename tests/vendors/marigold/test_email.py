"""The e-mail rules: field, code, and what comes out of a good row."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_messaging.core.batching import BatchLimits
from airflow_provider_messaging.core.messages import Message, Reject
from airflow_provider_messaging.vendors.marigold.email import EMAIL_LIMITS, EmailMessage, prepare

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LONG: dict[str, Any] = {
    "reference": "order-1",
    "content": {"html": "<p>Hello</p>"},
    "headers": {
        "subject": "Hello",
        "to": {"alias": "Jane Doe", "address": "jane@example.com"},
        "from": {"address": "shop@example.com"},
    },
}
SHORT: dict[str, Any] = {
    "reference": "order-1",
    "to": "Jane Doe <jane@example.com>",
    "from": "shop@example.com",
    "subject": "Hello",
    "html": "<p>Hello</p>",
}
ATTACHMENT = {"file_name": "a.pdf", "data": "aGVsbG8=", "mime_type": "application/pdf"}
MISSING = object()


def run(*rows: object, limits: BatchLimits = EMAIL_LIMITS) -> list[Message | Reject]:
    return prepare(list(enumerate(rows)), reference_of=lambda row: f"row-{row}", now=NOW, limits=limits)


def faults(row: object, **options: Any) -> list[tuple[str, str]]:
    [outcome] = run(row, **options)
    return [(error.field, error.code) for error in outcome.errors] if isinstance(outcome, Reject) else []


def changed(row: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    row = copy.deepcopy(row)
    *parents, name = path.split(".")
    part = row
    for parent in parents:
        part = part.setdefault(parent, {})
    if value is MISSING:
        del part[name]
    else:
        part[name] = value
    return row


def long(path: str, value: object) -> list[tuple[str, str]]:
    return faults(changed(LONG, path, value))


def short(path: str, value: object) -> list[tuple[str, str]]:
    return faults(changed(SHORT, path, value))


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("reference", "", [("reference", "INVALID_REFERENCE_EMPTY")]),
        ("reference", "a" * 65, [("reference", "INVALID_REFERENCE_LENGTH")]),
        ("reference", "a_b", [("reference", "INVALID_REFERENCE_CHAR")]),
        ("reference", "a\n", [("reference", "INVALID_REFERENCE_CHAR")]),
        ("reference", "é", [("reference", "INVALID_REFERENCE_CHAR")]),
        (
            "reference",
            "_" * 65,
            [("reference", "INVALID_REFERENCE_LENGTH"), ("reference", "INVALID_REFERENCE_CHAR")],
        ),
        ("reference", 12, [("reference", "INVALID_TYPE")]),
        ("content", MISSING, [("content", "REQUIRED_PROPERTY")]),
        ("content", "text", [("content", "INVALID_TYPE")]),
        ("content.html", MISSING, [("content", "REQUIRED_CONTENT")]),
        ("content.html", "", [("content", "REQUIRED_CONTENT")]),
        ("content.html", 1, [("content.html", "INVALID_TYPE")]),
        ("content.attachments", {}, [("content.attachments", "INVALID_TYPE")]),
        (
            "content.attachments",
            [ATTACHMENT, {}],
            [
                ("content.attachments[1].file_name", "REQUIRED_PROPERTY"),
                ("content.attachments[1].data", "REQUIRED_PROPERTY"),
                ("content.attachments[1].mime_type", "REQUIRED_PROPERTY"),
            ],
        ),
        *[
            (
                "content.attachments",
                [{**ATTACHMENT, "data": data}],
                [("content.attachments[0].data", "INVALID_ATTACHMENT_DATA")],
            )
            for data in ("", "aGVsbG8", "aGVs\nbG8=", "a===", "aGVs-_8=", "====", "aGVsbG8=\n")
        ],
        (
            "content.attachments",
            [ATTACHMENT, {**ATTACHMENT, "file_name": "b.pdf"}, ATTACHMENT],
            [("content.attachments[2].file_name", "DUPLICATE_FILE_NAME")],
        ),
        (
            "content.attachments",
            [{**ATTACHMENT, "file_name": "a\r\nb"}],
            [("content.attachments[0].file_name", "INVALID_ATTACHMENT_NAME")],
        ),
        (
            "content.attachments",
            [{**ATTACHMENT, "mime_type": ""}],
            [("content.attachments[0].mime_type", "INVALID_ATTACHMENT_TYPE")],
        ),
        ("headers", MISSING, [("headers", "REQUIRED_PROPERTY")]),
        ("headers.subject", "", [("headers.subject", "INVALID_SUBJECT_EMPTY")]),
        ("headers.subject", None, [("headers.subject", "REQUIRED_PROPERTY")]),
        ("headers.subject", "a\r\nBcc: b@example.com", [("headers.subject", "INVALID_HEADER_VALUE")]),
        ("headers.subject", "a\n", [("headers.subject", "INVALID_HEADER_VALUE")]),
        ("headers.subject", 5, [("headers.subject", "INVALID_TYPE")]),
        ("headers.to", MISSING, [("headers.to", "REQUIRED_TO_HEADER")]),
        ("headers.to", None, [("headers.to", "REQUIRED_TO_HEADER")]),
        ("headers.to", "jane@example.com", [("headers.to", "INVALID_TYPE")]),
        ("headers.to", [{"address": "jane@example.com"}], [("headers.to", "INVALID_TYPE")]),
        ("headers.to.address", MISSING, [("headers.to.address", "REQUIRED_TO_ADDRESS")]),
        ("headers.to.address", None, [("headers.to.address", "REQUIRED_TO_ADDRESS")]),
        ("headers.to.address", "", [("headers.to.address", "REQUIRED_TO_ADDRESS")]),
        ("headers.to.alias", "Jane\nDoe", [("headers.to.alias", "INVALID_HEADER_VALUE")]),
        ("headers.from", MISSING, [("headers.from", "REQUIRED_FROM_HEADER")]),
        ("headers.from", {}, [("headers.from.address", "REQUIRED_FROM_ADDRESS")]),
        ("headers.from.address", "", [("headers.from.address", "REQUIRED_FROM_ADDRESS")]),
        ("headers.from.alias", "Shop\r", [("headers.from.alias", "INVALID_HEADER_VALUE")]),
        ("headers.reply", {}, [("headers.reply.address", "REQUIRED_PROPERTY")]),
        ("headers.reply", {"address": ""}, [("headers.reply.address", "INVALID_ADDRESS")]),
        ("headers.reply", {"address": "a@b", "alias": "\n"}, [("headers.reply.alias", "INVALID_HEADER_VALUE")]),
        ("headers.list_unsubscribe", "<a>\n", [("headers.list_unsubscribe", "INVALID_HEADER_VALUE")]),
        ("headers.cc", {"address": "a@b"}, [("headers.cc", "UNKNOWN_PROPERTY")]),
        ("headers.subjct", "x", [("headers.subjct", "UNKNOWN_PROPERTY")]),
        ("headers.subjct", None, [("headers.subjct", "UNKNOWN_PROPERTY")]),
        ("context", [], [("context", "INVALID_TYPE")]),
        ("context.tags", "a", [("context.tags", "INVALID_TYPE")]),
        ("context.tags", ["a", ""], [("context.tags[1]", "INVALID_TAG_EMPTY")]),
        ("context.tags", ["a", None], [("context.tags[1]", "INVALID_TAG_EMPTY")]),
        ("context.tags", ["a/b"], [("context.tags[0]", "INVALID_TAG_CHAR")]),
        ("context.tags", ["a" * 97], [("context.tags[0]", "INVALID_TAG_LENGTH")]),
        ("context.tags", ["a", "é" * 49], [("context.tags[1]", "INVALID_TAG_LENGTH")]),
        (
            "context.tags",
            ["/" + "é" * 48],
            [("context.tags[0]", "INVALID_TAG_LENGTH"), ("context.tags[0]", "INVALID_TAG_CHAR")],
        ),
        ("context.tags", ["a", 5, ""], [("context.tags[1]", "INVALID_TYPE"), ("context.tags[2]", "INVALID_TAG_EMPTY")]),
        ("context.metadata", "m" * 141, [("context.metadata", "INVALID_METADATA_LENGTH")]),
        ("context.metadata", {"a": 1}, [("context.metadata", "INVALID_TYPE")]),
        ("context.profile", "p" * 141, [("context.profile", "INVALID_PROFILE_LENGTH")]),
        ("context.profile", 7, [("context.profile", "INVALID_TYPE")]),
        ("context.profil", "p", [("context.profil", "UNKNOWN_PROPERTY")]),
        ("custom_send_time", "tomorrow", [("custom_send_time", "INVALID_CUSTOM_SEND_TIME")]),
        ("custom_send_time", "2026-01-02", [("custom_send_time", "INVALID_CUSTOM_SEND_TIME")]),
        ("custom_send_time", "2026-01-02T12:00:01", [("custom_send_time", "INVALID_CUSTOM_SEND_TIME")]),
        ("custom_send_time", "2026-01-02T13:00:00+00:30", [("custom_send_time", "INVALID_CUSTOM_SEND_TIME")]),
        ("custom_send_time", "2026-02-30T12:00:00Z", [("custom_send_time", "INVALID_CUSTOM_SEND_TIME")]),
        ("custom_send_time", 1767268800, [("custom_send_time", "INVALID_TYPE")]),
        ("time_to_live", "2 days", [("time_to_live", "INVALID_TIME_TO_LIVE")]),
        ("time_to_live", "PT0S", [("time_to_live", "INVALID_TIME_TO_LIVE")]),
        ("time_to_live", "-P1D", [("time_to_live", "INVALID_TIME_TO_LIVE")]),
        ("time_to_live", "P2DT1S", [("time_to_live", "INVALID_TIME_TO_LIVE")]),
        ("time_to_live", "P1M", [("time_to_live", "INVALID_TIME_TO_LIVE")]),
        ("time_to_live", 3600, [("time_to_live", "INVALID_TYPE")]),
        ("archive_enabled", "true", [("archive_enabled", "INVALID_TYPE")]),
        ("archive_enabled", 1, [("archive_enabled", "INVALID_TYPE")]),
        ("archive_duration", "PT23H59M", [("archive_duration", "INVALID_ARCHIVE_DURATION")]),
        ("archive_duration", "a month", [("archive_duration", "INVALID_ARCHIVE_DURATION")]),
        ("subjct", "x", [("subjct", "UNKNOWN_PROPERTY")]),
        ("optional", [], [("optional", "UNKNOWN_PROPERTY")]),
    ],
)
def test_a_broken_rule_is_named_with_its_field_and_code(
    path: str, value: object, expected: list[tuple[str, str]]
) -> None:
    assert long(path, value) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"name": "X-Campaign", "value": "spring"}, []),
        ({"value": "a"}, [("name", "REQUIRED_PROPERTY")]),
        ({"name": "", "value": "a"}, [("name", "INVALID_HEADER_NAME")]),
        ({"name": "Campaign", "value": "a"}, [("name", "INVALID_HEADER_NAME")]),
        ({"name": "X-", "value": "a"}, [("name", "INVALID_HEADER_NAME")]),
        ({"name": "X-a b", "value": "a"}, [("name", "INVALID_HEADER_NAME")]),
        ({"name": "X-a:b", "value": "a"}, [("name", "INVALID_HEADER_NAME")]),
        ({"name": "X-é", "value": "a"}, [("name", "INVALID_HEADER_NAME")]),
        ({"name": "X-a\n", "value": "a"}, [("name", "INVALID_HEADER_NAME")]),
        ({"name": "X-a"}, [("value", "REQUIRED_PROPERTY")]),
        ({"name": "X-a", "value": ""}, [("value", "INVALID_HEADER_VALUE")]),
        ({"name": "X-a", "value": "é"}, [("value", "INVALID_HEADER_VALUE")]),
        ({"name": "X-a", "value": "a\r\nBcc: b@example.com"}, [("value", "INVALID_HEADER_VALUE")]),
        ({"name": "X-To", "value": "a"}, [("name", "RECIPIENT_OVERRIDE")]),
        ({"name": "Bcc", "value": "a"}, [("name", "INVALID_HEADER_NAME"), ("name", "RECIPIENT_OVERRIDE")]),
        ({"name": "X-a", "value": "a", "x": 1}, [("x", "UNKNOWN_PROPERTY")]),
    ],
)
def test_an_optional_header_has_rules_for_name_and_value(header: object, expected: list[tuple[str, str]]) -> None:
    assert long("headers.optional", [header]) == [(f"headers.optional[0].{name}", code) for name, code in expected]


def test_headers_are_duplicates_whatever_their_case() -> None:
    headers = [{"name": "X-A", "value": "1"}, {"name": "X-B", "value": "2"}, {"name": "X-a", "value": "3"}]
    assert long("headers.optional", headers) == [("headers.optional[2].name", "DUPLICATE_HEADER")]


@pytest.mark.parametrize(
    "address",
    [
        "jane@example.com",
        "jane+tag@sub.example.co.uk",
        "o'hara@example.com",
        "用户@例子.广告",
        "jürgen@bücher.example",
        "jane@localhost",
        "a@" + "b" * 252,
    ],
)
def test_good_addresses_pass(address: str) -> None:
    assert long("headers.to.address", address) == []
    assert short("to", address) == []


@pytest.mark.parametrize(
    "address",
    [
        "jane",
        "@example.com",
        "jane@",
        "jane@@example.com",
        "a@b@example.com",
        "jane doe@example.com",
        " jane@example.com",
        "jane@example.com ",
        "jane@example.com\n",
        "jane@example.com\r\nBcc: b@example.com",
        "jane\u00a0doe@example.com",
        "jane\u2028@example.com",
        "jane\x00@example.com",
        "a@example.com,b@example.com",
        "a@example.com;b@example.com",
        "<jane@example.com",
        "jane@example..com",
        "jane@.example.com",
        "jane@example.com.",
        "mailto:jane@example.com",
        "jane@example.com (Jane)",
        "a@" + "b" * 253,
    ],
)
def test_bad_addresses_are_refused(address: str) -> None:
    assert long("headers.to.address", address) == [("headers.to.address", "INVALID_ADDRESS")]
    assert short("to", address) == [("to", "INVALID_ADDRESS")]


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("to", MISSING, [("to", "REQUIRED_TO_HEADER")]),
        ("to", None, [("to", "REQUIRED_TO_HEADER")]),
        ("to", "", [("to", "REQUIRED_TO_ADDRESS")]),
        ("to", "Jane <>", [("to", "REQUIRED_TO_ADDRESS")]),
        ("to", 5, [("to", "INVALID_TYPE")]),
        ("to", ["jane@example.com"], [("to", "INVALID_TYPE")]),
        ("to", {"address": "jane@example.com"}, [("to", "INVALID_TYPE")]),
        ("to", "a@example.com, b@example.com", [("to", "INVALID_ADDRESS")]),
        ("to", "A <a@example.com>, B <b@example.com>", [("to", "INVALID_ADDRESS")]),
        ("to", "a@example.com <b@example.com>", [("to", "INVALID_ADDRESS")]),
        ("to", "Doe, Jane <jane@example.com>", [("to", "INVALID_ADDRESS")]),
        ("to", '"Jane\nDoe" <jane@example.com>', [("to", "INVALID_HEADER_VALUE")]),
        ("from", MISSING, [("from", "REQUIRED_FROM_HEADER")]),
        ("from", "", [("from", "REQUIRED_FROM_ADDRESS")]),
        ("from", "shop", [("from", "INVALID_ADDRESS")]),
        ("reply", "nobody", [("reply", "INVALID_ADDRESS")]),
        ("subject", MISSING, [("subject", "REQUIRED_PROPERTY")]),
        ("subject", "", [("subject", "INVALID_SUBJECT_EMPTY")]),
        ("html", MISSING, [("html", "REQUIRED_CONTENT")]),
        ("html", None, [("html", "REQUIRED_CONTENT")]),
        ("attachments", [{**ATTACHMENT, "data": "?"}], [("attachments[0].data", "INVALID_ATTACHMENT_DATA")]),
        ("tags", ["a", "b", "c/d"], [("tags[2]", "INVALID_TAG_CHAR")]),
        ("tags", "a", [("tags", "INVALID_TYPE")]),
        ("profile", "p" * 141, [("profile", "INVALID_PROFILE_LENGTH")]),
        ("metadata", "m" * 141, [("metadata", "INVALID_METADATA_LENGTH")]),
        ("list_unsubscribe", "\n", [("list_unsubscribe", "INVALID_HEADER_VALUE")]),
        ("time_to_live", "P3D", [("time_to_live", "INVALID_TIME_TO_LIVE")]),
        ("reference", "a b", [("reference", "INVALID_REFERENCE_CHAR")]),
        ("subjct", "x", [("subjct", "UNKNOWN_PROPERTY")]),
        ("cc", "a@example.com", [("cc", "UNKNOWN_PROPERTY")]),
    ],
)
def test_the_short_form_names_what_the_author_wrote(path: str, value: object, expected: list[tuple[str, str]]) -> None:
    assert short(path, value) == expected


def test_a_row_of_both_forms_is_told_so() -> None:
    assert faults({**LONG, "to": "jane@example.com", "tags": ["a"]}) == [
        ("to", "MIXED_FORMS"),
        ("tags", "MIXED_FORMS"),
    ]


def test_nulls_of_the_other_form_do_not_mix_the_forms() -> None:
    """A table with a column for everything has a null for what a row has not."""
    assert faults({**LONG, "to": None, "html": None}) == []
    assert faults({**SHORT, "headers": None, "content": None, "context": None}) == []


@pytest.mark.parametrize("row", [None, 5, "text", [], [{}], True, [["reference", "a"]]])
def test_a_row_that_is_no_object_is_rejected(row: object) -> None:
    assert faults(row) == [("", "INVALID_TYPE")]


def test_every_broken_rule_of_every_row_is_found_at_once() -> None:
    outcomes = run(
        {**SHORT, "reference": "a"},
        {"reference": "", "to": "x", "subject": "\n", "tags": ["", "a/"], "time_to_live": "P9D"},
        {**LONG, "reference": "b"},
        "nothing",
        changed(changed(LONG, "headers", {}), "content", {}),
    )
    assert [type(outcome) for outcome in outcomes] == [Message, Reject, Message, Reject, Reject]
    assert [outcome.row for outcome in outcomes] == [0, 1, 2, 3, 4]
    found = {
        outcome.row: {(error.field, error.code) for error in outcome.errors}
        for outcome in outcomes
        if isinstance(outcome, Reject)
    }
    assert found == {
        1: {
            ("reference", "INVALID_REFERENCE_EMPTY"),
            ("to", "INVALID_ADDRESS"),
            ("from", "REQUIRED_FROM_HEADER"),
            ("subject", "INVALID_HEADER_VALUE"),
            ("html", "REQUIRED_CONTENT"),
            ("tags[0]", "INVALID_TAG_EMPTY"),
            ("tags[1]", "INVALID_TAG_CHAR"),
            ("time_to_live", "INVALID_TIME_TO_LIVE"),
        },
        3: {("", "INVALID_TYPE")},
        4: {
            ("headers.subject", "REQUIRED_PROPERTY"),
            ("headers.to", "REQUIRED_TO_HEADER"),
            ("headers.from", "REQUIRED_FROM_HEADER"),
            ("content", "REQUIRED_CONTENT"),
        },
    }


def test_a_typing_error_gets_a_hint() -> None:
    [reject] = run(changed(SHORT, "subjct", "x"))
    assert isinstance(reject, Reject)
    assert "'subject'" in reject.errors[0].message


def test_messages_never_repeat_addresses() -> None:
    [reject] = run({**SHORT, "to": "jane.secret@example.com, b@example.com"})
    assert isinstance(reject, Reject)
    assert "secret" not in str(reject.errors)


def message(row: object, **options: Any) -> Message:
    [outcome] = run(row, **options)
    assert isinstance(outcome, Message), outcome
    return outcome


def test_the_vendors_form_is_sent_as_it_was_given() -> None:
    row = {
        **LONG,
        "context": {"tags": ["a", "é" * 48], "metadata": "m" * 140, "profile": "é" * 140},
        "time_to_live": None,
        "archive_enabled": None,
        "archive_duration": None,
        "custom_send_time": None,
        "priority": {"any": ["thing", None]},
    }
    made = message(row)
    assert msgspec.json.decode(made.data) == row
    assert (made.reference, made.recipient, made.profile) == ("order-1", "jane@example.com", "é" * 140)
    assert made.tags == ("a", "é" * 48)


@pytest.mark.parametrize("place", ["priority", "headers.priority", "context.priority", "content.priority"])
def test_priority_is_passed_on_from_wherever_it_stands(place: str) -> None:
    row = changed(LONG, place, "low")
    assert msgspec.json.decode(message(row).data) == row


def test_the_vendors_sample_passes() -> None:
    row = {
        "reference": "2a0a0b3e71874163860d496b0283a790",
        "content": {"html": "<html></html>", "text": "text", "attachments": [ATTACHMENT]},
        "headers": {
            "subject": "Hello world from EDC",
            "to": {"alias": "Jane", "address": "jane@example.com"},
            "from": {"alias": "Shop", "address": "shop@example.com"},
            "reply": {"alias": "Shop", "address": "reply@example.com"},
            "list_unsubscribe": "<https://www.example.com/u?ID=1>, <mailto:u@example.com?subject=unsubscribe 1>",
            "optional": [{"name": "X-A", "value": "1"}],
        },
        "context": {"tags": ["a"], "metadata": '{"name":"john","ref":123}', "profile": "12345-ABCDEFG-6789"},
        "custom_send_time": "2022-09-02T12:00:00",
        "time_to_live": "P2D",
        "archive_enabled": True,
        "archive_duration": "P30D",
    }
    assert msgspec.json.decode(message(row).data) == row


def test_nulls_that_the_vendor_forbids_are_left_out() -> None:
    row = changed(LONG, "headers.to.alias", None)
    row = changed(changed(row, "content.text", None), "headers.reply", None)
    row["context"] = None
    made = msgspec.json.decode(message(row).data)
    assert made == changed(LONG, "headers.to.alias", MISSING)
    assert row["context"] is None, "the row itself stays as it was given"
    kept = {**LONG, "context": {"tags": None, "profile": "p"}, "time_to_live": None}
    made = msgspec.json.decode(message(kept).data)
    assert made["context"] == {"profile": "p"}
    assert made["time_to_live"] is None, "the vendor allows null here"


def test_an_unknown_property_is_one_even_when_it_is_null() -> None:
    assert faults({**LONG, "context": None, "subjct": None}) == [("subjct", "UNKNOWN_PROPERTY")]
    assert faults({**SHORT, "subjct": None}) == [("subjct", "UNKNOWN_PROPERTY")]


def test_the_short_form_becomes_the_vendors() -> None:
    row = {
        **SHORT,
        "to": '"Doe, Jane" <jane@example.com>',
        "reply": "<reply@example.com>",
        "text": "Hello",
        "attachments": [ATTACHMENT],
        "profile": "p",
        "tags": ["a"],
        "metadata": "m",
        "list_unsubscribe": "<https://example.com>",
        "custom_headers": {"X-Campaign": "spring", "X-Unset": None},
        "time_to_live": "PT30M",
        "archive_enabled": False,
        "archive_duration": "P5M",
        "priority": "high",
        "_rejected": {"row": 3, "errors": []},
    }
    before = copy.deepcopy(row)
    made = message(row)
    assert msgspec.json.decode(made.data) == {
        "reference": "order-1",
        "content": {"html": "<p>Hello</p>", "text": "Hello", "attachments": [ATTACHMENT]},
        "headers": {
            "subject": "Hello",
            "to": {"alias": "Doe, Jane", "address": "jane@example.com"},
            "from": {"address": "shop@example.com"},
            "reply": {"address": "reply@example.com"},
            "list_unsubscribe": "<https://example.com>",
            "optional": [{"name": "X-Campaign", "value": "spring"}],
        },
        "context": {"profile": "p", "tags": ["a"], "metadata": "m"},
        "time_to_live": "PT30M",
        "archive_enabled": False,
        "archive_duration": "P5M",
        "priority": "high",
    }
    assert (made.recipient, made.profile, made.tags) == ("jane@example.com", "p", ("a",))
    assert row == before, "rows are not changed"


def test_the_key_of_a_rejects_file_is_ignored_in_the_vendors_form() -> None:
    assert "_rejected" not in msgspec.json.decode(message({**LONG, "_rejected": 1}).data)


@pytest.mark.parametrize("row", [LONG, SHORT], ids=["long", "short"])
@pytest.mark.parametrize("reference", [MISSING, None], ids=["missing", "null"])
def test_a_row_without_reference_gets_one(row: dict[str, Any], reference: object) -> None:
    made = message(changed(row, "reference", reference))
    assert made.reference == "row-0"
    assert msgspec.json.decode(made.data)["reference"] == "row-0"


def test_a_given_reference_that_comes_again_is_a_reject() -> None:
    first, second, third = run(SHORT, LONG, {**LONG, "reference": "other"})
    assert isinstance(first, Message)
    assert isinstance(second, Reject)
    assert [(error.field, error.code) for error in second.errors] == [("reference", "REFERENCE_DUPLICATE_DETECTED")]
    assert isinstance(third, Message)


def test_a_rejected_row_does_not_use_its_reference_up() -> None:
    bad, good = run(changed(LONG, "headers.subject", ""), LONG)
    assert (type(bad), type(good)) == (Reject, Message)


@pytest.mark.parametrize(
    ("given_time", "written"),
    [
        ("2026-01-02T12:00:00", "2026-01-02T12:00:00"),
        ("2026-01-02T12:00:00Z", "2026-01-02T12:00:00Z"),
        ("2026-01-02T12:00:00.0000000Z", "2026-01-02T12:00:00.0000000Z"),
        ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z"),
        ("2026-01-02T14:00:00+02:00", "2026-01-02T12:00:00Z"),
        ("2026-01-02T12:00:00+00:00", "2026-01-02T12:00:00Z"),
        ("2026-01-02 12:00:00", "2026-01-02T12:00:00Z"),
        (datetime(2026, 1, 1, 12), "2026-01-01T12:00:00Z"),  # noqa: DTZ001  naive is the case in question
        (datetime(2026, 1, 1, 12, tzinfo=UTC), "2026-01-01T12:00:00Z"),
        (datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2))), "2026-01-01T10:00:00Z"),
        (datetime(2026, 1, 1, 12, 0, 0, 500000, tzinfo=UTC), "2026-01-01T12:00:00.500000Z"),
    ],
)
@pytest.mark.parametrize("row", [LONG, SHORT], ids=["long", "short"])
def test_send_times_are_written_in_utc(row: dict[str, Any], given_time: object, written: str) -> None:
    made = message({**row, "custom_send_time": given_time})
    assert msgspec.json.decode(made.data)["custom_send_time"] == written


def test_a_send_time_is_judged_by_the_given_now() -> None:
    row = {**LONG, "custom_send_time": NOW + timedelta(hours=24)}
    assert faults(row) == []
    row["custom_send_time"] += timedelta(seconds=1)
    assert faults(row) == [("custom_send_time", "INVALID_CUSTOM_SEND_TIME")]
    [later] = prepare([(0, row)], reference_of=str, now=NOW + timedelta(hours=1))
    assert isinstance(later, Message)


def test_naive_times_are_utc_wherever_the_worker_is(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        monkeypatch.setenv("TZ", "America/New_York")
        time.tzset()
        naive_now = NOW.replace(tzinfo=None)
        for ahead, outcome in ((timedelta(hours=24), Message), (timedelta(hours=24, seconds=1), Reject)):
            for when in (naive_now + ahead, (naive_now + ahead).isoformat()):
                [made] = prepare([(0, {**LONG, "custom_send_time": when})], reference_of=str, now=naive_now)
                assert type(made) is outcome
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("hours", [-14, 0, 14])
def test_a_send_time_at_the_calendars_end_is_a_reject_at_most(hours: int) -> None:
    zone = timezone(timedelta(hours=hours))
    for moment in (datetime.min.replace(tzinfo=zone), datetime.max.replace(tzinfo=zone)):
        assert {code for _, code in faults({**LONG, "custom_send_time": moment})} <= {"INVALID_CUSTOM_SEND_TIME"}


@pytest.mark.parametrize("duration", ["P2D", "PT48H", "PT0.5S", "PT10S", "P1DT24H"])
def test_a_time_to_live_of_up_to_two_days_passes(duration: str) -> None:
    assert long("time_to_live", duration) == []


@pytest.mark.parametrize("duration", ["P1D", "PT24H", "P5M", "P2Y", "P1W", "P1Y6M"])
def test_an_archive_duration_of_a_day_or_more_passes(duration: str) -> None:
    assert long("archive_duration", duration) == []


def test_a_message_too_large_for_a_request_is_rejected_with_size_and_limit() -> None:
    size = len(message(LONG).data)
    exact = BatchLimits(max_messages=100, max_bytes=size + 2)
    assert faults(LONG, limits=exact) == []
    [reject] = run(LONG, limits=BatchLimits(max_messages=100, max_bytes=size + 1))
    assert isinstance(reject, Reject)
    assert [(error.field, error.code) for error in reject.errors] == [("", "MESSAGE_TOO_LARGE")]
    assert str(size) in reject.errors[0].message
    assert str(size + 1) in reject.errors[0].message


def test_size_is_judged_beside_the_other_rules() -> None:
    row = changed(LONG, "headers.subject", "")
    assert faults(row, limits=BatchLimits(max_messages=1, max_bytes=10)) == [
        ("headers.subject", "INVALID_SUBJECT_EMPTY"),
        ("", "MESSAGE_TOO_LARGE"),
    ]


def test_text_that_is_no_unicode_is_a_reject() -> None:
    assert short("html", "\ud800") == [("", "INVALID_TYPE")]
    assert long("priority", "\ud800") == [("", "INVALID_TYPE")]
    assert [code for _, code in faults({**LONG, "\ud800": 1})] == ["INVALID_TYPE"]


def test_values_that_json_can_not_hold_are_rejects() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert long("content.html", object()) == [("content.html", "INVALID_TYPE")]
    [one, other] = run({**LONG, "priority": object()}, {**LONG, "reference": "b", "priority": deep})
    assert isinstance(one, Reject)
    assert isinstance(other, Reject)


def test_strings_of_a_class_of_their_own_are_strings() -> None:
    class Markup(str):
        """Templating engines have such."""

    row = {**SHORT, "html": Markup("<p>Hello</p>"), "tags": [Markup("a")]}
    assert msgspec.json.decode(message(row).data)["content"] == {"html": "<p>Hello</p>"}


def test_the_model_lists_the_documented_fields() -> None:
    assert set(EmailMessage.__annotations__) == {
        "reference",
        "content",
        "headers",
        "context",
        "custom_send_time",
        "time_to_live",
        "archive_enabled",
        "archive_duration",
        "priority",
    }


FIELDS = (
    "reply text attachments profile tags metadata list_unsubscribe custom_send_time time_to_live archive_enabled "
    "archive_duration priority custom_headers context optional alias address name value data file_name mime_type "
    "_rejected"
)
names = st.sampled_from([*SHORT, *LONG, *FIELDS.split()])
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.sampled_from(["a@b", "A <a@b>", '"', "<", "P1D", "P1Y", "2026-01-01T00:00:00Z", "X-A", "aGVsbG8="])
)
json = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names | st.text(max_size=5), inner, max_size=8),
    max_leaves=30,
)


@given(rows=st.lists(json | st.dictionaries(names, json, max_size=10) | st.sampled_from([LONG, SHORT]), max_size=6))
def test_every_row_comes_back_once_in_order_and_as_json_of_its_reference(rows: Sequence[object]) -> None:
    before = copy.deepcopy(rows)
    outcomes = prepare(
        [(index + 7, row) for index, row in enumerate(rows)], reference_of=lambda row: f"row-{row}", now=NOW
    )
    assert [outcome.row for outcome in outcomes] == [index + 7 for index in range(len(rows))]
    assert rows == before
    for outcome in outcomes:
        if isinstance(outcome, Message):
            assert msgspec.json.decode(outcome.data)["reference"] == outcome.reference
            assert msgspec.json.decode(outcome.data)["headers"]["to"]["address"] == outcome.recipient
        else:
            assert outcome.errors
            assert len(set(outcome.errors)) == len(outcome.errors)


@given(
    reference=st.text(max_size=70) | st.from_regex(r"[A-Za-z0-9-]{1,66}", fullmatch=True),
    tag=st.text(max_size=100) | st.text(alphabet="aé/€", max_size=100),
    subject=st.text(max_size=5),
)
def test_the_fast_patterns_and_the_named_rules_agree(reference: str, tag: str, subject: str) -> None:
    """A value that a pattern refuses and no rule explains would show up as INVALID_TYPE."""
    row = {**SHORT, "reference": reference, "subject": subject, "tags": [tag]}
    expected = set()
    if not reference:
        expected.add(("reference", "INVALID_REFERENCE_EMPTY"))
    if len(reference) > 64:
        expected.add(("reference", "INVALID_REFERENCE_LENGTH"))
    if any(not (char.isascii() and char.isalnum()) and char != "-" for char in reference):
        expected.add(("reference", "INVALID_REFERENCE_CHAR"))
    if not subject:
        expected.add(("subject", "INVALID_SUBJECT_EMPTY"))
    if {"\r", "\n", "\0"} & set(subject):
        expected.add(("subject", "INVALID_HEADER_VALUE"))
    if not tag:
        expected.add(("tags[0]", "INVALID_TAG_EMPTY"))
    if len(tag.encode()) > 96:
        expected.add(("tags[0]", "INVALID_TAG_LENGTH"))
    if "/" in tag:
        expected.add(("tags[0]", "INVALID_TAG_CHAR"))
    assert set(faults(row)) == expected


@given(alias=st.text(alphabet=st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), min_size=1))
def test_a_quoted_name_of_any_kind_comes_through(alias: str) -> None:
    quoted = alias.replace("\\", "\\\\").replace('"', '\\"')
    made = msgspec.json.decode(message({**SHORT, "to": f'"{quoted}" <jane@example.com>'}).data)
    assert made["headers"]["to"].get("alias", "") == alias.strip(" \t")
    assert made["headers"]["to"]["address"] == "jane@example.com"
