from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_messaging.vendors.engageone.rows import AddressRow, read_row


@pytest.mark.parametrize(
    ("row", "read"),
    [
        ("Jane@EXAMPLE.com", AddressRow(address="Jane@example.com")),
        (" jane@example.com\n", AddressRow(address="jane@example.com")),
        ("ju\u0308rgen@xn--bcher-kva.example", AddressRow(address="jürgen@bücher.example")),
        ({"email": "jane@example.com"}, AddressRow(address="jane@example.com")),
        ({"address": "jane@example.com"}, AddressRow(address="jane@example.com")),
        (
            {"email": "jane@example.com", "category": "news", "reason": "Hard Bounce", "more": 1},
            AddressRow(address="jane@example.com", category="news", reason="Hard Bounce"),
        ),
        ({"email": "jane@example.com", "category": "", "reason": None}, AddressRow(address="jane@example.com")),
        # A manifest's line, and the lines of rejects files that were mended.
        ({"reference": "r-1", "recipient": "jane@example.com", "row": 3}, AddressRow(address="jane@example.com")),
        ({"email": "jane@example.com", "_rejected": {"row": 0}}, AddressRow(address="jane@example.com")),
        ({"_raw": "jane@example.com", "_rejected": {"row": 0}}, AddressRow(address="jane@example.com")),
        ({"email": None, "recipient": "jane@example.com"}, AddressRow(address="jane@example.com")),
    ],
)
def test_a_row_names_an_address(row: Any, read: AddressRow) -> None:
    assert read_row(row) == read


@pytest.mark.parametrize(
    ("row", "errors"),
    [
        ("jane", [("", "INVALID_EMAIL")]),
        (None, [("", "INVALID_TYPE")]),
        (7, [("", "INVALID_TYPE")]),
        (["jane@example.com"], [("", "INVALID_TYPE")]),
        ({}, [("email", "REQUIRED_PROPERTY")]),
        ({"email": ""}, [("email", "INVALID_EMAIL")]),
        ({"email": 7}, [("email", "INVALID_TYPE")]),
        ({"recipient": "jane@"}, [("recipient", "INVALID_EMAIL")]),
        (
            {"email": "a", "category": 1, "reason": []},
            [("email", "INVALID_EMAIL"), ("category", "INVALID_TYPE"), ("reason", "INVALID_TYPE")],
        ),
    ],
)
def test_a_row_is_refused_with_all_that_is_wrong(row: Any, errors: list[tuple[str, str]]) -> None:
    read = read_row(row)
    assert isinstance(read, tuple)
    assert [(error.field, error.code) for error in read] == errors
    assert all(error.message for error in read)
