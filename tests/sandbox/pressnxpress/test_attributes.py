"""Attribute names are case sensitive: another case is another attribute, and the sandbox tells which came."""

from __future__ import annotations

from typing import Any

import pytest

EMAIL = "jane.doe@example.com"


def spellings(sandbox: Any) -> dict[str, dict[str, int]]:
    return {row["name"]: row["spellings"] for row in sandbox.state("attributes", vendor="pressnxpress")}


def test_every_spelling_is_stored_and_counted(sandbox: Any, pressnxpress: Any) -> None:
    for names in (["orderId"], ["orderId", "OrderID"], ["shop"]):
        assert pressnxpress.mail(email=EMAIL, **dict.fromkeys(names, "x")).status_code == 200
    assert spellings(sandbox) == {"email": {"email": 3}, "orderid": {"orderId": 2, "OrderID": 1}, "shop": {"shop": 1}}
    assert sandbox.deliveries(vendor="pressnxpress")[1]["extra"] == {"orderId": "x", "OrderID": "x"}


def test_refused_contact_adds_no_spelling(sandbox: Any, pressnxpress: Any) -> None:
    assert pressnxpress.mail(email="", orderId="x").status_code == 400
    assert spellings(sandbox) == {}


def test_reset_forgets_the_spellings(sandbox: Any, pressnxpress: Any) -> None:
    pressnxpress.mail(email=EMAIL)
    sandbox.reset("pressnxpress")
    assert spellings(sandbox) == {}


@pytest.mark.parametrize(
    ("first", "second"), [({"orderId": 1}, {"orderID": 2}), ({}, {"Firstname": "Jane"}), ({}, {"a": 1, "A": 2})]
)
def test_strict_case_refuses_a_second_spelling(
    sandbox: Any, pressnxpress: Any, first: dict[str, Any], second: dict[str, Any]
) -> None:
    sandbox.settings("pressnxpress", strict_attribute_case=True)
    assert pressnxpress.mail(email=EMAIL, **first).status_code == 200
    answer = pressnxpress.mail(email=EMAIL, **second)
    assert answer.status_code == 400
    assert "case sensitive" in answer.json()["message"]
    assert sandbox.counts("pressnxpress")["total"] == 1


def test_strict_case_lets_one_spelling_pass(sandbox: Any, pressnxpress: Any) -> None:
    sandbox.settings("pressnxpress", strict_attribute_case=True)
    for channel, contact in (("mail", {"email": EMAIL}), ("sms", {"phone": "+32470000001"})) * 2:
        answer = pressnxpress.enqueue(channel, {**contact, "firstname": "Jane", "orderId": "x"})
        assert answer.status_code == 200, answer.text
