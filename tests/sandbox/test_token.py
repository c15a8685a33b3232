from __future__ import annotations

import time
from typing import Any

import pytest

VALID = {
    "client_id": "sandbox",
    "client_secret": "sandbox-secret",
    "account_id": "sandbox-account",
    "grant_type": "client_credentials",
    "audience": "https://sdc.slgnt.eu",
}


def test_answer_has_the_documented_fields(marigold: Any) -> None:
    answer = marigold.post("/oauth/token", json=VALID)
    assert answer.status_code == 200
    document = answer.json()
    assert set(document) == {"access_token", "token_type", "refresh_token", "scope", "expires_in"}
    assert (document["token_type"], document["scope"], document["expires_in"]) == ("Bearer", "send:email", 7200)


def test_every_token_is_another_one(marigold: Any) -> None:
    tokens = {marigold.post("/oauth/token", json=VALID).json()["access_token"] for _ in range(3)}
    assert len(tokens) == 3


def test_american_audience_is_accepted(marigold: Any) -> None:
    assert marigold.post("/oauth/token", json={**VALID, "audience": "https://sdc.slgnt.us"}).status_code == 200


@pytest.mark.parametrize("name", VALID)
def test_each_field_is_required(marigold: Any, name: str) -> None:
    answer = marigold.post("/oauth/token", json={key: value for key, value in VALID.items() if key != name})
    assert answer.status_code == 400
    assert [(e["field"], e["error"]) for e in answer.json()["errors"]] == [(name, "REQUIRED_PROPERTY")]


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("client_id", 12345, "INVALID_TYPE"),
        ("client_secret", None, "INVALID_TYPE"),
        ("account_id", ["sandbox-account"], "INVALID_TYPE"),
        ("grant_type", "refresh_token", "INVALID_GRANT_TYPE"),
        ("grant_type", "CLIENT_CREDENTIALS", "INVALID_GRANT_TYPE"),
        ("audience", "https://sdc.slgnt.eu/", "INVALID_AUDIENCE"),
        ("refresh_token", "x", "UNKNOWN_PROPERTY"),
    ],
)
def test_wrong_field_is_refused(marigold: Any, name: str, value: object, code: str) -> None:
    answer = marigold.post("/oauth/token", json={**VALID, name: value})
    assert answer.status_code == 400
    assert [(e["field"], e["error"]) for e in answer.json()["errors"]] == [(name, code)]
    assert "message" in answer.json()["errors"][0]


@pytest.mark.parametrize("name", ["client_id", "client_secret", "account_id"])
def test_wrong_credential_is_unauthorized(marigold: Any, name: str) -> None:
    answer = marigold.post("/oauth/token", json={**VALID, name: "wrong"})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"


def test_form_body_is_an_unsupported_media_type(marigold: Any) -> None:
    assert marigold.post("/oauth/token", data=VALID).status_code == 415


def test_body_that_is_no_object_is_refused(marigold: Any) -> None:
    assert marigold.post("/oauth/token", json=[VALID]).status_code == 400


def test_token_expires_for_real(sandbox: Any, marigold: Any) -> None:
    sandbox.settings(token_lifetime=0.5)
    marigold.login()
    assert marigold.feedback("bounces").status_code == 200
    time.sleep(0.6)
    assert marigold.feedback("bounces").status_code == 401


def test_expires_in_can_be_made_to_lie(sandbox: Any, marigold: Any) -> None:
    sandbox.settings(token_lifetime=7200, token_expires_in=86400)
    assert marigold.post("/oauth/token", json=VALID).json()["expires_in"] == 86400


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer wrong", "Basic c2FuZGJveDpzYW5kYm94LXNlY3JldA=="]
)
def test_call_without_a_valid_token_is_unauthorized(marigold: Any, authorization: str | None) -> None:
    del marigold.headers["Authorization"]
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = marigold.get("/api/bounces/v1/bounces", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_token_is_not_a_credential_for_another_account(sandbox: Any, marigold: Any, email: Any) -> None:
    sandbox.settings(accounts=["sandbox-account", "other"])
    marigold.login(account_id="other")
    marigold.send_email(email(headers__to__address="hard-bounce@example.com"))
    assert marigold.track("ref-1").status_code == 200
    marigold.login()
    assert marigold.track("ref-1").status_code == 404
    assert marigold.feedback("bounces").json()["value"] == []
    assert len(marigold.feedback("bounces", accountId="other").json()["value"]) == 1
