from __future__ import annotations

import json
import time
from typing import Any

import pytest

OWNERS = "/dothraki/v1/owners"


def test_connection_reaches_the_vendor(sandbox: Any, messangi: Any) -> None:
    connection = json.loads(sandbox.connections["AIRFLOW_CONN_MESSANGI_DEFAULT"])
    assert connection == {
        "conn_type": "messangi",
        "host": f"{sandbox.url}/messangi",
        "login": "sandbox@example.com",
        "password": "sandbox-password",
        "extra": {"subscribers_prefix": "/dothraki/v1", "two_factor_token": "sandbox-2fa-token"},
    }
    assert messangi.login(connection["login"], connection["password"]).status_code == 200
    assert messangi.get(f"{connection['host']}{connection['extra']['subscribers_prefix']}/lists").status_code == 200


def test_login_gives_the_token_in_a_header_and_no_body(messangi: Any) -> None:
    answer = messangi.login()
    assert (answer.status_code, answer.content) == (200, b"")
    scheme, token = answer.headers["authorization"].split(" ")
    assert scheme == "Bearer"
    messangi.use(token)
    assert messangi.get(OWNERS).status_code == 200


def test_login_gives_the_token_alone_as_set(sandbox: Any, messangi: Any) -> None:
    sandbox.settings("messangi", login_header_form="bare")
    token = messangi.login().headers["authorization"]
    assert " " not in token
    messangi.use(token)
    assert messangi.get(OWNERS).status_code == 200


@pytest.mark.parametrize("wrong", [{"username": "sandbox"}, {"password": "wrong"}])
def test_login_with_wrong_credentials_is_forbidden(messangi: Any, wrong: dict[str, str]) -> None:
    answer = messangi.login(**wrong)
    assert answer.status_code == 403
    assert "authorization" not in answer.headers


@pytest.mark.parametrize("wrong", [{"username": ""}, {"password": None}, {"username": 5}])
def test_login_needs_two_texts(messangi: Any, wrong: dict[str, object]) -> None:
    answer = messangi.login(**wrong)
    assert answer.status_code == 400
    assert answer.json()["errors"]["details"][0]["field"] == next(iter(wrong))


def test_login_knows_no_other_member(messangi: Any) -> None:
    document = {"username": "sandbox@example.com", "password": "sandbox-password", "remember": True}
    assert messangi.post("/kingslanding/login", json=document).status_code == 400


def test_token_lives_for_a_day(sandbox: Any) -> None:
    assert sandbox.settings("messangi")["token_lifetime"] == 24 * 3600


def test_token_expires_for_real(sandbox: Any, messangi: Any) -> None:
    sandbox.settings("messangi", token_lifetime=0.4)
    messangi.use(messangi.login().headers["authorization"].removeprefix("Bearer "))
    assert messangi.get(OWNERS).status_code == 200
    time.sleep(0.5)
    assert messangi.get(OWNERS).status_code == 401


@pytest.mark.parametrize("authorization", [None, "sandbox-api-key", "Basic sandbox-api-key", "Bearer x", "Bearer"])
def test_request_without_a_valid_token_is_unauthorized(messangi: Any, authorization: str | None) -> None:
    messangi.use(None)
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = messangi.get(OWNERS, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["errors"]["reason"] == "Couldn't authenticate your request"


def test_every_operation_but_the_login_asks_for_a_token(sandbox: Any, messangi: Any) -> None:
    messangi.use(None)
    for call in (messangi.sms, messangi.email, messangi.whatsapp, messangi.notification):
        assert call().status_code == 401
    for path in ("/raven/v2/messages/x", "/dothraki/v1/lists", "/dothraki/v1/lists/x/subscribers", OWNERS):
        assert messangi.get(path).status_code == 401
    assert messangi.post("/ironbank/v2/wallet/templates").status_code == 401
    assert sandbox.counts("messangi")["total"] == 0


def test_api_key_expires_as_set_and_logins_go_on(sandbox: Any, messangi: Any) -> None:
    sandbox.settings("messangi", api_key_expired=True)
    assert messangi.get(OWNERS).status_code == 401
    messangi.use(messangi.login().headers["authorization"].removeprefix("Bearer "))
    assert messangi.get(OWNERS).status_code == 200


def test_fault_expires_logins_and_no_api_key(sandbox: Any, messangi: Any) -> None:
    token = messangi.login().headers["authorization"].removeprefix("Bearer ")
    sandbox.faults([{"vendor": "messangi", "operation": "list_owners", "fault": "expire_token"}])
    assert messangi.get(OWNERS).status_code == 200
    messangi.use(token)
    assert messangi.get(OWNERS).status_code == 401


def test_second_factor_is_asked_for_as_set(sandbox: Any, messangi: Any) -> None:
    sandbox.settings("messangi", two_factor=True)
    for headers in ({}, {"CB-2FA-Token": "wrong"}, {"CB-2FA-Token": ""}):
        answer = messangi.get(OWNERS, headers=headers)
        assert answer.status_code == 402
        assert answer.json()["errors"]["reason"] == "2FA Token required"
    assert messangi.get(OWNERS, headers={"CB-2FA-Token": "sandbox-2fa-token"}).status_code == 200
    assert messangi.login().status_code == 200, "the login needs none"


def test_second_factor_comes_behind_the_token(sandbox: Any, messangi: Any) -> None:
    sandbox.settings("messangi", two_factor=True)
    messangi.use("wrong")
    assert messangi.get(OWNERS, headers={"CB-2FA-Token": "sandbox-2fa-token"}).status_code == 401


def test_refused_second_factor_has_no_effect(sandbox: Any, messangi: Any) -> None:
    sandbox.settings("messangi", two_factor=True)
    assert messangi.sms().status_code == 402
    assert sandbox.counts("messangi")["total"] == 0


def test_request_log_keeps_no_secret(sandbox: Any, messangi: Any) -> None:
    token = messangi.login().headers["authorization"]
    messangi.get(OWNERS, headers={"CB-2FA-Token": "sandbox-2fa-token"})
    text = json.dumps(sandbox.requests(vendor="messangi"))
    for secret in ("sandbox-api-key", "sandbox-2fa-token", "sandbox-password", token.removeprefix("Bearer ")):
        assert secret not in text
