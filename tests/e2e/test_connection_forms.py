"""The four connection types in the form of a real Airflow, driven in a real browser."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from configparser import ConfigParser
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import pytest
from cryptography.fernet import Fernet

from airflow_provider_messaging.hooks._base import MessagingHook
from airflow_provider_messaging.provider_info import get_provider_info
from airflow_provider_messaging.sandbox.process import Sandbox
from dev.airflow_client import AirflowApiError
from dev.connection_pages import ConnectionPages
from dev.local_airflow import LocalAirflow

DESCRIBED = {each["connection-type"]: each for each in get_provider_info()["connection-types"]}
WRONG = "wr0ng-wr0ng"


@dataclass(frozen=True)
class Case:
    """What somebody writes into the form of one connection type, and what they read then."""

    conn_type: str
    typed: dict[str, Any]
    secrets: set[str]
    edit: dict[str, Any]
    sees: str
    spoilt: dict[str, Any]
    """A field that is typed wrong."""
    mend: str
    """What Test says of it."""
    url: str = ""
    conn_id: str = ""

    @property
    def values(self) -> dict[str, Any]:
        return {"host": self.url, "port": 443, **self.typed}

    @property
    def extra(self) -> dict[str, Any]:
        return {name: value for name, value in self.typed.items() if name not in {"login", "password"}}


CASES = [
    Case(
        "marigold",
        {
            "login": "sandbox",
            "password": "sandbox-secret",
            "account_id": "sandbox-account",
            "region": "us",
            "audience": "https://sdc.slgnt.eu",
            "tracking_verified": True,
            "read_timeout": 30,
            "endpoints": {"bounces": "/bounces/v1/bounces"},
        },
        {"password"},
        {"region": "eu", "read_timeout": 45},
        "Token valid for 119 minutes, scopes send:email",
        {"password": WRONG},
        "to change: login (client id), password (client secret), extra 'account_id' or 'audience'",
    ),
    Case(
        "engageone",
        {
            "login": "sandbox-client",
            "password": "sandbox-secret",
            "customer_id": "eocm-Sandbox-Company",
            "region": "eu-west-1",
            "services": {"nlu": "https://nlu.example.com"},
            "unblacklist_verified": True,
        },
        {"password"},
        {"region": "us-east-1"},
        "customer eocm-Sandbox-Company",
        {"customer_id": "eocm-sandbox-company"},
        "extra 'customer_id', which is case sensitive",
    ),
    Case(
        "messangi",
        {
            "api_key": "sandbox-api-key",
            "two_factor_token": "sandbox-2fa-token",
            "subscribers_prefix": "/dothraki/v1",
            "sender": "Shop",
            "default_region": "BR",
            "connect_timeout": 5,
        },
        {"api_key", "two_factor_token"},
        {"sender": "Store"},
        "The API key is accepted",
        {"api_key": WRONG},
        "extra 'api_key'",
    ),
    Case(
        "pressnxpress",
        {
            "password": "sandbox-api-key",
            "touchpoint_token": "sandbox-touchpoint",
            "touchpoint_tokens": {"after-delivery": "another-secret-token"},
            "content_type": "form",
        },
        {"password", "touchpoint_token", "touchpoint_tokens"},
        {"content_type": "json"},
        "answers (HTTP",
        {"host": "http://pressnxpress.example"},
        "host must start with https://",
    ),
]


@pytest.fixture(scope="module")
def pages(airflow: LocalAirflow, browser: Any) -> Iterator[ConnectionPages]:
    page = browser.new_page(viewport={"width": 1100, "height": 2600})
    page.set_default_timeout(60_000)
    yield ConnectionPages(page, airflow.url)
    page.close()


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.conn_type)
def case(
    request: pytest.FixtureRequest, airflow: LocalAirflow, sandbox_process: Sandbox, pages: ConnectionPages
) -> Iterator[Case]:
    """A connection to the sandbox that was made in the form."""
    sandbox_process.reset()
    asked: Case = request.param
    made = replace(asked, url=sandbox_process.vendor_url(asked.conn_type), conn_id=f"{asked.conn_type}_made_in_form")
    described = DESCRIBED[made.conn_type]
    pages.of_type(described).create(described["hook-name"], made.conn_id, made.values)
    yield made
    airflow.client.request("DELETE", f"/api/v2/connections/{made.conn_id}")


def stored(airflow: LocalAirflow, conn_id: str) -> dict[str, Any]:
    """The connection as the metadata database has it, secrets included; extras that are null are left out."""
    config = ConfigParser(interpolation=None)
    config.read(airflow.home / "airflow.cfg")
    fernet = Fernet(config["core"]["fernet_key"])
    with sqlite3.connect(airflow.home / "airflow.db") as database:
        database.row_factory = sqlite3.Row
        row = dict(database.execute("select * from connection where conn_id = ?", [conn_id]).fetchone())
    for name, encrypted in (("password", "is_encrypted"), ("extra", "is_extra_encrypted")):
        if row[encrypted] and row[name]:
            row[name] = fernet.decrypt(row[name].encode()).decode()
    row["extra"] = {name: value for name, value in json.loads(row["extra"]).items() if value is not None}
    return {name: row[name] for name in ("conn_type", "host", "port", "login", "password", "extra")}


def expected(case: Case, **changes: Any) -> dict[str, Any]:
    typed = {**case.values, **changes}
    standard = {name: typed.pop(name, None) for name in ("host", "port", "login", "password")}
    return {"conn_type": case.conn_type, **standard, "extra": typed}


def found(airflow: LocalAirflow, case: Case) -> dict[str, Any]:
    read = stored(airflow, case.conn_id)
    return {**read, "login": read["login"] or None, "password": read["password"] or None}


def secrets(value: Any) -> Iterator[str]:
    """All texts in a value."""
    if isinstance(value, dict):
        for each in value.values():
            yield from secrets(each)
    else:
        yield str(value)


def hook_of(read: dict[str, Any], conn_id: str, monkeypatch: pytest.MonkeyPatch) -> MessagingHook:
    module, _, name = DESCRIBED[read["conn_type"]]["hook-class-name"].rpartition(".")
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(read))
    hook: MessagingHook = getattr(import_module(module), name)(conn_id)
    return hook


def test_what_was_typed_is_stored(airflow: LocalAirflow, case: Case) -> None:
    assert found(airflow, case) == expected(case)


def test_what_was_stored_works_in_a_hook(airflow: LocalAirflow, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    with hook_of(stored(airflow, case.conn_id), case.conn_id, monkeypatch) as hook:
        works, text = hook.test_connection()
    assert works, text
    assert case.sees in text


def test_the_api_shows_it_without_its_secrets(airflow: LocalAirflow, case: Case) -> None:
    shown = json.dumps(airflow.client.get(f"/api/v2/connections/{case.conn_id}"))
    hidden = [text for name in case.secrets for text in secrets(case.typed[name])]
    assert hidden
    assert not [text for text in hidden if text in shown]
    assert "***" in shown


def test_reopened_it_shows_what_was_typed_and_stars_for_secrets(pages: ConnectionPages, case: Case) -> None:
    pages.of_type(DESCRIBED[case.conn_type]).open(case.conn_id)
    pages.show("Standard Fields")
    assert pages.standard_field("host").input_value() == case.url
    if "password" in case.typed:
        assert pages.standard_field("password").input_value() == "***"
    pages.show("Extra Fields")
    for name, value in case.extra.items():
        if isinstance(value, str) and name not in pages.choices:
            assert pages.extra_field(name).input_value() == ("***" if name in case.secrets else value), name


def test_saving_it_reopened_changes_what_was_edited_and_keeps_the_secrets(
    airflow: LocalAirflow, pages: ConnectionPages, case: Case
) -> None:
    form = pages.of_type(DESCRIBED[case.conn_type])
    form.edit(case.conn_id, case.edit)
    assert found(airflow, case) == expected(case, **case.edit)
    form.edit(case.conn_id, {name: case.typed[name] for name in case.edit})
    assert found(airflow, case) == expected(case)


def test_test_says_what_it_saw(pages: ConnectionPages, case: Case) -> None:
    said = pages.test(case.conn_id)
    assert "Success" in said
    assert case.sees in said


def test_test_says_what_to_mend_and_shows_no_secret(airflow: LocalAirflow, pages: ConnectionPages, case: Case) -> None:
    form = pages.of_type(DESCRIBED[case.conn_type])
    form.edit(case.conn_id, case.spoilt)
    said = form.test(case.conn_id)
    form.edit(case.conn_id, {name: case.values[name] for name in case.spoilt})
    assert "Failed" in said
    assert case.mend in said
    hidden = {text for name in case.secrets for text in secrets(case.typed[name])} | {WRONG}
    assert not [text for text in hidden if text in said]
    assert found(airflow, case) == expected(case)


@pytest.mark.parametrize("conn_type", DESCRIBED)
def test_it_is_deleted(airflow: LocalAirflow, pages: ConnectionPages, conn_type: str) -> None:
    conn_id = f"{conn_type}_to_delete"
    airflow.client.request("POST", "/api/v2/connections", {"connection_id": conn_id, "conn_type": conn_type})
    pages.delete(conn_id)
    with pytest.raises(AirflowApiError, match="404"):
        airflow.client.get(f"/api/v2/connections/{conn_id}")


@pytest.mark.parametrize(("conn_type", "needed"), [("marigold", "account_id"), ("engageone", "customer_id")])
def test_a_form_without_what_it_needs_says_so_and_cannot_be_saved(
    pages: ConnectionPages, conn_type: str, needed: str
) -> None:
    described = DESCRIBED[conn_type]
    form = pages.of_type(described).open_new(described["hook-name"])
    form.locator("input[name=connection_id]").fill("not_yet_complete")
    pages.show("Extra Fields")
    field = pages.page.locator(f"[name=element_{needed}]")
    form.get_by_role("group").filter(has=field).get_by_text("This field is required").wait_for()
    assert form.get_by_role("button", name="Save").is_disabled()
    field.fill("something")
    form.get_by_role("button", name="Save", disabled=False).wait_for()
