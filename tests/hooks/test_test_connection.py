"""Test Connection of every type, in each form that Airflow takes a connection: what it saw, or what to mend."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from airflow_provider_messaging.hooks._base import MessagingHook
from airflow_provider_messaging.provider_info import get_provider_info
from airflow_provider_messaging.sandbox.process import Sandbox
from dev.processes import free_port

DESCRIBED = {each["connection-type"]: each for each in get_provider_info()["connection-types"]}
WRONG = "wr0ng-wr0ng"
Fields = dict[str, Any]


@dataclass(frozen=True)
class Type:
    sees: str
    """What it says when all is well."""
    calls: list[str | None]
    """The operations that it takes for that; None is none of the vendor's."""
    secret: str
    """The field that a wrong secret stands in: ``password``, or an extra."""
    refusal: str
    """What it says of a wrong secret; empty where the vendor cannot tell."""
    starred: str
    """What it says of a secret that is literally ``***``."""
    extra: Fields


TYPES = {
    "marigold": Type(
        "Token valid for 119 minutes, scopes send:email",
        ["token"],
        "password",
        "to change: login (client id), password (client secret), extra 'account_id' or 'audience'",
        "password (client secret) is literally '***'",
        {"tracking_verified": True, "read_timeout": 30, "endpoints": {"bounces": "/bounces/v1/bounces"}},
    ),
    "engageone": Type(
        "minutes, customer eocm-Sandbox-Company",
        ["token"],
        "password",
        "to change: login (client id), password (secret) or extra 'customer_id', which is case sensitive",
        "password (secret) is literally '***'",
        {"unblacklist_verified": False, "services": {"nlu": "https://nlu.example.com"}},
    ),
    "messangi": Type(
        "Logged in as sandbox@example.com, lists: 0",
        ["login", "list_lists"],
        "password",
        "to change: login (user name) and password",
        "password is literally '***'",
        {"connect_timeout": 5, "lookup_by_reference": True},
    ),
    "pressnxpress": Type(
        "could not be checked",
        [None],
        "password",
        "",
        "password (API key) is literally '***'",
        {"touchpoint_tokens": {"after-delivery": "another-secret-token"}},
    ),
}
EACH_TYPE = pytest.mark.parametrize("conn_type", TYPES)


def as_json(fields: Fields) -> str:
    return json.dumps(fields)


def as_json_of_texts(fields: Fields) -> str:
    return json.dumps({**fields, "extra": texts(fields["extra"])})


def as_the_form(fields: Fields) -> str:
    """Empty texts and nulls where nobody wrote anything; extra is the JSON's text."""
    empty = dict.fromkeys(DESCRIBED[fields["conn_type"]]["conn-fields"])
    extra = {**empty, **fields["extra"]}
    return json.dumps({"login": "", "port": None, "schema": "", **fields, "extra": json.dumps(extra)})


def as_uri(fields: Fields) -> str:
    who = f"{quote(fields.get('login') or '', safe='')}:{quote(fields.get('password') or '', safe='')}"
    host = fields["host"]
    return f"{fields['conn_type']}://{who}@{quote(host, safe='')}/?{urlencode(texts(fields['extra']))}"


def texts(extra: Fields) -> Fields:
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in extra.items()}


FORMS: list[Callable[[Fields], str]] = [as_json, as_json_of_texts, as_the_form, as_uri]
EACH_FORM = pytest.mark.parametrize("form", FORMS, ids=lambda each: each.__name__)


@pytest.fixture
def check(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[bool, str]]:
    """Tests the sandbox's connection of a type, with some fields changed, in one of the forms."""

    def run(conn_type: str, form: Callable[[Fields], str], **changes: Any) -> tuple[bool, str]:
        fields = json.loads(sandbox.connections[f"AIRFLOW_CONN_{conn_type.upper()}_DEFAULT"])
        extra = {**fields["extra"], **TYPES[conn_type].extra, **changes.pop("extra", {})}
        monkeypatch.setenv("AIRFLOW_CONN_TRIED", form({**fields, **changes, "extra": extra}))
        module, _, name = DESCRIBED[conn_type]["hook-class-name"].rpartition(".")
        hook: MessagingHook = getattr(import_module(module), name)("tried")
        with hook:
            return hook.test_connection()

    return run


Check = Callable[..., tuple[bool, str]]


@EACH_FORM
@EACH_TYPE
def test_it_says_what_it_saw_after_as_few_calls_as_can_be(
    check: Check, sandbox: Sandbox, conn_type: str, form: Callable[[Fields], str]
) -> None:
    works, text = check(conn_type, form)
    assert works, text
    assert TYPES[conn_type].sees in text
    assert [request["operation"] for request in sandbox.requests()] == TYPES[conn_type].calls


@EACH_FORM
@pytest.mark.parametrize("conn_type", [name for name, each in TYPES.items() if each.refusal])
def test_a_wrong_secret_is_named_and_not_shown(
    check: Check, sandbox: Sandbox, conn_type: str, form: Callable[[Fields], str]
) -> None:
    works, text = check(conn_type, form, **{TYPES[conn_type].secret: WRONG})
    assert not works
    assert TYPES[conn_type].refusal in text
    assert "connection 'tried'" in text
    assert WRONG not in text
    assert len(sandbox.requests()) == 1


@EACH_FORM
@EACH_TYPE
def test_a_secret_of_stars_is_to_be_typed_anew_and_nothing_is_asked(
    check: Check, sandbox: Sandbox, conn_type: str, form: Callable[[Fields], str]
) -> None:
    works, text = check(conn_type, form, password="***")
    assert not works
    assert TYPES[conn_type].starred in text
    assert "type it anew" in text
    assert sandbox.requests() == []


@EACH_FORM
@EACH_TYPE
def test_http_to_another_machine_is_refused_before_a_byte_is_sent(
    check: Check, sandbox: Sandbox, conn_type: str, form: Callable[[Fields], str]
) -> None:
    works, text = check(conn_type, form, host="http://gateway.example")
    assert not works
    assert "host must start with https://" in text
    assert "to change: host" in text
    assert sandbox.requests() == []


@EACH_FORM
@EACH_TYPE
def test_a_host_that_nobody_answers_at_is_told_in_seconds(
    check: Check, conn_type: str, form: Callable[[Fields], str]
) -> None:
    works, text = check(conn_type, form, host=f"http://127.0.0.1:{free_port()}")
    assert not works
    assert "the connection was refused" in text
    assert "connection 'tried'" in text


# Older ones do not read such a connection at all.
@pytest.mark.airflow33
@EACH_TYPE
def test_extras_that_are_no_object_are_told(check: Check, conn_type: str) -> None:
    works, text = check(conn_type, lambda fields: json.dumps({**fields, "extra": "[1]"}))
    assert not works
    assert "extra must be a JSON object" in text
