from __future__ import annotations

import json
import time
from base64 import urlsafe_b64decode
from typing import Any

import pytest

CUSTOMER = "eocm-Sandbox-Company"


def claims(token: str) -> dict[str, Any]:
    header, payload, signature = token.split(".")
    assert json.loads(urlsafe_b64decode(header + "==")) == {"typ": "JWT", "alg": "HS256"}
    assert signature
    read: dict[str, Any] = json.loads(urlsafe_b64decode(payload + "=="))
    return read


def test_answer_is_a_bare_json_string(engageone: Any) -> None:
    answer = engageone.authenticate()
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert isinstance(answer.json(), str)


@pytest.mark.parametrize(("form", "member"), [("object_token", "token"), ("object_access_token", "access_token")])
def test_answer_can_be_an_object(sandbox: Any, engageone: Any, form: str, member: str) -> None:
    sandbox.settings("engageone", token_form=form)
    answer = engageone.authenticate().json()
    assert list(answer) == [member]
    assert claims(answer[member])["customer_id"] == CUSTOMER


def test_token_tells_when_it_expires(sandbox: Any, engageone: Any) -> None:
    sandbox.settings("engageone", token_lifetime=120)
    assert claims(engageone.authenticate().json())["exp"] == pytest.approx(time.time() + 120, abs=5)


def test_token_can_be_silent_about_its_end_and_expires_still(sandbox: Any, engageone: Any) -> None:
    sandbox.settings("engageone", token_has_exp=False, token_lifetime=0.3)
    engageone.login()
    assert "exp" not in claims(engageone.private.headers["authorization"].removeprefix("Bearer "))
    assert engageone.private.get("/private/campaigns").status_code == 200
    time.sleep(0.4)
    assert engageone.private.get("/private/campaigns").status_code == 401


def test_every_token_is_another_one(engageone: Any) -> None:
    assert len({engageone.authenticate().json() for _ in range(3)}) == 3


@pytest.mark.parametrize("name", ["client_id", "secret", "customer_id"])
@pytest.mark.parametrize("value", [12345, None])
def test_member_of_another_type_is_refused(engageone: Any, name: str, value: object) -> None:
    answer = engageone.authenticate(**{name: value})
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_BODY")
    assert name in answer.json()["message"]


@pytest.mark.parametrize("body", [{}, {"client_id": "sandbox-client", "secret": "sandbox-secret"}, [], "text"])
def test_incomplete_body_is_refused(engageone: Any, body: object) -> None:
    assert engageone.public.post("/users/authenticate", json=body).status_code == 400


def test_unknown_member_is_refused(engageone: Any) -> None:
    answer = engageone.authenticate(grant_type="client_credentials")
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_BODY")


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_id": "somebody"},
        {"secret": "wrong"},
        {"customer_id": "Sandbox-Company"},
        {"customer_id": "eocm-sandbox-company"},
    ],
)
def test_wrong_credentials_are_unauthorized(engageone: Any, wrong: dict[str, str]) -> None:
    answer = engageone.authenticate(**wrong)
    assert (answer.status_code, answer.json()["code"]) == (401, "INVALID_CREDENTIALS")


def test_body_has_to_be_declared_as_json(engageone: Any) -> None:
    answer = engageone.public.post("/users/authenticate", data={"client_id": "sandbox-client"})
    assert answer.status_code == 415


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer wrong", "Basic c2FuZGJveA=="])
def test_private_call_without_a_valid_token_is_unauthorized(engageone: Any, authorization: str | None) -> None:
    headers = {"PB-Customer-Id": CUSTOMER} | ({} if authorization is None else {"Authorization": authorization})
    answer = engageone.public.get("/private/campaigns", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "INVALID_TOKEN")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("customer", [None, "", "Sandbox-Company", "eocm-sandbox-company", "EOCM-Sandbox-Company"])
def test_customer_id_has_to_be_sent_verbatim(engageone: Any, customer: str | None) -> None:
    headers = {"Authorization": engageone.private.headers["authorization"]}
    headers |= {} if customer is None else {"PB-Customer-Id": customer}
    answer = engageone.public.get("/private/campaigns", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "INVALID_CUSTOMER")


def test_companies_do_not_see_each_other(sandbox: Any, engageone: Any) -> None:
    sandbox.settings("engageone", customers=[CUSTOMER, "sa11bb"])
    engageone.private.post("/private/campaigns", json={"name": "mine"})
    send_id = engageone.send({"email": "a@example.com"}).json()["send_id"]
    engageone.login("sa11bb")
    assert "mine" not in [row["name"] for row in engageone.private.get("/private/campaigns").json()]
    assert engageone.status(send_id)["code"] == "NOT_FOUND"


def test_expired_tokens_are_refused_until_the_next_login(sandbox: Any, engageone: Any) -> None:
    sandbox.faults([{"vendor": "engageone", "operation": "send_campaign", "fault": "expire_token", "times": 1}])
    assert engageone.send({"email": "a@example.com"}).status_code == 401
    assert sandbox.counts("engageone")["total"] == 0
    engageone.login()
    assert engageone.send({"email": "a@example.com"}).status_code == 200


@pytest.mark.parametrize("header", ["Authorization", "PB-Customer-Id"])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/public/blacklist", {"email": "a@example.com"}),
        ("DELETE", "/public/blacklist/a%40example.com", None),
        ("POST", "/public/verify", {"email": "a@example.com"}),
        ("GET", "/video-delivery/players/1", None),
    ],
)
def test_public_call_with_credentials_is_refused(
    sandbox: Any, engageone: Any, header: str, method: str, path: str, body: Any
) -> None:
    answer = engageone.public.request(method, path, json=body, headers={header: "x"})
    assert (answer.status_code, answer.json()["code"]) == (400, "UNEXPECTED_CREDENTIALS")
    assert sandbox.state("blacklist", vendor="engageone") == []


def test_unknown_path_is_not_found_and_a_wrong_method_is_not_allowed(engageone: Any) -> None:
    answer = engageone.private.get("/private/nowhere")
    assert (answer.status_code, answer.json()) == (404, {"message": "Not Found", "code": "NOT_FOUND"})
    answer = engageone.private.get("/users/authenticate")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_request_log_keeps_no_secret(sandbox: Any, engageone: Any) -> None:
    engageone.private.get("/private/campaigns")
    text = json.dumps(sandbox.requests())
    assert "sandbox-secret" not in text
    assert engageone.private.headers["authorization"].removeprefix("Bearer ") not in text
