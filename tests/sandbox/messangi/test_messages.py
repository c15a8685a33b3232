from __future__ import annotations

import time
from typing import Any

import pytest

CHANNELS = ["sms", "email", "whatsapp", "notification"]


def delivered(sandbox: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sandbox.deliveries(vendor="messangi")
    return found


@pytest.mark.parametrize("channel", CHANNELS)
def test_send_is_accepted_and_delivered(sandbox: Any, messangi: Any, channel: str) -> None:
    answer = getattr(messangi, channel)()
    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == ["status", "messageId", "description"]
    assert answer.json()["status"] == "ACCEPTED"
    (row,) = delivered(sandbox)
    assert (row["vendor"], row["channel"]) == ("messangi", channel)
    assert row["reference"] == row["extra"]["message_id"] == answer.json()["messageId"]
    (entry,) = sandbox.requests(operation=f"send_{channel}")
    assert (entry["status"], entry["messages"]) == (200, 1)


@pytest.mark.parametrize(
    ("channel", "recipient"),
    [("sms", "573001234567"), ("email", "jane.doe@example.com"), ("whatsapp", "573001234567"), ("notification", "")],
)
def test_delivery_has_the_recipient(sandbox: Any, messangi: Any, channel: str, recipient: str) -> None:
    getattr(messangi, channel)()
    assert [row["recipient"] for row in delivered(sandbox)] == [recipient]


@pytest.mark.parametrize("channel", ["sms", "email"])
def test_reference_is_the_senders_id(sandbox: Any, messangi: Any, channel: str) -> None:
    message_ids = [getattr(messangi, channel)(externalId="ext-1").json()["messageId"] for _ in range(2)]
    rows = delivered(sandbox)
    assert [row["reference"] for row in rows] == ["ext-1", "ext-1"]
    assert [row["extra"]["message_id"] for row in rows] == message_ids
    assert len(set(message_ids)) == 2
    assert sandbox.counts("messangi") == {"total": 2, "distinct": 1, "duplicates": 1}


def test_notification_tells_what_its_request_says(sandbox: Any, messangi: Any) -> None:
    messangi.notification(channel="sms", request={"to": "573001234567", "externalId": "ext-1", "to_all": False})
    (row,) = delivered(sandbox)
    assert (row["recipient"], row["reference"], row["extra"]["channel"]) == ("573001234567", "ext-1", "sms")


@pytest.mark.parametrize("channel", CHANNELS)
def test_send_is_answered_in_the_envelope_as_set(sandbox: Any, messangi: Any, channel: str) -> None:
    sandbox.settings("messangi", send_form="envelope", accepted_status="QUEUE")
    answer = getattr(messangi, channel)().json()
    assert list(answer) == ["meta", "data"]
    assert list(answer["data"]) == ["status", "messageId", "description"]
    assert answer["data"]["status"] == "QUEUE"


@pytest.mark.parametrize(
    ("channel", "to"),
    [("sms", "573000000000"), ("whatsapp", "573000000000"), ("email", "jane@rejected.test")],
)
@pytest.mark.parametrize("form", ["flat", "envelope"])
def test_rejection_has_status_200(sandbox: Any, messangi: Any, channel: str, to: str, form: str) -> None:
    sandbox.settings("messangi", send_form=form)
    answer = getattr(messangi, channel)(to=to)
    assert answer.status_code == 200
    members = answer.json() if form == "flat" else answer.json()["data"]
    assert members["status"] == "REJECTED"
    assert members["messageId"]
    assert members["description"]
    assert delivered(sandbox) == []


@pytest.mark.parametrize(
    ("channel", "name", "value"),
    [
        ("sms", "to", "+573001234567"),
        ("sms", "to", "57 300 123 45 67"),
        ("sms", "to", "0573001234567"),
        ("sms", "to", 573001234567),
        ("sms", "to", ""),
        ("sms", "from", None),
        ("sms", "text", ""),
        ("sms", "type", "MO"),
        ("sms", "type", "mt"),
        ("sms", "externalId", ""),
        ("sms", "externalId", 5),
        ("sms", "subject", "x"),
        ("email", "to", "jane"),
        ("email", "from", "news"),
        ("email", "subject", ""),
        ("email", "text", None),
        ("email", "externalId", None),
        ("email", "html", "<p>x</p>"),
        ("whatsapp", "to", "+573001234567"),
        ("whatsapp", "from", ""),
        ("whatsapp", "type", "image"),
        ("whatsapp", "body", ""),
        ("whatsapp", "externalId", "x"),
        ("notification", "channel", ""),
        ("notification", "request", {}),
        ("notification", "request", "x"),
        ("notification", "externalId", "x"),
    ],
)
def test_wrong_member_is_refused(sandbox: Any, messangi: Any, channel: str, name: str, value: object) -> None:
    answer = getattr(messangi, channel)(**{name: value})
    assert answer.status_code == 400
    assert [detail["field"] for detail in answer.json()["errors"]["details"]] == [name]
    assert delivered(sandbox) == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"[{}]", b"\xff", b"null"])
def test_body_that_is_no_json_object_is_refused(messangi: Any, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    assert messangi.post("/raven/v2/messages", content=body, headers=headers).status_code == 400


def test_form_body_is_refused(messangi: Any) -> None:
    assert messangi.post("/raven/v2/messages", data={"to": "573001234567"}).status_code == 400


def test_sms_is_found_by_message_id(messangi: Any) -> None:
    sent = messangi.sms().json()
    messangi.sms()
    answer = messangi.look_up(sent["messageId"])
    assert (answer.status_code, answer.json()) == (200, sent)


def test_sms_is_found_by_the_senders_id(messangi: Any) -> None:
    sent = messangi.sms(externalId="a/b c").json()
    for asked in ("a%2Fb%20c", sent["messageId"]):
        assert messangi.look_up(asked).json() == {**sent, "externalId": "a/b c"}


def test_senders_id_finds_the_newest(messangi: Any) -> None:
    messangi.sms(externalId="ext-1")
    newest = messangi.sms(externalId="ext-1").json()["messageId"]
    assert messangi.look_up("ext-1").json()["messageId"] == newest


def test_senders_id_is_unknown_as_set(sandbox: Any, messangi: Any) -> None:
    sandbox.settings("messangi", lookup_by_external_id=False)
    message_id = messangi.sms(externalId="ext-1").json()["messageId"]
    assert messangi.look_up("ext-1").status_code == 404
    assert messangi.look_up(message_id).status_code == 200


def test_rejected_sms_is_found_as_rejected(messangi: Any) -> None:
    message_id = messangi.sms(to="573000000000", externalId="ext-1").json()["messageId"]
    for asked in ("ext-1", message_id):
        assert messangi.look_up(asked).json()["status"] == "REJECTED"


def test_look_up_has_the_form_of_the_send(sandbox: Any, messangi: Any) -> None:
    message_id = messangi.sms().json()["messageId"]
    sandbox.settings("messangi", send_form="envelope")
    assert messangi.look_up(message_id).json()["data"]["messageId"] == message_id


def test_look_up_lags_as_set(sandbox: Any, messangi: Any) -> None:
    sandbox.settings("messangi", lookup_lag=0.4)
    message_id = messangi.sms().json()["messageId"]
    assert messangi.look_up(message_id).status_code == 404
    time.sleep(0.5)
    assert messangi.look_up(message_id).status_code == 200


def test_look_up_finds_sms_only(messangi: Any) -> None:
    assert messangi.look_up("unknown").status_code == 404
    assert messangi.look_up(messangi.email(externalId="ext-1").json()["messageId"]).status_code == 404
    assert messangi.look_up("ext-1").status_code == 404


def test_lost_answer_leaves_an_sms_to_be_found(sandbox: Any, messangi: Any) -> None:
    sandbox.faults([{"operation": "send_sms", "vendor": "messangi", "fault": "status", "when": "after"}])
    assert messangi.sms(externalId="ext-1").status_code == 500
    assert messangi.look_up("ext-1").json()["status"] == "ACCEPTED"


def test_reset_forgets_messages(sandbox: Any, messangi: Any) -> None:
    message_id = messangi.sms().json()["messageId"]
    sandbox.reset("messangi")
    assert messangi.look_up(message_id).status_code == 404
    assert delivered(sandbox) == []
