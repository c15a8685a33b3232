"""Every rule of an e-mail message, broken once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

NAME_RULE = (
    "Error for header {}: A field name MUST be composed of printable US - ASCII characters (i.e., characters that "
    "have values between 33 and 126, inclusive), except colon"
)


def optional(*headers: tuple[object, object]) -> list[dict[str, object]]:
    return [{"name": name, "value": value} for name, value in headers]


def attached(**changes: object) -> list[dict[str, object]]:
    return [{"file_name": "a.txt", "data": "aGVsbG8=", "mime_type": "text/plain", **changes}]


@dataclass(frozen=True)
class InHours:
    """A moment counted from when the test runs, which may be long after it was collected."""

    hours: float

    def __str__(self) -> str:
        return (datetime.now(UTC) + timedelta(hours=self.hours)).strftime("%Y-%m-%dT%H:%M:%S")


def now(value: object) -> object:
    return str(value) if isinstance(value, InHours) else value


BROKEN = [
    # documented for all messages
    ("reference", "", "reference", "INVALID_REFERENCE_EMPTY"),
    ("reference", None, "reference", "INVALID_REFERENCE_EMPTY"),
    ("reference", "r" * 65, "reference", "INVALID_REFERENCE_LENGTH"),
    ("reference", "under_score", "reference", "INVALID_REFERENCE_CHAR"),
    ("reference", "umlaut-ä", "reference", "INVALID_REFERENCE_CHAR"),
    ("reference", "line\n", "reference", "INVALID_REFERENCE_CHAR"),
    ("reference", 17, "reference", "INVALID_TYPE"),
    ("context__tags", ["t" * 97], "context.tags", "INVALID_TAG_LENGTH"),
    ("context__tags", ["ä" * 49], "context.tags", "INVALID_TAG_LENGTH"),
    ("context__tags", [""], "context.tags", "INVALID_TAG_EMPTY"),
    ("context__tags", [None], "context.tags", "INVALID_TAG_EMPTY"),
    ("context__tags", ["a/b"], "context.tags", "INVALID_TAG_CHAR"),
    ("context__tags", "spring", "context.tags", "INVALID_TYPE"),
    ("context__tags", [1], "context.tags", "INVALID_TYPE"),
    ("context__metadata", "m" * 141, "context.metadata", "INVALID_METADATA_LENGTH"),
    ("context__metadata", {"name": "john"}, "context.metadata", "INVALID_TYPE"),
    ("context__profile", "p" * 141, "context.profile", "INVALID_PROFILE_LENGTH"),
    ("context__profile", 1, "context.profile", "INVALID_TYPE"),
    ("context", [], "context", "INVALID_TYPE"),
    # documented for e-mail
    ("headers__subject", "", "headers.subject", "INVALID_SUBJECT_EMPTY"),
    ("headers__subject", None, "headers.subject", "INVALID_SUBJECT_EMPTY"),
    ("headers__to", None, "headers.to", "REQUIRED_TO_HEADER"),
    ("headers__to", {"alias": "Jane"}, "headers.to.address", "REQUIRED_TO_ADDRESS"),
    ("headers__to__address", "", "headers.to.address", "REQUIRED_TO_ADDRESS"),
    ("headers__from", None, "headers.from", "REQUIRED_FROM_HEADER"),
    ("headers__from", {}, "headers.from.address", "REQUIRED_FROM_ADDRESS"),
    (
        "headers__optional",
        optional(("X-A", "1"), ("X-a", "2")),
        "headers.optional",
        "Duplicate headers detected: [X-a].",
    ),
    (
        "headers__optional",
        optional((None, "1")),
        "headers.optional[0]",
        "Error for optional header: name can not be null or empty.",
    ),
    (
        "headers__optional",
        optional(("", "1")),
        "headers.optional[0]",
        "Error for optional header: name can not be null or empty.",
    ),
    (
        "headers__optional",
        optional(("X-A", "")),
        "headers.optional[0]",
        "Error for optional header [X-A]: value can not be null or empty",
    ),
    (
        "headers__optional",
        optional(("X-A", None)),
        "headers.optional[0]",
        "Error for optional header [X-A]: value can not be null or empty",
    ),
    (
        "headers__optional",
        optional(("Campaign", "1")),
        "headers.optional[0]",
        "Error for header [Campaign]: name of custom headers should start with 'X-'.",
    ),
    ("headers__optional", optional(("X-A B", "1")), "headers.optional[0]", NAME_RULE.format("X-A B")),
    ("headers__optional", optional(("X-A:", "1")), "headers.optional[0]", NAME_RULE.format("X-A:")),
    ("headers__optional", optional(("X-Ä", "1")), "headers.optional[0]", NAME_RULE.format("X-Ä")),
    (
        "headers__optional",
        optional(("X-A", "ä")),
        "headers.optional[0]",
        "Error for header ä:A field value MUST be composed of US - ASCII characters",
    ),
    (
        "headers__optional",
        optional(("Bcc", "a@example.com")),
        "headers.optional[0]",
        "The api call does not support recipient overrides. Change the addressee instead.",
    ),
    # not documented as codes
    (
        "headers__optional",
        optional(("X-A", "1\r\nBcc: a@example.com")),
        "headers.optional[0]",
        "INVALID_HEADER_VALUE_CHAR",
    ),
    ("headers__optional", {"X-A": "1"}, "headers.optional", "INVALID_TYPE"),
    ("headers__optional", ["X-A: 1"], "headers.optional[0]", "INVALID_TYPE"),
    ("headers__optional", optional(("X-A", 1)), "headers.optional[0]", "INVALID_TYPE"),
    ("headers__subject", "a\r\nBcc: a@example.com", "headers.subject", "INVALID_SUBJECT_CHAR"),
    ("headers__subject", 1, "headers.subject", "INVALID_TYPE"),
    ("headers__to", "jane@example.com", "headers.to", "INVALID_TYPE"),
    ("headers__to", [{"address": "jane@example.com"}], "headers.to", "INVALID_TYPE"),
    ("headers__to__address", "jane", "headers.to.address", "INVALID_TO_ADDRESS"),
    ("headers__to__address", "jane@localhost", "headers.to.address", "INVALID_TO_ADDRESS"),
    ("headers__to__address", "jane@doe@example.com", "headers.to.address", "INVALID_TO_ADDRESS"),
    ("headers__to__address", "jane..doe@example.com", "headers.to.address", "INVALID_TO_ADDRESS"),
    ("headers__to__address", "a@example.com, b@example.com", "headers.to.address", "INVALID_TO_ADDRESS"),
    ("headers__to__address", "jane@example.com\n", "headers.to.address", "INVALID_TO_ADDRESS"),
    ("headers__to__address", "Jane <jane@example.com>", "headers.to.address", "INVALID_TO_ADDRESS"),
    ("headers__to__address", "j" * 65 + "@example.com", "headers.to.address", "INVALID_TO_ADDRESS"),
    ("headers__to__address", 1, "headers.to.address", "INVALID_TYPE"),
    ("headers__to__alias", "Jane\nDoe", "headers.to.alias", "INVALID_TO_ALIAS"),
    ("headers__to__alias", None, "headers.to.alias", "INVALID_TYPE"),
    ("headers__from__address", "news", "headers.from.address", "INVALID_FROM_ADDRESS"),
    ("headers__reply__address", "reply", "headers.reply.address", "INVALID_REPLY_ADDRESS"),
    ("headers__reply", None, "headers.reply", "INVALID_TYPE"),
    (
        "headers__list_unsubscribe",
        "<https://x>\r\nBcc: a@b.c",
        "headers.list_unsubscribe",
        "INVALID_LIST_UNSUBSCRIBE_CHAR",
    ),
    ("headers__list_unsubscribe", 1, "headers.list_unsubscribe", "INVALID_TYPE"),
    ("headers", "subject", "headers", "INVALID_TYPE"),
    ("content", "hello", "content", "INVALID_TYPE"),
    ("content__html", 1, "content.html", "INVALID_TYPE"),
    ("content__text", None, "content.text", "INVALID_TYPE"),
    ("content__attachments", {}, "content.attachments", "INVALID_TYPE"),
    ("content__attachments", ["a.txt"], "content.attachments[0]", "INVALID_TYPE"),
    ("content__attachments", attached(data="aGVsbG8"), "content.attachments[0].data", "INVALID_ATTACHMENT_DATA"),
    ("content__attachments", attached(data="aGVs\nbG8="), "content.attachments[0].data", "INVALID_ATTACHMENT_DATA"),
    ("content__attachments", attached(data="-_-_"), "content.attachments[0].data", "INVALID_ATTACHMENT_DATA"),
    ("content__attachments", attached(file_name=""), "content.attachments[0].file_name", "INVALID_FILE_NAME_EMPTY"),
    ("content__attachments", attached(mime_type="text"), "content.attachments[0].mime_type", "INVALID_MIME_TYPE"),
    ("content__attachments", attached() + attached(), "content.attachments[1].file_name", "DUPLICATE_FILE_NAME"),
    ("content__attachments", attached(cid="1"), "content.attachments[0].cid", "UNKNOWN_PROPERTY"),
    ("custom_send_time", "tomorrow", "custom_send_time", "INVALID_CUSTOM_SEND_TIME"),
    ("custom_send_time", "2022-09-02", "custom_send_time", "INVALID_CUSTOM_SEND_TIME"),
    ("custom_send_time", "2022-09-02T12:00:00+02:00", "custom_send_time", "INVALID_CUSTOM_SEND_TIME"),
    ("custom_send_time", InHours(24.5), "custom_send_time", "INVALID_CUSTOM_SEND_TIME_RANGE"),
    ("custom_send_time", 1662120000, "custom_send_time", "INVALID_TYPE"),
    ("time_to_live", "2 days", "time_to_live", "INVALID_TIME_TO_LIVE"),
    ("time_to_live", "P", "time_to_live", "INVALID_TIME_TO_LIVE"),
    ("time_to_live", "PT", "time_to_live", "INVALID_TIME_TO_LIVE"),
    ("time_to_live", "PT0S", "time_to_live", "INVALID_TIME_TO_LIVE_RANGE"),
    ("time_to_live", "PT48H1S", "time_to_live", "INVALID_TIME_TO_LIVE_RANGE"),
    ("time_to_live", 3600, "time_to_live", "INVALID_TYPE"),
    ("archive_duration", "PT23H", "archive_duration", "INVALID_ARCHIVE_DURATION_RANGE"),
    ("archive_duration", "30", "archive_duration", "INVALID_ARCHIVE_DURATION"),
    ("archive_enabled", "true", "archive_enabled", "INVALID_TYPE"),
    ("archive_enabled", 1, "archive_enabled", "INVALID_TYPE"),
    ("cc", [], "cc", "UNKNOWN_PROPERTY"),
    ("headers__cc", [], "headers.cc", "UNKNOWN_PROPERTY"),
    ("headers__to__name", "Jane", "headers.to.name", "UNKNOWN_PROPERTY"),
    ("content__amp", "x", "content.amp", "UNKNOWN_PROPERTY"),
    ("context__campaign", "x", "context.campaign", "UNKNOWN_PROPERTY"),
]


@pytest.mark.parametrize(("path", "value", "field", "code"), BROKEN)
def test_broken_rule_is_refused(
    sandbox: Any, marigold: Any, email: Any, path: str, value: object, field: str, code: str
) -> None:
    answer = marigold.send_email(email(**{path: now(value)}))
    assert answer.status_code == 400, "accepted"
    assert [(e["index"], e["field"], e["error"]) for e in answer.json()["errors"]] == [(0, field, code)]
    assert sandbox.counts()["total"] == 0


@pytest.mark.parametrize(
    ("path", "field", "code"),
    [
        ("reference", "reference", "REQUIRED_PROPERTY"),
        ("content", "content", "REQUIRED_PROPERTY"),
        ("headers", "headers", "REQUIRED_PROPERTY"),
        ("headers__subject", "headers.subject", "INVALID_SUBJECT_EMPTY"),
        ("headers__to", "headers.to", "REQUIRED_TO_HEADER"),
        ("headers__from", "headers.from", "REQUIRED_FROM_HEADER"),
    ],
)
def test_missing_field_is_refused(marigold: Any, email: Any, absent: object, path: str, field: str, code: str) -> None:
    errors = marigold.send_email(email(**{path: absent})).json()["errors"]
    assert [(e["field"], e["error"]) for e in errors] == [(field, code)]


@pytest.mark.parametrize("name", ["file_name", "data", "mime_type"])
def test_attachment_needs_all_its_fields(marigold: Any, email: Any, name: str) -> None:
    attachment = attached()[0]
    del attachment[name]
    errors = marigold.send_email(email(content__attachments=[attachment])).json()["errors"]
    assert [(e["field"], e["error"]) for e in errors] == [(f"content.attachments[0].{name}", "REQUIRED_PROPERTY")]


@pytest.mark.parametrize("content", [{}, {"html": ""}, {"html": "", "text": ""}])
def test_message_needs_html_or_text(marigold: Any, email: Any, content: object) -> None:
    errors = marigold.send_email(email(content=content)).json()["errors"]
    assert [(e["field"], e["error"]) for e in errors] == [("content", "INVALID_CONTENT_EMPTY")]


VALID = [
    ("reference", "a"),
    ("reference", "A-z-0" + "9" * 59),
    ("content", {"html": "x"}),
    ("content", {"text": "x"}),
    ("content__attachments", []),
    ("content__attachments", attached(file_name="../../etc/passwd")),
    ("headers__to__address", "jane+tag@sub.example.co.uk"),
    ("headers__to__address", "j" * 64 + "@example.com"),
    ("headers__to__alias", ""),
    ("headers__subject", "Überraschung"),
    ("headers__optional", []),
    ("headers__optional", optional(("X-A", "1"), ("X-B", "1"))),
    ("context", {}),
    ("context__tags", []),
    ("context__tags", ["t" * 96, "ä" * 48]),
    ("context__metadata", "ä" * 140),
    ("context__profile", "p" * 140),
    ("custom_send_time", "2022-09-02T12:00:00"),
    ("custom_send_time", "2022-09-02T12:00:00.1234567Z"),
    ("custom_send_time", InHours(23.5)),
    ("time_to_live", None),
    ("time_to_live", "PT10S"),
    ("time_to_live", "PT48H"),
    ("time_to_live", "P1DT24H"),
    ("archive_enabled", True),
    ("archive_enabled", False),
    ("archive_duration", None),
    ("archive_duration", "P1D"),
    ("archive_duration", "P2Y"),
]


@pytest.mark.parametrize(("path", "value"), VALID)
def test_edge_of_a_rule_is_accepted(sandbox: Any, marigold: Any, email: Any, path: str, value: object) -> None:
    answer = marigold.send_email(email(**{path: now(value)}))
    assert answer.status_code == 202, answer.text
    assert sandbox.counts()["total"] == 1


@pytest.mark.parametrize(
    "path",
    [
        "context",
        "custom_send_time",
        "time_to_live",
        "archive_enabled",
        "archive_duration",
        "priority",
        "content__html",
        "content__text",
        "content__attachments",
        "headers__reply",
        "headers__list_unsubscribe",
        "headers__optional",
        "headers__to__alias",
        "context__tags",
        "context__metadata",
        "context__profile",
    ],
)
def test_optional_field_may_be_absent(marigold: Any, email: Any, absent: object, path: str) -> None:
    assert marigold.send_email(email(**{path: absent})).status_code == 202


@pytest.mark.parametrize("place", ["priority", "headers__priority", "context__priority", "content__priority"])
def test_priority_whose_place_is_not_documented_is_taken_anywhere(marigold: Any, email: Any, place: str) -> None:
    assert marigold.send_email(email(**{place: "low"})).status_code == 202


def test_all_violations_are_reported_with_their_index(sandbox: Any, marigold: Any, email: Any) -> None:
    answer = marigold.send_email(
        email("ok-1"),
        email("bad_1", headers__subject=""),
        "no message",
        email("ok-1"),
        email("ok-2", context__tags=["a/b"]),
    )
    assert [(e["index"], e["error"]) for e in answer.json()["errors"]] == [
        (1, "INVALID_REFERENCE_CHAR"),
        (1, "INVALID_SUBJECT_EMPTY"),
        (2, "INVALID_TYPE"),
        (3, "REFERENCE_DUPLICATE_DETECTED"),
        (4, "INVALID_TAG_CHAR"),
    ]
    assert sandbox.counts()["total"] == 0, "a 400 accepts nothing"


def test_problem_has_the_documented_form(marigold: Any, email: Any) -> None:
    answer = marigold.send_email(email(headers__subject=""))
    document = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert list(document) == ["type", "title", "status", "detail", "traceId", "errors"]
    assert document["type"] == "https://tools.ietf.org/html/rfc7231#section-6.5.1"
    assert (document["title"], document["status"]) == ("Validation errors", 400)
    assert document["detail"] == "One or more validation errors occurred."
    version, trace, span, flags = document["traceId"].split("-")
    assert (version, len(trace), len(span), flags) == ("00", 32, 16, "00")
    assert set(document["errors"][0]) == {"index", "field", "error", "detail"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{}",
        b"null",
        b'"x"',
        b"[{]",
        b"\xef\xbb\xbf[]",
        b'[{"reference": "\xff"}]',
        b'["\\ud800"]',
        b"[" * 100_000,
    ],
)
def test_body_that_is_no_json_array_is_refused(marigold: Any, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = marigold.post("/api/email/v1/messages/send", content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["error"] == "INVALID_TYPE"


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonx"])
def test_wrong_content_type_is_unsupported(marigold: Any, email: Any, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = marigold.post("/api/email/v1/messages/send", content=json.dumps([email()]).encode(), headers=headers)
    assert answer.status_code == 415


def test_content_type_may_name_its_charset(marigold: Any, email: Any) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    body = json.dumps([email()]).encode()
    assert marigold.post("/api/email/v1/messages/send", content=body, headers=headers).status_code == 202


def test_compressed_body_is_unsupported(marigold: Any, email: Any) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    body = json.dumps([email()]).encode()
    assert marigold.post("/api/email/v1/messages/send", content=body, headers=headers).status_code == 415
