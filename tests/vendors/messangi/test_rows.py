"""From rows to the bodies of messages."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_messaging.core.messages import Message, Reject
from airflow_provider_messaging.vendors.messangi.rows import COMPOSERS, LIMITS, Defaults, prepare, tracked_sms

SMS: dict[str, Any] = {"to": "+49 151 23456789", "from": "12345", "text": "Grüße ☺"}
EMAIL: dict[str, Any] = {"to": "ada@example.com", "from": "shop@example.com", "subject": "Hello", "text": "World"}
CHANNELS = pytest.mark.parametrize("channel", COMPOSERS)


def run(row: object, channel: str = "sms", **defaults: str) -> Message | Reject:
    made = prepare(COMPOSERS[channel], 3, row, reference_of=lambda row: f"made-{row}", defaults=Defaults(**defaults))
    assert made.row == 3
    return made


def body(row: object, channel: str = "sms", **defaults: str) -> dict[str, Any]:
    made = run(row, channel, **defaults)
    assert isinstance(made, Message), made
    document: dict[str, Any] = msgspec.json.decode(made.data)
    return document


def faults(row: object, channel: str = "sms", **defaults: str) -> list[tuple[str, str]]:
    made = run(row, channel, **defaults)
    return [(error.field, error.code) for error in made.errors] if isinstance(made, Reject) else []


def test_an_sms_is_what_the_vendor_takes() -> None:
    assert body(SMS) == {"from": "12345", "to": "4915123456789", "text": "Grüße ☺", "type": "MT"}


def test_an_email_carries_our_reference() -> None:
    assert body({**EMAIL, "reference": "order-1"}, "email") == {
        "from": "shop@example.com",
        "to": "ada@example.com",
        "subject": "Hello",
        "text": "World",
        "externalId": "order-1",
    }


def test_the_text_of_a_whatsapp_message_is_its_body() -> None:
    expected = {"from": "12345", "to": "4915123456789", "type": "text", "body": "Grüße ☺"}
    assert body(SMS, "whatsapp") == expected
    assert body(expected, "whatsapp") == expected


def test_a_whatsapp_message_of_another_type_brings_its_own_content() -> None:
    row = {"to": "+4915123456789", "from": "1", "type": "template", "template": {"name": "bonus"}}
    assert body(row, "whatsapp") == {
        "from": "1",
        "to": "4915123456789",
        "type": "template",
        "template": {"name": "bonus"},
    }


def test_the_short_form_of_a_notification_is_an_sms() -> None:
    request = {"to": "4915123456789", "shortcode": "12345", "body": "Grüße ☺"}
    assert body(SMS, "notification") == {"channel": "SMS", "request": request}


def test_a_notification_of_the_vendors_form_is_passed_on() -> None:
    row = {"channel": "PUSH", "request": {"to": "device-1", "anything": [1]}}
    assert body(row, "notification") == row
    made = run(row, "notification")
    assert isinstance(made, Message)
    assert made.recipient == "device-1"


def test_other_channels_than_sms_have_no_short_form() -> None:
    assert faults({**SMS, "channel": "PUSH"}, "notification") == [("request", "REQUIRED_PROPERTY")]


def test_names_that_nobody_documents_are_passed_on_and_ours_are_not() -> None:
    row = {**SMS, "campaign": "spring", "profile": "crm-1", "tags": ["a"], "_rejected": {}, "reference": "r-1"}
    assert body(row) == {**body(SMS), "campaign": "spring"}
    made = run(row)
    assert isinstance(made, Message)
    assert (made.profile, made.tags, made.reference) == ("crm-1", ("a",), "r-1")


def test_a_tracked_sms_carries_our_reference() -> None:
    made = prepare(tracked_sms, 0, SMS, reference_of=lambda _: "made", defaults=Defaults())
    assert isinstance(made, Message)
    assert msgspec.json.decode(made.data)["externalId"] == "made"


@pytest.mark.parametrize(
    ("given", "reference"),
    [({}, "made-3"), ({"reference": "r-1"}, "r-1"), ({"externalId": "x-1"}, "x-1"), ({"reference": 17}, "17")],
)
def test_the_reference_is_the_rows_or_made(given: dict[str, Any], reference: str) -> None:
    made = run({**EMAIL, **given}, "email")
    assert isinstance(made, Message)
    assert made.reference == reference
    assert msgspec.json.decode(made.data)["externalId"] == reference


@pytest.mark.parametrize("reference", ["", "a b", "x" * 65, "ü", "..", ".", "a\n", 1.5, ["a"], True])
def test_a_reference_that_no_path_could_name_is_refused(reference: Any) -> None:
    assert faults({**SMS, "reference": reference}) == [("reference", "INVALID_REFERENCE")]


def test_two_references_that_differ_are_refused() -> None:
    assert faults({**EMAIL, "reference": "a", "externalId": "b"}, "email") == [("externalId", "MIXED_FORMS")]


@pytest.mark.parametrize("written", ["+49 151 23456789", "0049-151-23456789", "4915123456789", 4915123456789])
def test_a_phone_number_with_its_country_code_may_be_written_in_any_way(written: Any) -> None:
    made = run({**SMS, "to": written})
    assert isinstance(made, Message)
    assert made.recipient == "4915123456789"


def test_a_national_number_needs_a_region() -> None:
    national = {**SMS, "to": "(0151) 234 567 89"}
    assert faults(national) == [("to", "INVALID_PHONE_NUMBER")]
    assert body(national, region="DE")["to"] == "4915123456789"


def test_with_a_region_digits_alone_are_a_national_number() -> None:
    assert body({**SMS, "to": "15123456789"}, region="DE")["to"] == "4915123456789"


@pytest.mark.parametrize(
    "number", ["12", "+49", "hello", "+49 151 234567890123456", "+999 12345678", "\uff10\uff11\uff15", " ", True]
)
def test_what_is_no_phone_number_is_refused(number: Any) -> None:
    assert faults({**SMS, "to": number})[0][0] == "to"


@pytest.mark.parametrize("address", ["ada", "ada@", "ada@localhost", "a@example.com, b@example.com", "<>"])
@pytest.mark.parametrize("field", ["to", "from"])
def test_what_is_no_address_is_refused(field: str, address: str) -> None:
    assert faults({**EMAIL, field: address}, "email") == [(field, "INVALID_EMAIL_ADDRESS")]


def test_a_name_beside_an_address_is_kept_for_the_sender_only() -> None:
    sent = body({**EMAIL, "to": "Ada <ada@example.com>", "from": "Shop <shop@example.com>"}, "email")
    assert (sent["to"], sent["from"]) == ("ada@example.com", "Shop <shop@example.com>")


@pytest.mark.parametrize("text", ["Hello\r\nBcc: x", "a\x00", "a\u2028b"])
def test_a_line_break_in_subject_or_sender_is_refused(text: str) -> None:
    assert faults({**EMAIL, "subject": text}, "email") == [("subject", "INVALID_CHARACTER")]
    assert faults({**SMS, "from": text}) == [("from", "INVALID_CHARACTER")]


def test_a_subject_may_hold_what_people_write() -> None:
    subject = "Grüße\u00a0an alle 👩‍👩‍👧"
    assert body({**EMAIL, "subject": subject}, "email")["subject"] == subject


@CHANNELS
def test_a_default_sender_stands_in_for_a_missing_one(channel: str) -> None:
    row = {name: value for name, value in (EMAIL if channel == "email" else SMS).items() if name != "from"}
    assert ("from", "REQUIRED_PROPERTY") in faults(row, channel)
    made = run(row, channel, sender="shop@example.com")
    assert b"shop@example.com" in made.data if isinstance(made, Message) else False


@CHANNELS
@pytest.mark.parametrize("row", [None, 1, "x", [], {1: 2}])
def test_what_is_no_object_is_refused(channel: str, row: object) -> None:
    assert faults(row, channel) == [("", "INVALID_TYPE")]


def test_every_broken_rule_of_a_row_is_told() -> None:
    row = {"to": "12", "text": 1, "tags": "a", "profile": 7}
    assert faults(row) == [
        ("profile", "INVALID_TYPE"),
        ("tags", "INVALID_TYPE"),
        ("from", "REQUIRED_PROPERTY"),
        ("to", "INVALID_PHONE_NUMBER"),
        ("text", "INVALID_TYPE"),
    ]


def test_null_means_absent() -> None:
    assert body({**SMS, "reference": None, "campaign": None, "type": None}) == body(SMS)


def test_a_message_that_is_too_large_is_refused() -> None:
    assert faults({**SMS, "text": "x" * LIMITS.max_bytes}) == [("", "MESSAGE_TOO_LARGE")]


@pytest.mark.parametrize("value", [object(), 1j, "\ud800"])
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    assert faults({**SMS, "extra": value}) == [("", "INVALID_TYPE")]


def test_the_row_is_never_changed() -> None:
    for channel in COMPOSERS:
        row = {**EMAIL, **SMS, "reference": "r", "tags": ["a"]}
        before = dict(row)
        run(row, channel)
        assert row == before


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(
    ["to", "from", "text", "subject", "reference", "externalId", "channel", "request", "type", "body"]
)


@given(st.dictionaries(NAMES | st.text(max_size=5), JSON), st.sampled_from(sorted(COMPOSERS)))
def test_any_row_becomes_a_message_or_a_reject(row: dict[str, Any], channel: str) -> None:
    made = run(row, channel)
    assert isinstance(made, Message) or made.errors
