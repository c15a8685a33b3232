from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_messaging.vendors.engageone.jsonpath import JsonPath

RECORD = {"email": "a", "contact": {"e-mail": "b", "mails": ["c", {"to": "d"}]}, "the mail": "e", "$x": "f"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("email", "a"),
        (" email ", "a"),
        ("$.email", "a"),
        ("$[*].email", "a"),
        ("$['email']", "a"),
        ('$["email"]', "a"),
        ("contact.e-mail", "b"),
        ("$.contact['e-mail']", "b"),
        ("contact.mails[0]", "c"),
        ("$.contact.mails[1].to", "d"),
        ("the mail", "e"),
        ("$['$x']", "f"),
        ("contact.mails[2]", None),
        ("contact.mails.to", None),
        ("email.x", None),
        ("email[0]", None),
        ("nothing", None),
    ],
)
def test_a_path_leads_to_one_value_or_none(path: str, value: Any) -> None:
    assert JsonPath.parse(path).find(RECORD) == value


@pytest.mark.parametrize(
    "path",
    [
        "",
        "$",
        "$[*]",
        ".",
        "a..b",
        "a.",
        "$..email",
        "a[*].b",
        "$[*].a[*]",
        "a[-1]",
        "a[1:2]",
        "a[?(@.b)]",
        "a[b]",
        "$.a b[",
        "*",
    ],
)
def test_what_is_no_path_to_one_value_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"path to one value|names no value"):
        JsonPath.parse(path)


@pytest.mark.parametrize("record", [None, "text", 1, [], ["a"]])
def test_a_record_that_is_no_object_has_no_value(record: Any) -> None:
    assert JsonPath.parse("email").find(record) is None
