from __future__ import annotations

import json
from typing import Any

import pytest

EMAIL = "jane.doe@example.com"
PHONE = "+32470000001"
CONTACT = {
    "email": EMAIL,
    "firstname": "Jane",
    "lastname": "Doe",
    "company": "Example",
    "identifier": "customer-1",
    "orderId": "A-17",
}


def delivered(sandbox: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sandbox.deliveries(vendor="pressnxpress")
    return found


def refused(sandbox: Any, answer: Any, status: int) -> str:
    """The message of the error that says why; nothing was accepted."""
    assert answer.status_code == status, answer.text
    assert delivered(sandbox) == []
    assert list(answer.json()) == ["message"]
    text: str = answer.json()["message"]
    return text


def test_accepted_contact_is_answered_with_a_message(pressnxpress: Any) -> None:
    answer = pressnxpress.mail(email=EMAIL)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["message"]


@pytest.mark.parametrize("status", [200, 201, 202])
def test_status_of_a_success_is_a_setting(sandbox: Any, pressnxpress: Any, status: int) -> None:
    sandbox.settings("pressnxpress", accepted_status=status)
    assert pressnxpress.mail(email=EMAIL).status_code == status


def test_accepted_contact_is_a_delivery_with_its_attributes(sandbox: Any, pressnxpress: Any) -> None:
    pressnxpress.mail(**CONTACT)
    (row,) = delivered(sandbox)
    assert (row["vendor"], row["channel"], row["recipient"]) == ("pressnxpress", "mail", EMAIL)
    assert row["reference"] == "customer-1"
    assert row["extra"] == {name: value for name, value in CONTACT.items() if name != "email"}
    assert row["size"] == len(json.dumps(CONTACT, separators=(",", ":")))


def test_form_says_the_same_as_json(sandbox: Any, pressnxpress: Any) -> None:
    contact = {**CONTACT, "email": "jane+news@example.com", "firstname": "Zoë & Jane", "company": ""}
    assert pressnxpress.enqueue("mail", contact).status_code == 200
    assert pressnxpress.enqueue("mail", data=contact).status_code == 200
    by_json, by_form = delivered(sandbox)
    for name in ("reference", "recipient", "channel", "extra"):
        assert by_json[name] == by_form[name]


def test_sms_goes_to_the_phone_and_email_is_an_attribute(sandbox: Any, pressnxpress: Any) -> None:
    assert pressnxpress.sms(phone=PHONE, email="anything").status_code == 200
    (row,) = delivered(sandbox)
    assert (row["channel"], row["recipient"], row["extra"]) == ("sms", PHONE, {"email": "anything"})


@pytest.mark.parametrize(
    ("attributes", "reference"),
    [
        ({"identifier": "i", "reference": "r"}, "i"),
        ({"identifier": "", "reference": "r"}, "r"),
        ({"Reference": 7}, "7"),
        ({"reference": None}, EMAIL),
        ({}, EMAIL),
    ],
)
def test_reference_is_what_tells_the_contact(
    sandbox: Any, pressnxpress: Any, attributes: dict[str, Any], reference: str
) -> None:
    pressnxpress.mail(email=EMAIL, **attributes)
    assert [row["reference"] for row in delivered(sandbox)] == [reference]


def test_contact_enqueued_twice_is_counted_twice(sandbox: Any, pressnxpress: Any) -> None:
    for _ in range(2):
        pressnxpress.mail(**CONTACT)
    assert sandbox.counts("pressnxpress") == {"total": 2, "distinct": 1, "duplicates": 1}


@pytest.mark.parametrize("address", [None, "", "jane", "jane@example", "jane doe@example.com", 5, [EMAIL]])
def test_malformed_email_is_refused(sandbox: Any, pressnxpress: Any, address: object) -> None:
    assert "email" in refused(sandbox, pressnxpress.mail(email=address), 400)


@pytest.mark.parametrize("phone", [None, "", "32470000001", "+0470000001", "+32 470 00 00 01", "+3247", "+" + "1" * 16])
def test_phone_that_is_not_e164_is_refused(sandbox: Any, pressnxpress: Any, phone: object) -> None:
    assert "phone" in refused(sandbox, pressnxpress.sms(phone=phone), 400)


@pytest.mark.parametrize("contact", [{}, {"phone": PHONE}, {"Email": EMAIL}])
def test_email_is_required_in_its_own_case(sandbox: Any, pressnxpress: Any, contact: dict[str, Any]) -> None:
    assert refused(sandbox, pressnxpress.enqueue("mail", contact), 400) == "email is required."


def test_phone_is_required_of_an_sms(sandbox: Any, pressnxpress: Any) -> None:
    assert refused(sandbox, pressnxpress.sms(email=EMAIL), 400) == "phone is required."


@pytest.mark.parametrize("name", ["firstname", "lastname", "company", "identifier"])
@pytest.mark.parametrize("value", [7, None, True])
def test_expected_attributes_are_texts(sandbox: Any, pressnxpress: Any, name: str, value: object) -> None:
    assert name in refused(sandbox, pressnxpress.enqueue("mail", {"email": EMAIL, name: value}), 400)


@pytest.mark.parametrize("value", [[], {}, {"a": 1}, ["a"], 2**64])
def test_further_attribute_is_a_plain_value(sandbox: Any, pressnxpress: Any, value: object) -> None:
    assert "orders" in refused(sandbox, pressnxpress.mail(email=EMAIL, orders=value), 400)


def test_further_attributes_may_be_numbers_and_booleans(sandbox: Any, pressnxpress: Any) -> None:
    attributes = {"count": 3, "amount": 9.5, "member": True, "": "x"}
    assert "no name" in refused(sandbox, pressnxpress.mail(email=EMAIL, **attributes), 400)
    del attributes[""]
    pressnxpress.mail(email=EMAIL, **attributes)
    assert [row["extra"] for row in delivered(sandbox)] == [attributes]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"x"', b"\xff", b'{"email": "a@example.com", "email": "b@example.com"}', b'{"n": NaN}'],
)
def test_body_that_is_no_json_object_is_refused(sandbox: Any, pressnxpress: Any, body: bytes) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    refused(sandbox, pressnxpress.enqueue("mail", content=body, headers=headers), 400)


@pytest.mark.parametrize("body", [b"", b"email", b"email=a%ff@example.com", b"email=a@example.com&email=b@example.com"])
def test_body_that_is_no_form_is_refused(sandbox: Any, pressnxpress: Any, body: bytes) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    refused(sandbox, pressnxpress.enqueue("mail", content=body, headers=headers), 400)


@pytest.mark.parametrize("content_type", [None, "text/plain", "multipart/form-data; boundary=x", "application/xml"])
def test_other_content_type_is_refused(sandbox: Any, pressnxpress: Any, content_type: str | None) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    refused(sandbox, pressnxpress.enqueue("mail", content=b'{"email": "a@example.com"}', headers=headers), 415)


def test_body_that_is_too_large_is_refused(sandbox: Any, pressnxpress: Any) -> None:
    refused(sandbox, pressnxpress.mail(email=EMAIL, note="x" * 100_000), 413)


@pytest.mark.parametrize("query", ["", "apiKey=", "apiKey=wrong", "apikey=sandbox-api-key", "apiKey=a&apiKey=b"])
def test_wrong_api_key_is_unauthorized(sandbox: Any, pressnxpress: Any, query: str) -> None:
    refused(sandbox, pressnxpress.enqueue("mail", CONTACT, query=query), 401)


def test_api_key_in_a_header_is_not_read(sandbox: Any, pressnxpress: Any) -> None:
    pressnxpress.headers["Authorization"] = "Bearer sandbox-api-key"
    refused(sandbox, pressnxpress.enqueue("mail", CONTACT, query=""), 401)


def test_wrong_touchpoint_is_not_found(sandbox: Any, pressnxpress: Any) -> None:
    refused(sandbox, pressnxpress.enqueue("mail", CONTACT, touchpoint="other"), 404)


def test_unknown_parameter_is_refused(sandbox: Any, pressnxpress: Any) -> None:
    answer = pressnxpress.enqueue("mail", CONTACT, query="apiKey=sandbox-api-key&dryRun=1")
    assert "dryRun" in refused(sandbox, answer, 400)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/channel/mail/t/enqueue", 405), ("POST", "/channel/fax/t/enqueue", 404), ("POST", "/v3/anything", 404)],
)
def test_anything_else_is_answered_in_the_same_form(pressnxpress: Any, method: str, path: str, status: int) -> None:
    answer = pressnxpress.request(method, path)
    assert (answer.status_code, list(answer.json())) == (status, ["message"])


def test_fault_has_the_vendors_form(sandbox: Any, pressnxpress: Any) -> None:
    order = {"vendor": "pressnxpress", "operation": "enqueue_email", "fault": "status", "status": 429, "retry_after": 2}
    sandbox.faults([{**order, "times": 1}])
    answer = pressnxpress.mail(email=EMAIL)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "2")
    assert answer.json() == {"message": "Too Many Requests"}
    assert pressnxpress.mail(email=EMAIL).status_code == 200


def test_both_tokens_outlive_an_expiry(sandbox: Any, pressnxpress: Any) -> None:
    sandbox.faults([{"vendor": "pressnxpress", "fault": "expire_token"}])
    assert pressnxpress.mail(email=EMAIL).status_code == 200


def test_nothing_there_is_to_seed(sandbox: Any) -> None:
    with pytest.raises(Exception, match="pressnxpress has nothing to seed"):
        sandbox.seed("contacts", 5, "2023-01-01", "2023-01-02", vendor="pressnxpress")
