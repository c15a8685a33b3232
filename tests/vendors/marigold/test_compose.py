"""Completing rows: defaults under them, texts from templates, attachments from files, in bounds."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
import pytest

from airflow_provider_messaging.core.attachments import Attachments, Read, Unreadable
from airflow_provider_messaging.core.errors import ConfigurationError, StorageError
from airflow_provider_messaging.core.messages import Message, Reject
from airflow_provider_messaging.core.templates import Templates, TemplateSource
from airflow_provider_messaging.vendors.marigold.compose import PART_BYTES, Composer
from airflow_provider_messaging.vendors.marigold.email import EMAIL_LIMITS, prepare

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
FROM = {"from": "shop@example.com"}
GREETING = {"subject": "Hello {{ name }}", "html": "<p>{{ name }}</p>", "text": "{{ name }}"}
Row = dict[str, Any]

FILES = {"a.pdf": b"pdf", "b.txt": b"text", "s3://x/c.csv": b"1,2", "large": b"x" * 2_000_000}


def open_file(path: str) -> Read:
    def read(most: int) -> bytes:
        if path == "down":
            raise TimeoutError
        if path not in FILES:
            raise Unreadable("ATTACHMENT_NOT_FOUND", "there is no such file")
        return FILES[path][:most]

    return read


def reference_of(row: int) -> str:
    return f"row-{row}"


def composer(
    templates: dict[str, str] | None = None, *, open_path: Callable[[str], Read] = open_file, **more: Any
) -> Composer:
    sources = {
        name: TemplateSource(text=text, setting=name, is_html=name == "html")
        for name, text in (templates or {}).items()
    }
    return Composer(
        attachments=Attachments(open_path, most_bytes=3_000_000),
        most_bytes=EMAIL_LIMITS.max_bytes,
        templates=Templates(sources) if sources else None,
        **more,
    )


def run(made: Composer, *rows: object) -> list[Message | Reject]:
    judge = partial(prepare, reference_of=reference_of, now=NOW)
    return list(made.prepare(list(enumerate(rows)), judge, reference_of=reference_of))


def message(made: Composer, row: Row) -> Row:
    before = copy.deepcopy(row)
    [outcome] = run(made, row)
    assert isinstance(outcome, Message), outcome
    assert row == before, "rows are not changed"
    found: Row = msgspec.json.decode(outcome.data)
    return found


def faults(made: Composer, row: object) -> list[tuple[str, str]]:
    [outcome] = run(made, row)
    return [(error.field, error.code) for error in outcome.errors] if isinstance(outcome, Reject) else []


# Templates --------------------------------------------------------------------------------------------------------


def test_a_row_needs_no_more_than_a_recipient_and_variables() -> None:
    made = message(composer(GREETING, defaults=FROM), {"to": "Ada <ada@example.com>", "name": "A & B"})
    assert made == {
        "reference": "row-0",
        "headers": {
            "subject": "Hello A & B",
            "to": {"alias": "Ada", "address": "ada@example.com"},
            "from": {"address": "shop@example.com"},
        },
        "content": {"html": "<p>A &amp; B</p>", "text": "A & B"},
    }


@pytest.mark.parametrize(
    "row",
    [
        {"name": "Ada"},
        {"vars": {"name": "Ada"}},
        {"name": "Eve", "vars": {"name": "Ada", "unused": 1}},
        {"vars": {"name": "Ada"}, "_rejected": {"row": 1}},
    ],
)
def test_variables_stand_flat_or_apart(row: Row) -> None:
    made = message(composer(GREETING, defaults=FROM), {"to": "ada@example.com", **row})
    assert made["headers"]["subject"] == "Hello Ada"


def test_fields_of_the_message_and_its_reference_are_variables_too() -> None:
    made = composer({"text": "{{ to }} {{ profile }} {{ tags[0] }} {{ reference }}"}, defaults={**FROM, "tags": ["a"]})
    row = {"to": "ada@example.com", "subject": "Hi", "profile": "LIST.1"}
    assert message(made, row)["content"]["text"] == "ada@example.com LIST.1 a row-0"
    assert message(made, {**row, "reference": "r-1"})["content"]["text"].endswith(" r-1")


def test_defaults_may_be_variables() -> None:
    made = composer(GREETING, defaults={**FROM, "name": "customer", "vars": {"other": 1}})
    assert message(made, {"to": "a@example.com"})["headers"]["subject"] == "Hello customer"
    assert message(made, {"to": "a@example.com", "name": None})["headers"]["subject"] == "Hello customer"
    assert message(made, {"to": "a@example.com", "name": "Ada"})["headers"]["subject"] == "Hello Ada"


def test_what_a_row_has_of_its_own_is_not_made_from_a_template() -> None:
    row = {"to": "a@example.com", "name": "Ada", "subject": "Own", "html": "<b>own</b>"}
    made = message(composer(GREETING, defaults=FROM), row)
    assert made["headers"]["subject"] == "Own"
    assert made["content"] == {"html": "<b>own</b>", "text": "Ada"}


@pytest.mark.parametrize("row", [{}, {"name": None}, {"vars": {}}, {"vars": None}, {"vars": {"name": None}}])
def test_a_missing_variable_is_told_for_each_template(row: Row) -> None:
    [outcome] = run(composer(GREETING, defaults=FROM), {"to": "a@example.com", **row})
    assert isinstance(outcome, Reject)
    assert [(error.field, error.code) for error in outcome.errors] == [(name, "MISSING_VARIABLE") for name in GREETING]
    assert [error.message for error in outcome.errors] == [
        f"the {name} template, line 1: the variable 'name' is missing" for name in GREETING
    ]
    assert outcome.reference == "row-0"


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"nmae": "Ada"}, [("nmae", "UNKNOWN_PROPERTY"), *[(name, "MISSING_VARIABLE") for name in GREETING]]),
        ({"name": "Ada", "atachments": []}, [("atachments", "UNKNOWN_PROPERTY")]),
        ({"name": "Ada", "city": "x"}, [("city", "UNKNOWN_PROPERTY")]),
        ({"name": "Ada", "vars": [1]}, [("vars", "INVALID_TYPE")]),
        ({"name": "Ada", "vars": {1: 2}}, [("vars", "INVALID_TYPE")]),
        ({"name": "Ada", "to": "nobody", "tags": [""]}, [("to", "INVALID_ADDRESS"), ("tags[0]", "INVALID_TAG_EMPTY")]),
        ({"to": "nobody", "x": 1, "name": "Ada"}, [("x", "UNKNOWN_PROPERTY"), ("to", "INVALID_ADDRESS")]),
    ],
)
def test_nothing_is_lost_silently(row: Row, expected: list[tuple[str, str]]) -> None:
    assert faults(composer(GREETING, defaults=FROM), {"to": "a@example.com", **row}) == expected


def test_a_typing_error_is_answered_with_the_likely_name() -> None:
    [outcome] = run(composer(GREETING, defaults=FROM), {"to": "a@example.com", "name": "Ada", "atachments": []})
    assert isinstance(outcome, Reject)
    assert "did you mean 'attachments'?" in outcome.errors[0].message
    assert "'vars'" in outcome.errors[0].message


@pytest.mark.parametrize("break_", ["\n", "\r", "\r\nBcc: eve@example.com", "\0"])
def test_no_variable_gets_a_header_into_a_subject(break_: str) -> None:
    row = {"to": "a@example.com", "name": f"Ada{break_}"}
    made = composer({"subject": "Hi {{ name }}", "text": "x"}, defaults=FROM)
    assert faults(made, row) == [("subject", "INVALID_HEADER_VALUE")]


def test_an_empty_text_is_judged_by_the_rules() -> None:
    made = composer({"subject": "{{ name }}", "text": "{{ name }}"}, defaults=FROM)
    assert sorted(faults(made, {"to": "a@example.com", "name": ""})) == [
        ("html", "REQUIRED_CONTENT"),
        ("subject", "INVALID_SUBJECT_EMPTY"),
    ]


@pytest.mark.parametrize("row", ["text", 5, None, [], ["to"]])
def test_what_is_no_row_is_a_reject(row: object) -> None:
    assert [code for _, code in faults(composer(GREETING, defaults=FROM), row)] == ["INVALID_TYPE"]


def test_a_row_with_a_fault_takes_no_reference() -> None:
    row = {"to": "a@example.com", "reference": "r"}
    outcomes = run(composer(GREETING, defaults=FROM), row, {**row, "name": "Ada"}, {**row, "name": "Eve"})
    assert [type(outcome) for outcome in outcomes] == [Reject, Message, Reject]
    assert [outcome.row for outcome in outcomes] == [0, 1, 2]
    assert [outcome.reference for outcome in outcomes] == ["r"] * 3


# The vendor's form --------------------------------------------------------------------------------------------------


def nested(**more: Any) -> Row:
    return {"headers": {"to": {"address": "a@example.com"}}, **more}


def test_a_row_in_the_vendors_form_is_completed_as_well() -> None:
    made = message(
        composer(GREETING, defaults={**FROM, "tags": ["a"], "time_to_live": "P1D"}),
        nested(vars={"name": "Ada"}, context={"profile": "p"}, time_to_live=None),
    )
    assert made == {
        "reference": "row-0",
        "headers": {
            "to": {"address": "a@example.com"},
            "from": {"address": "shop@example.com"},
            "subject": "Hello Ada",
        },
        "content": {"html": "<p>Ada</p>", "text": "Ada"},
        "context": {"tags": ["a"], "profile": "p"},
        "time_to_live": "P1D",
    }


def test_the_vendors_form_keeps_what_it_has() -> None:
    row = nested(content={"html": "own", "text": None}, vars={"name": "Ada"})
    row["headers"] |= {"subject": "Own", "from": {"address": "me@example.com"}}
    made = message(composer(GREETING, defaults=FROM), row)
    assert made["content"] == {"html": "own", "text": "Ada"}
    assert (made["headers"]["subject"], made["headers"]["from"]["address"]) == ("Own", "me@example.com")


def test_the_vendors_form_has_no_flat_variables() -> None:
    assert faults(composer(GREETING, defaults=FROM), nested(name="Ada")) == [
        *[(name, "MISSING_VARIABLE") for name in GREETING],
        ("name", "UNKNOWN_PROPERTY"),
    ]


@pytest.mark.parametrize("row", [{"headers": 5}, {"content": []}, {"headers": {}, "content": "x"}])
def test_a_vendors_form_of_wrong_types_is_a_reject(row: Row) -> None:
    assert faults(composer(GREETING, defaults=FROM), row)


# Defaults -----------------------------------------------------------------------------------------------------------


def test_defaults_go_without_templates() -> None:
    made = message(
        composer(defaults={**FROM, "subject": "Hi", "custom_headers": {"X-A": "1"}}),
        {"to": "a@example.com", "text": "x", "subject": None},
    )
    assert made["headers"] == {
        "to": {"address": "a@example.com"},
        "from": {"address": "shop@example.com"},
        "subject": "Hi",
        "optional": [{"name": "X-A", "value": "1"}],
    }


def test_without_templates_there_are_no_variables() -> None:
    row = {"to": "a@example.com", "text": "x", "subject": "Hi", "vars": {}}
    assert faults(composer(defaults=FROM), row) == [("vars", "UNKNOWN_PROPERTY")]
    assert faults(composer(), {**row, **FROM}) == [("vars", "UNKNOWN_PROPERTY")]


@pytest.mark.parametrize(
    ("defaults", "says"),
    [
        ({"to": "a@example.com"}, "to can not be the same for every row"),
        ({"reference": "r"}, "reference can not be the same"),
        ({"subject": "Hi"}, "subject has a template"),
        ({"tagss": ["a"]}, "tagss is no field of a message"),
        ({"headers": {}}, "headers is no field"),
        ({"vars": 5}, "vars must be an object"),
        ([], "must be an object"),
        ({1: 2}, "must be an object"),
    ],
)
def test_defaults_that_are_none_are_an_error_of_the_argument(defaults: Any, says: str) -> None:
    if not defaults:
        defaults = [1]
    with pytest.raises(ConfigurationError, match=says) as caught:
        composer(GREETING, defaults=defaults)
    assert caught.value.setting == "defaults"


# Attachments --------------------------------------------------------------------------------------------------------

LETTER = {"to": "a@example.com", "from": "b@example.com", "subject": "Hi", "text": "x"}


def attached(*attachments: Any, vendors_form: bool = False) -> Row:
    if not vendors_form:
        return {**LETTER, "attachments": list(attachments)}
    mailboxes = {name: {"address": LETTER[name]} for name in ("to", "from")}
    return {"headers": {"subject": "Hi", **mailboxes}, "content": {"text": "x", "attachments": list(attachments)}}


@pytest.mark.parametrize("vendors_form", [False, True])
def test_a_path_becomes_content_name_and_type(vendors_form: bool) -> None:
    inline = {"file_name": "in.txt", "data": "aGVsbG8=", "mime_type": "text/plain"}
    row = attached(
        {"path": "a.pdf"},
        inline,
        {"path": "s3://x/c.csv", "file_name": "Ünï.csv", "mime_type": "text/x"},
        {"path": None, **inline, "file_name": "other.txt"},
        {"path": "b.txt", "data": None, "file_name": None, "mime_type": None},
        vendors_form=vendors_form,
    )
    assert message(composer(), row)["content"]["attachments"] == [
        {"file_name": "a.pdf", "data": base64.b64encode(b"pdf").decode(), "mime_type": "application/pdf"},
        inline,
        {"file_name": "Ünï.csv", "data": base64.b64encode(b"1,2").decode(), "mime_type": "text/x"},
        {**inline, "file_name": "other.txt"},
        {"file_name": "b.txt", "data": base64.b64encode(b"text").decode(), "mime_type": "text/plain"},
    ]


@pytest.mark.parametrize(
    ("attachment", "where", "code"),
    [
        ({"path": "nowhere"}, "attachments[1].path", "ATTACHMENT_NOT_FOUND"),
        ({"path": 5}, "attachments[1].path", "INVALID_TYPE"),
        ({"path": "a.pdf", "data": "aGk="}, "attachments[1]", "ATTACHMENT_PATH_AND_DATA"),
        ({"path": "a.pdf", "file_name": 5}, "attachments[1].file_name", "INVALID_TYPE"),
        ({"path": "a.pdf", "file_name": ""}, "attachments[1].file_name", "INVALID_ATTACHMENT_NAME"),
        ({"path": "a.pdf", "filename": "x"}, "attachments[1].filename", "UNKNOWN_PROPERTY"),
        ({"path": "b.txt"}, "attachments[1].file_name", "DUPLICATE_FILE_NAME"),
    ],
)
@pytest.mark.parametrize("vendors_form", [False, True])
def test_an_attachment_that_can_not_be_is_told_by_its_position(
    attachment: Row, where: str, code: str, vendors_form: bool
) -> None:
    row = attached({"path": "b.txt"}, attachment, vendors_form=vendors_form)
    assert faults(composer(), row) == [("content." * vendors_form + where, code)]


def test_attachments_that_are_too_large_together_are_not_read_to_the_last() -> None:
    reads: list[str] = []

    def counting(path: str) -> Read:
        reads.append(path)
        return lambda most: b"x" * min(most, 2_000_000)

    row = attached({"path": "1"}, {"path": "2"})
    assert faults(composer(open_path=counting), row) == [("attachments[1].path", "ATTACHMENT_TOO_LARGE")]


def test_a_file_that_alone_is_larger_than_a_request_is_too_large() -> None:
    assert faults(composer(open_path=lambda _: lambda most: b"x" * most), attached({"path": "1"})) == [
        ("attachments[0].path", "ATTACHMENT_TOO_LARGE")
    ]


@pytest.mark.parametrize("attachments", ["text", {"path": "a.pdf"}, [["path"]], ["a.pdf"]])
def test_attachments_that_are_none_are_left_to_the_rules(attachments: Any) -> None:
    assert {code for _, code in faults(composer(), {**LETTER, "attachments": attachments})} == {"INVALID_TYPE"}


def test_attachments_of_the_other_form_are_left_to_the_rules() -> None:
    row = attached(vendors_form=True)
    del row["content"]["attachments"]
    assert faults(composer(), {**row, "attachments": [{"path": "a.pdf"}]}) == [("attachments", "MIXED_FORMS")]


def test_default_attachments_go_to_every_row_without_its_own() -> None:
    made = composer(defaults={"attachments": [{"path": "a.pdf"}]})
    names = [
        [each["file_name"] for each in message(made, row)["content"].get("attachments", ())]
        for row in (LETTER, attached({"path": "b.txt"}), {**LETTER, "attachments": []}, {**LETTER, "attachments": None})
    ]
    assert names == [["a.pdf"], ["b.txt"], [], ["a.pdf"]]


def test_a_storage_that_fails_names_the_row_and_rejects_nothing() -> None:
    with pytest.raises(StorageError, match=r"row 1: .*TimeoutError"):
        run(composer(), LETTER, attached({"path": "down"}))


def test_large_rows_are_made_a_few_at_a_time() -> None:
    judged: list[int] = []

    def judge(rows: Any) -> list[Message | Reject]:
        judged.append(sum(len(row["attachments"][0]["data"]) for _, row in rows))
        return prepare(rows, reference_of=reference_of, now=NOW)

    rows = [(number, attached({"path": "large", "file_name": f"{number}"})) for number in range(20)]
    made = composer().prepare(rows, judge, reference_of=reference_of)
    next(made)
    assert len(judged) == 1
    assert sum(1 for _ in made) == 19
    assert max(judged) < PART_BYTES + 3_000_000


def test_rows_without_anything_to_complete_pass_as_they_are() -> None:
    row = {**LETTER, "attachments": [{"file_name": "a", "data": "aGk=", "mime_type": "text/plain"}]}
    seen: list[object] = []

    def judge(rows: Any) -> list[Message | Reject]:
        seen.extend(value for _, value in rows)
        return []

    list(composer().prepare([(0, row), (1, "text")], judge, reference_of=reference_of))
    assert seen[0] is row
