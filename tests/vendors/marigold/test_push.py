"""The push rules."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_messaging.core.messages import Message, Reject
from airflow_provider_messaging.vendors.marigold.push import prepare

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
CONTENT = {"title": "Hello", "body": "World"}
LONG: dict[str, Any] = {"reference": "push-1", "token": "device", "content": CONTENT}
IN_APP = {"title": "Hello", "body": "World"}


def run(row: object) -> Message | Reject:
    [outcome] = prepare([(3, row)], reference_of=lambda number: f"row-{number}", now=NOW)
    return outcome


def faults(row: object) -> list[tuple[str, str]]:
    outcome = run(row)
    return [(error.field, error.code) for error in outcome.errors] if isinstance(outcome, Reject) else []


def without(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (LONG, []),
        (without(LONG, "token"), [("token", "INVALID_EMPTY_TOKEN")]),
        ({**LONG, "token": None}, [("token", "INVALID_EMPTY_TOKEN")]),
        ({**LONG, "token": ""}, [("token", "INVALID_EMPTY_TOKEN")]),
        ({**LONG, "token": 5}, [("token", "INVALID_TYPE")]),
        ({**LONG, "reference": "a_b"}, [("reference", "INVALID_REFERENCE_CHAR")]),
        ({**LONG, "context": {"tags": ["a/b"]}}, [("context.tags[0]", "INVALID_TAG_CHAR")]),
        ({**LONG, "context": {"tags": ["é" * 49]}}, [("context.tags[0]", "INVALID_TAG_LENGTH")]),
        ({**LONG, "context": {"profile": "p" * 141}}, [("context.profile", "INVALID_PROFILE_LENGTH")]),
        ({**LONG, "context": {"profile": None}}, []),
        ({**LONG, "provider": "nokia"}, [("provider", "UNKNOWN_PROVIDER")]),
        ({**LONG, "provider": "Huawei"}, []),
        ({**LONG, "provider": 1}, [("provider", "INVALID_TYPE")]),
        ({**LONG, "content": {"body": "b"}}, [("content.title", "INVALID_EMPTY_TITLE")]),
        ({**LONG, "content": {"title": "t", "body": ""}}, [("content.body", "INVALID_EMPTY_BODY")]),
        (
            {**LONG, "content": {}},
            [("content.title", "INVALID_EMPTY_TITLE"), ("content.body", "INVALID_EMPTY_BODY")],
        ),
        ({**LONG, "content": {"title": 1, "body": "b"}}, [("content.title", "INVALID_TYPE")]),
        ({**LONG, "content": {}, "type": "silent"}, []),
        ({**LONG, "content": None, "type": "Silent", "context": {"tags": ["a"]}}, []),
        ({**LONG, "content": {**CONTENT, "in_app": IN_APP}}, [("content.in_app", "INAPP_CONTENT_NOT_ALLOWED")]),
        ({**LONG, "content": {**CONTENT, "in_app": IN_APP}, "type": "PushWithInApp"}, []),
        ({**LONG, "content": {"in_app": IN_APP}, "type": "Silent"}, []),
        (
            {**LONG, "content": {"in_app": {"title": ""}}, "type": "Silent"},
            [
                ("content.in_app.title", "INVALID_INAPP_EMPTY_TITLE"),
                ("content.in_app.body", "INVALID_INAPP_EMPTY_BODY"),
            ],
        ),
        ({"token": "t", "title": "a", "body": "b"}, []),
        (
            {"token": "t", "title": "a", "tags": ["/"]},
            [("tags[0]", "INVALID_TAG_CHAR"), ("body", "INVALID_EMPTY_BODY")],
        ),
        ({"title": "a", "body": "b"}, [("token", "INVALID_EMPTY_TOKEN")]),
        ({"token": "t", "type": "silent"}, []),
        ({**LONG, "title": "a"}, [("title", "MIXED_FORMS")]),
        ("push", [("", "INVALID_TYPE")]),
        (None, [("", "INVALID_TYPE")]),
    ],
)
def test_a_broken_rule_is_named_with_its_field_and_code(row: object, expected: list[tuple[str, str]]) -> None:
    assert faults(row) == expected


def test_other_keys_pass_through() -> None:
    row = {
        **LONG,
        "badge": 3,
        "sound": None,
        "content": {**CONTENT, "image": None, "actions": [{"url": "https://example.com"}]},
        "context": {"tags": ["a"], "custom": None},
    }
    made = run(row)
    assert isinstance(made, Message)
    assert msgspec.json.decode(made.data) == row
    assert (made.row, made.reference, made.recipient, made.tags) == (3, "push-1", "device", ("a",))


def test_the_short_form_becomes_nested() -> None:
    made = run({"token": "t", "title": "a", "body": "b", "profile": "p", "tags": ["x"], "badge": 1, "_rejected": {}})
    assert isinstance(made, Message)
    assert msgspec.json.decode(made.data) == {
        "token": "t",
        "badge": 1,
        "content": {"title": "a", "body": "b"},
        "context": {"profile": "p", "tags": ["x"]},
        "reference": "row-3",
    }
    assert (made.reference, made.profile, made.tags) == ("row-3", "p", ("x",))


names = st.sampled_from(
    [*LONG, "title", "body", "in_app", "type", "provider", "context", "tags", "profile", "_rejected"]
)
json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["Silent", "apple"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=6),
)


@given(rows=st.lists(json | st.dictionaries(names, json, max_size=8), max_size=5))
def test_every_row_comes_back_once_and_in_order(rows: list[object]) -> None:
    outcomes = prepare(list(enumerate(rows)), reference_of=lambda row: f"row-{row}", now=NOW)
    assert [outcome.row for outcome in outcomes] == list(range(len(rows)))
    for outcome in outcomes:
        if isinstance(outcome, Message):
            assert msgspec.json.decode(outcome.data)["token"] == outcome.recipient
        else:
            assert outcome.errors
