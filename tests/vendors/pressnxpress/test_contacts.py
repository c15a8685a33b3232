from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.core.messages import Message, Reject
from airflow_provider_messaging.core.templates import Templates, TemplateSource
from airflow_provider_messaging.vendors.pressnxpress.contacts import ContactRules


def rules(**changes: Any) -> ContactRules:
    return ContactRules(**{"channel": "email", "content_type": "json", **changes})


def prepare(*rows: object, using: ContactRules | None = None, **changes: Any) -> list[Message | Reject]:
    return list((using or rules(**changes)).prepare(list(enumerate(rows)), lambda row: f"ref-{row}"))


def message(row: object, **changes: Any) -> Message:
    [found] = prepare(row, **changes)
    assert isinstance(found, Message), found
    return found


def body(row: object, **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(message(row, **changes).data)
    return found


def form(row: object, **changes: Any) -> dict[str, str]:
    return dict(parse_qsl(message(row, content_type="form", **changes).data.decode("ascii"), keep_blank_values=True))


def errors(row: object, **changes: Any) -> list[tuple[str, str]]:
    [found] = prepare(row, **changes)
    assert isinstance(found, Reject), found
    return [(error.field, error.code) for error in found.errors]


def template(text: str) -> Templates:
    return Templates({"identifier": TemplateSource(text=text, setting="identifier")})


def test_a_contact_is_sent_as_it_is_given_case_and_all() -> None:
    given_row = {"email": "ada@example.com", "firstname": "Ada", "orderId": 4711, "VIP": True, "Total": 9.5}
    assert body(given_row) == given_row


def test_an_address_is_sent_and_recorded_in_its_one_spelling() -> None:
    found = message({"email": " Ada@EXAMPLE.com "})
    assert (json.loads(found.data), found.recipient) == ({"email": "Ada@example.com"}, "Ada@example.com")


def test_a_phone_number_is_sent_and_recorded_in_e164() -> None:
    found = message({"phone": "030 / 12 34 56"}, channel="sms", default_region="DE")
    assert (json.loads(found.data), found.recipient) == ({"phone": "+4930123456"}, "+4930123456")


def test_the_other_channels_address_is_an_attribute_like_any_other() -> None:
    assert body({"email": "a@example.com", "phone": "ask first"})["phone"] == "ask first"
    assert body({"phone": "+4930123456", "email": ""}, channel="sms")["email"] == ""


def test_null_means_absent() -> None:
    assert body({"email": "a@example.com", "company": None, "orderId": None}) == {"email": "a@example.com"}


def test_what_is_ours_is_not_sent() -> None:
    row = {"email": "a@example.com", "reference": "r-1", "vars": {"x": 1}, "_rejected": {"row": 0, "errors": []}}
    found = message(row)
    assert (json.loads(found.data), found.reference) == ({"email": "a@example.com"}, "r-1")


def test_a_row_without_a_reference_gets_one() -> None:
    assert message({"email": "a@example.com"}).reference == "ref-0"


def test_the_identifier_stands_in_the_manifest_as_the_profile() -> None:
    assert message({"email": "a@example.com", "identifier": 4711}).profile == "4711"
    assert body({"email": "a@example.com", "identifier": 4711})["identifier"] == "4711"


def test_a_form_has_the_same_contact() -> None:
    row = {"email": "a+b@example.com", "company": "Müller & Söhne", "VIP": False, "n": 3, "x": 1e300, "note": ""}
    assert form(row) == {
        "email": "a+b@example.com",
        "company": "Müller & Söhne",
        "VIP": "false",
        "n": "3",
        "x": "1e300",
        "note": "",
    }


_VALUES = (
    st.text() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
_CONTACTS = st.dictionaries(st.text(min_size=1).filter(lambda name: name == name.casefold()), _VALUES, max_size=5)


@given(_CONTACTS)
def test_json_and_form_bring_any_attribute_through(attributes: dict[str, Any]) -> None:
    row = {**attributes, "email": "a@example.com"}
    [as_json] = prepare(row)
    if isinstance(as_json, Reject):
        assert isinstance(prepare(row, content_type="form")[0], Reject)
        return
    sent = {
        name: str(value) if name == "identifier" else value
        for name, value in row.items()
        if name not in {"reference", "vars", "_rejected"}
    }
    assert json.loads(as_json.data) == sent
    assert form(row).keys() == sent.keys()
    assert {name: value for name, value in form(row).items() if isinstance(sent[name], str)} == {
        name: value for name, value in sent.items() if isinstance(value, str)
    }


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("ada@example.com", [("", "INVALID_TYPE")]),
        (["ada@example.com"], [("", "INVALID_TYPE")]),
        ({1: "ada@example.com"}, [("", "INVALID_TYPE")]),
        ({}, [("email", "REQUIRED_PROPERTY")]),
        ({"email": None}, [("email", "REQUIRED_PROPERTY")]),
        ({"email": ""}, [("email", "REQUIRED_PROPERTY")]),
        ({"email": ["a@example.com"]}, [("email", "INVALID_TYPE")]),
        ({"email": "ada"}, [("email", "INVALID_EMAIL")]),
        ({"email": "Ada <ada@example.com>"}, [("email", "INVALID_EMAIL")]),
        ({"Email": "a@example.com"}, [("Email", "ATTRIBUTE_CASE_MISMATCH"), ("email", "REQUIRED_PROPERTY")]),
        ({"email": "a@example.com", "FirstName": "Ada"}, [("FirstName", "ATTRIBUTE_CASE_MISMATCH")]),
        ({"email": "a@example.com", "Reference": "r"}, [("Reference", "ATTRIBUTE_CASE_MISMATCH")]),
        ({"email": "a@example.com", "a": 1, "A": 1}, [("A", "ATTRIBUTE_CASE_MISMATCH")]),
        ({"email": "a@example.com", "firstname": 7}, [("firstname", "INVALID_TYPE")]),
        ({"email": "a@example.com", "identifier": True}, [("identifier", "INVALID_TYPE")]),
        ({"email": "a@example.com", "order": {"id": 7}}, [("order", "INVALID_TYPE")]),
        ({"email": "a@example.com", "tags": ["x"]}, [("tags", "INVALID_TYPE")]),
        ({"email": "a@example.com", "x": float("nan")}, [("x", "INVALID_TYPE")]),
        ({"email": "a@example.com", "x": Decimal(1)}, [("x", "INVALID_TYPE")]),
        ({"email": "a@example.com", "x": "\ud800"}, [("", "INVALID_TYPE")]),
        ({"email": "a@example.com", "": 1}, [("", "UNKNOWN_PROPERTY")]),
        ({"email": "a@example.com", "reference": ""}, [("reference", "INVALID_REFERENCE")]),
        ({"email": "a@example.com", "reference": 4711}, [("reference", "INVALID_REFERENCE")]),
        ({"email": "a@example.com", "reference": "r" * 256}, [("reference", "INVALID_REFERENCE")]),
        ({"email": "a@example.com", "vars": ["x"]}, [("vars", "INVALID_TYPE")]),
        ({"email": "a@example.com", "note": "x" * 100_000}, [("", "MESSAGE_TOO_LARGE")]),
        (
            {"email": "ada", "company": 1, "x": []},
            [("email", "INVALID_EMAIL"), ("company", "INVALID_TYPE"), ("x", "INVALID_TYPE")],
        ),
    ],
)
@pytest.mark.parametrize("content_type", ["json", "form"])
def test_what_breaks_a_rule_is_a_reject_that_names_all_of_them(
    row: object, expected: list[tuple[str, str]], content_type: str
) -> None:
    assert errors(row, content_type=content_type) == expected


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"email": "ada@example.com"}, [("phone", "REQUIRED_PROPERTY")]),
        ({"phone": 4930123456}, [("phone", "INVALID_TYPE")]),
        ({"phone": "030 123456"}, [("phone", "INVALID_PHONE")]),
        ({"Phone": "+4930123456"}, [("Phone", "ATTRIBUTE_CASE_MISMATCH"), ("phone", "REQUIRED_PROPERTY")]),
    ],
)
def test_an_sms_needs_a_phone_number(row: object, expected: list[tuple[str, str]]) -> None:
    assert errors(row, channel="sms") == expected


def test_a_country_that_does_not_exist_is_no_fault_of_the_rows() -> None:
    with pytest.raises(ConfigurationError, match="'Germany' is no country") as caught:
        rules(channel="sms", default_region="Germany")
    assert caught.value.setting == "default_region"


def test_a_reject_does_not_quote_the_values_of_its_row() -> None:
    [found] = prepare({"email": "secret-person", "firstname": 31337, "x": ["hidden"], "vars": "vanished"})
    assert isinstance(found, Reject)
    text = " ".join(error.message for error in found.errors)
    assert not {word for word in ("secret-person", "31337", "hidden", "vanished") if word in text}


def test_a_second_spelling_in_a_later_row_is_a_reject_that_names_the_first() -> None:
    rows = [
        {"email": f"u{n}@example.com", name: n} for n, name in enumerate(["orderId", "orderId", "OrderID", "orderId"])
    ]
    found = prepare(*rows)
    assert [isinstance(each, Reject) for each in found] == [False, False, True, False]
    reject = found[2]
    assert isinstance(reject, Reject)
    [error] = reject.errors
    assert (error.field, error.code) == ("OrderID", "ATTRIBUTE_CASE_MISMATCH")
    assert "'orderId' in row 0" in error.message


def test_spellings_are_kept_from_one_chunk_of_rows_to_the_next_and_at_every_pass() -> None:
    using = rules()
    chunks: list[list[tuple[int, object]]] = [
        [(0, {"email": "nobody", "ORDERID": 1}), (1, {"email": "a@example.com", "orderId": 1})],
        [(2, {"email": "b@example.com", "orderid": 1}), (3, {"email": "c@example.com", "orderId": 1})],
    ]
    passes = [[each for rows in chunks for each in using.prepare(rows, str)] for _ in range(3)]
    assert passes[0] == passes[1] == passes[2]
    assert [isinstance(each, Reject) for each in passes[0]] == [True, False, True, False]
    first = passes[0][0]
    assert isinstance(first, Reject)
    assert [error.code for error in first.errors] == ["INVALID_EMAIL"]


def test_an_absent_attribute_has_no_spelling() -> None:
    found = prepare({"email": "a@example.com", "OrderId": None}, {"email": "b@example.com", "orderId": 1})
    assert [isinstance(each, Message) for each in found] == [True, True]


# Attributes of all contacts ------------------------------------------------------------------------------------


def test_attributes_stand_where_a_row_has_none_of_its_own() -> None:
    attributes = {"shop": "Berlin", "company": "Contoso"}
    assert body({"email": "a@example.com", "shop": "Paris"}, attributes=attributes) == {
        "email": "a@example.com",
        "shop": "Paris",
        "company": "Contoso",
    }
    assert body({"email": "a@example.com", "shop": None}, attributes=attributes)["shop"] == "Berlin"


def test_attributes_say_how_their_names_are_spelt() -> None:
    assert errors({"email": "a@example.com", "Shop": "Paris"}, attributes={"shop": "Berlin"}) == [
        ("Shop", "ATTRIBUTE_CASE_MISMATCH")
    ]


def test_an_attribute_of_none_pins_the_spelling_and_sends_nothing() -> None:
    attributes = {"orderId": None}
    assert body({"email": "a@example.com"}, attributes=attributes) == {"email": "a@example.com"}
    assert errors({"email": "a@example.com", "orderid": 1}, attributes=attributes) == [
        ("orderid", "ATTRIBUTE_CASE_MISMATCH")
    ]


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        (["shop"], "must be an object"),
        ({1: "x"}, "must be an object"),
        ({"email": "a@example.com"}, "email can not be the same for every contact"),
        ({"reference": "r"}, "reference can not be the same"),
        ({"Company": "Contoso"}, "Company must be spelt 'company'"),
        ({"shop": 1, "Shop": 2}, "Shop is spelt 'shop' in the same row"),
        ({"shop": ["Berlin"]}, "shop must be text, a number, true or false"),
        ({"company": 1}, "company must be text"),
        ({"vars": 1}, "vars must be an object"),
    ],
)
def test_attributes_that_can_not_be_meant_are_refused_before_any_row_is_read(attributes: Any, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason) as caught:
        rules(attributes=attributes)
    assert caught.value.setting == "attributes"


def test_an_identifier_can_not_have_a_template_and_a_default() -> None:
    with pytest.raises(ConfigurationError, match="identifier has a template"):
        rules(attributes={"identifier": "x"}, identifier=template("{{ y }}"))


# The identifier's template -------------------------------------------------------------------------------------


def test_an_identifier_is_made_of_the_rows_attributes_variables_and_reference() -> None:
    made = template("{{ run }}/{{ orderId }}/{{ part }}/{{ reference }}")
    row = {"email": "a@example.com", "orderId": 7, "vars": {"part": "b"}}
    assert body(row, identifier=made, attributes={"vars": {"run": "2026-01-01", "part": "a"}}) == {
        "email": "a@example.com",
        "orderId": 7,
        "identifier": "2026-01-01/7/b/ref-0",
    }


def test_a_rows_own_identifier_is_sent_as_it_is() -> None:
    row = {"email": "a@example.com", "identifier": "{{ x }}"}
    assert body(row, identifier=template("{{ missing }}"))["identifier"] == "{{ x }}"


@pytest.mark.parametrize("row", [{"email": "a@example.com"}, {"email": "a@example.com", "orderId": None}])
def test_a_missing_variable_makes_the_row_a_reject(row: dict[str, Any]) -> None:
    assert errors(row, identifier=template("order-{{ orderId }}")) == [("identifier", "MISSING_VARIABLE")]
