from __future__ import annotations

import time
from typing import Any
from uuid import UUID

import pytest

FULL = {
    "sender": "news@example.com",
    "sender_name": "News",
    "reply_to": "reply@example.com",
    "subject": "Hello",
    "project": "Samples",
    "ignore_missing_fields": True,
}
JANE = {"email": "jane@example.com", "name": "Jane"}


def test_send_is_accepted_and_recorded(sandbox: Any, engageone: Any) -> None:
    answer = engageone.send({**JANE, "reference": "r-1"}, {"email": "joe@example.com"}, **FULL)
    assert answer.status_code == 200
    send_id = answer.json()["send_id"]
    assert (list(answer.json()), str(UUID(send_id))) == (["send_id"], send_id)
    first, second = sandbox.deliveries(vendor="engageone")
    assert (first["reference"], first["recipient"]) == ("r-1", "jane@example.com")
    assert (second["reference"], second["recipient"]) == (f"{send_id}-1", "joe@example.com")
    assert first["extra"] == {"send_id": send_id, "campaign": "welcome"}
    assert first["account"] == "eocm-Sandbox-Company"
    assert sandbox.requests(operation="send_campaign")[0]["messages"] == 2


def test_version_1_has_a_path_of_its_own(sandbox: Any, engageone: Any) -> None:
    body = {"communication": "Example", "dataset": [JANE], "email_json_path": "$[*].email"}
    answer = engageone.private.post("/private/campaigns/welcome/transactional", json=body)
    assert answer.status_code == 200
    assert sandbox.counts("engageone")["total"] == 1
    assert [row["status"] for row in sandbox.requests(operation="send_campaign_v1")] == [200]


@pytest.mark.parametrize(
    ("path", "record"),
    [
        ("email", {"email": "jane@example.com"}),
        ("$.email", {"email": "jane@example.com"}),
        ("$[*].email", {"email": "jane@example.com"}),
        ("contact.email", {"contact": {"email": "jane@example.com"}}),
        ("$.contact.email", {"contact": {"email": "jane@example.com"}}),
        ("$.E-mail address", {"E-mail address": "jane@example.com"}),
    ],
)
def test_address_is_found_by_its_path(sandbox: Any, engageone: Any, path: str, record: dict[str, Any]) -> None:
    engageone.send(record, email_json_path=path)
    assert [row["recipient"] for row in sandbox.deliveries(vendor="engageone")] == ["jane@example.com"]


@pytest.mark.parametrize("path", ["$", ".email", "$email", "$..email", "email.", "$[0].email", "a b.*", " email"])
def test_path_that_makes_no_sense_is_refused(sandbox: Any, engageone: Any, path: str) -> None:
    answer = engageone.send(JANE, email_json_path=path)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_PATH")
    assert sandbox.counts("engageone")["total"] == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"dataset": []},
        {"dataset": {}},
        {"dataset": ["jane@example.com"]},
        {"email_json_path": 1},
        {"email_json_path": ""},
        {"communication": None},
        {"subject": 5},
        {"ignore_missing_fields": "true"},
        {"sendTime": "now"},
    ],
)
def test_body_of_another_form_is_refused(sandbox: Any, engageone: Any, changes: dict[str, Any]) -> None:
    answer = engageone.send(JANE, **changes)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_BODY")
    assert sandbox.counts("engageone")["total"] == 0


@pytest.mark.parametrize("missing", ["dataset", "email_json_path", "communication"])
def test_member_that_cannot_be_done_without(engageone: Any, missing: str) -> None:
    body = {"communication": "Example", "dataset": [JANE], "email_json_path": "email"}
    del body[missing]
    answer = engageone.private.post("/private/campaigns/v2/welcome/transactional", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_BODY")


def test_more_can_be_required(sandbox: Any, engageone: Any) -> None:
    sandbox.settings("engageone", send_requires=["communication", "sender", "subject"])
    assert engageone.send(JANE).status_code == 400
    assert engageone.send(JANE, **FULL).status_code == 200


@pytest.mark.parametrize("member", ["sender", "reply_to"])
def test_sender_has_to_be_an_address(engageone: Any, member: str) -> None:
    assert engageone.send(JANE, **{member: "News <news@example.com>"}).json()["code"] == "INVALID_EMAIL"


def test_unknown_campaign_is_not_found(sandbox: Any, engageone: Any) -> None:
    assert engageone.send(JANE, campaign="nowhere").status_code == 404
    assert sandbox.counts("engageone")["total"] == 0


@pytest.mark.parametrize("name", ["spring", "spring/summer 2024 ✓", "v2"])
def test_created_campaign_can_be_sent_by_name_and_by_id(engageone: Any, name: str) -> None:
    campaign = engageone.private.post("/private/campaigns", json={"name": name, "communication": "Example"})
    assert campaign.status_code == 201
    for key in (name, campaign.json()["id"]):
        path = f"/private/campaigns/v2/{key.replace('/', '%2F')}/transactional"
        body = {"communication": "Example", "dataset": [JANE], "email_json_path": "email"}
        assert engageone.private.post(path, json=body).status_code == 200


def test_campaign_is_created_once(engageone: Any) -> None:
    order = {"name": "spring", "communication": "Example", "subject": "Spring"}
    created = engageone.private.post("/private/campaigns", json=order).json()
    assert created == {"id": created["id"], **order, "created_at": created["created_at"]}
    assert engageone.private.get(f"/private/campaigns/{created['id']}").json() == created
    answer = engageone.private.post("/private/campaigns", json={"name": "spring"})
    assert (answer.status_code, answer.json()["code"]) == (409, "ALREADY_EXISTS")


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": 5}, {"name": "spring", "budget": 1}, []])
def test_campaign_of_another_form_is_refused(engageone: Any, body: object) -> None:
    assert engageone.private.post("/private/campaigns", json=body).status_code == 400


def test_status_moves_on(sandbox: Any, engageone: Any) -> None:
    sandbox.settings("engageone", send_delay=0.6)
    engageone.blacklist("listed@example.com")
    records = [{"email": email} for email in ("a@example.com", "b@example.com", "listed@EXAMPLE.com", "nobody")]
    send_id = engageone.send(*records).json()["send_id"]
    seen = {"PENDING": 0, "PROCESSING": 0}
    while (now := engageone.status(send_id))["status"] != "COMPLETED":
        seen[now["status"]] += 1
        assert (now["total"], now["sent"] < 2) == (4, True)
        time.sleep(0.02)
    assert min(seen.values()) > 0
    assert now == {"send_id": send_id, "status": "COMPLETED", "total": 4, "sent": 2, "failed": 1, "suppressed": 1}


def test_suppressed_address_gets_nothing(sandbox: Any, engageone: Any) -> None:
    engageone.blacklist("jane@example.com")
    engageone.send(JANE, {"email": "joe@example.com"})
    assert [row["recipient"] for row in sandbox.deliveries(vendor="engageone")] == ["joe@example.com"]
    [send] = sandbox.state("sends", vendor="engageone")
    assert (send["campaign"], send["suppressed_addresses"]) == ("welcome", ["jane@example.com"])
    engageone.public.delete("/public/blacklist/jane%40example.com")
    engageone.send(JANE)
    assert sandbox.counts("engageone")["total"] == 2


def test_campaign_that_always_fails(sandbox: Any, engageone: Any) -> None:
    sandbox.settings("engageone", send_delay=0)
    send_id = engageone.send(JANE, campaign="always-fails").json()["send_id"]
    status = engageone.status(send_id)
    assert (status["status"], status["sent"], status["failed"]) == ("FAILED", 0, 1)
    assert sandbox.counts("engageone")["total"] == 0


def test_unknown_send_is_not_found(engageone: Any) -> None:
    answer = engageone.private.get("/private/campaigns/transactional/nothing/status")
    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(("when", "sends"), [("before", 0), ("after", 1)])
def test_send_whose_answer_is_lost(sandbox: Any, engageone: Any, when: str, sends: int) -> None:
    fault = {"vendor": "engageone", "operation": "send_campaign", "fault": "status", "status": 502}
    sandbox.faults([{**fault, "when": when, "times": 1}])
    assert engageone.send(JANE).status_code == 502
    assert len(sandbox.state("sends", vendor="engageone")) == sends
    assert sandbox.counts("engageone")["total"] == sends


def test_dataset_that_is_too_large_is_refused(sandbox: Any, engageone: Any) -> None:
    answer = engageone.send({**JANE, "text": "x" * 10_000_000})
    assert (answer.status_code, answer.json()["code"]) == (413, "REQUEST_ENTITY_TOO_LARGE")
    assert sandbox.counts("engageone")["total"] == 0
