"""The hook's calls against the sandbox."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from airflow_provider_messaging.core.errors import (
    AmbiguousDeliveryError,
    AuthenticationError,
    ConfigurationError,
    ValidationError,
    VendorError,
)
from airflow_provider_messaging.hooks.pressnxpress import PressnxpressHook
from airflow_provider_messaging.sandbox.process import Sandbox
from dev.processes import free_port

Hooks = Callable[..., PressnxpressHook]
ADA = {"email": "ada@example.com", "firstname": "Ada", "orderId": 4711}


@pytest.fixture
def connect(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Hooks:
    """Makes the hook of a connection to the sandbox, changed by field."""
    valid = json.loads(sandbox.connections["AIRFLOW_CONN_PRESSNXPRESS_DEFAULT"])

    def make(*, extra: dict[str, Any] | None = None, **fields: Any) -> PressnxpressHook:
        changed = {**valid, **fields, "extra": {**valid["extra"], **(extra or {})}}
        monkeypatch.setenv("AIRFLOW_CONN_PRESSNXPRESS_DEFAULT", json.dumps(changed))
        return PressnxpressHook()

    return make


@pytest.fixture
def hook(connect: Hooks) -> Iterator[PressnxpressHook]:
    with closing(connect()) as hook:
        yield hook


def contacts(count: int) -> list[dict[str, Any]]:
    return [{"email": f"user{number}@example.com", "identifier": f"order-{number}"} for number in range(count)]


def delivered(sandbox: Sandbox) -> list[dict[str, Any]]:
    return sandbox.deliveries(vendor="pressnxpress")


def fault(kind: str, **more: Any) -> dict[str, Any]:
    return {"fault": kind, "vendor": "pressnxpress", "operation": "enqueue_email", **more}


@pytest.mark.parametrize("content_type", [None, "json", "form"])
def test_a_contact_arrives_with_all_its_attributes(hook: PressnxpressHook, sandbox: Sandbox, content_type: Any) -> None:
    hook.enqueue(ADA, content_type=content_type)
    [found] = delivered(sandbox)
    assert (found["channel"], found["recipient"]) == ("mail", "ada@example.com")
    assert found["extra"] == {"firstname": "Ada", "orderId": "4711" if content_type == "form" else 4711}


def test_the_content_type_is_the_connections_unless_one_is_named(connect: Hooks, sandbox: Sandbox) -> None:
    with closing(connect(extra={"content_type": "form"})) as hook:
        hook.enqueue(ADA)
        hook.enqueue(ADA, content_type="json")
    assert [found["extra"]["orderId"] for found in delivered(sandbox)] == ["4711", 4711]


def test_an_sms_goes_to_a_normalised_number(hook: PressnxpressHook, sandbox: Sandbox) -> None:
    hook.enqueue({"phone": "030 123456"}, "sms", default_region="DE")
    [found] = delivered(sandbox)
    assert (found["channel"], found["recipient"]) == ("sms", "+4930123456")


def test_a_named_touchpoint_is_used_instead_of_the_connections(connect: Hooks, sandbox: Sandbox) -> None:
    extra = {"touchpoint_token": "an0ther-t0ken", "touchpoint_tokens": {"delivery": "sandbox-touchpoint"}}
    with closing(connect(extra=extra)) as hook:
        hook.enqueue(ADA, touchpoint="delivery")
        with pytest.raises(VendorError, match="HTTP 404, There is no such touchpoint") as caught:
            hook.enqueue(ADA)
    assert "extra 'touchpoint_token'" in caught.value.setting
    assert len(delivered(sandbox)) == 1


@pytest.mark.parametrize("status", [200, 201, 202])
def test_every_status_of_success_is_one(hook: PressnxpressHook, sandbox: Sandbox, status: int) -> None:
    sandbox.settings("pressnxpress", accepted_status=status)
    hook.enqueue(ADA)
    assert len(delivered(sandbox)) == 1


@pytest.mark.parametrize("status", [200, 204])
@pytest.mark.parametrize("body", ["<html>fine</html>", ""])
def test_a_success_need_not_be_json(hook: PressnxpressHook, sandbox: Sandbox, status: int, body: str) -> None:
    sandbox.faults([fault("status", status=status, body="" if status == 204 else body)])
    hook.enqueue(ADA)


def test_a_contact_that_breaks_a_rule_is_not_sent(hook: PressnxpressHook, sandbox: Sandbox) -> None:
    with pytest.raises(ValidationError, match=r"nothing was sent..*row 0: email INVALID_EMAIL"):
        hook.enqueue({"email": "ada"})
    assert sandbox.requests(vendor="pressnxpress") == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"channel": "mail"}, "channel is 'mail'; it must be one of email, sms"),
        ({"content_type": "xml"}, "content_type is 'xml'; it must be one of json, form"),
        ({"touchpoint": "delivery"}, "no touchpoint of 'delivery'"),
    ],
)
def test_an_argument_that_can_not_be_meant_is_an_error(
    hook: PressnxpressHook, arguments: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigurationError, match=says):
        hook.enqueue(ADA, **arguments)


def test_a_wrong_key_is_told_as_such(connect: Hooks, sandbox: Sandbox) -> None:
    with closing(connect(password="wr0ng-key")) as hook, pytest.raises(AuthenticationError) as caught:
        hook.enqueue(ADA)
    assert caught.value.setting == "password (API key) of the connection"
    assert len(sandbox.requests(vendor="pressnxpress")) == 1


@pytest.mark.parametrize(
    "trouble",
    [fault("drop", when="after"), fault("drop"), fault("status", status=500), fault("truncate"), fault("hang")],
    ids=["reset after", "reset before", "500", "truncated", "timeout"],
)
def test_what_may_have_been_taken_is_not_repeated(connect: Hooks, sandbox: Sandbox, trouble: dict[str, Any]) -> None:
    sandbox.faults([trouble])
    with closing(connect(extra={"read_timeout": 0.5})) as hook, pytest.raises(AmbiguousDeliveryError):
        hook.enqueue(ADA)
    assert len(sandbox.requests(vendor="pressnxpress")) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_what_surely_was_not_taken_is_repeated(hook: PressnxpressHook, sandbox: Sandbox, status: int) -> None:
    sandbox.faults([fault("status", status=status, times=2)])
    hook.enqueue(ADA)
    assert len(delivered(sandbox)) == 1
    assert len(sandbox.requests(vendor="pressnxpress")) == 3


# Many contacts -------------------------------------------------------------------------------------------------


def test_many_contacts_are_enqueued_once_each_at_the_same_time(hook: PressnxpressHook, sandbox: Sandbox) -> None:
    sandbox.faults([fault("latency", delay=0.02)])
    started = time.monotonic()
    counts = hook.enqueue_many(contacts(100), max_concurrency=16)
    assert time.monotonic() - started < 100 * 0.02
    assert (counts["messages"], counts["accepted"], counts["requests"]) == (100, 100, 100)
    assert sandbox.counts("pressnxpress") == {"total": 100, "distinct": 100, "duplicates": 0}


def test_many_contacts_can_be_paced(hook: PressnxpressHook) -> None:
    started = time.monotonic()
    hook.enqueue_many(contacts(20), rate_limit=40)
    assert time.monotonic() - started > 19 / 40


def test_nobody_is_asked_if_one_contact_breaks_a_rule(hook: PressnxpressHook, sandbox: Sandbox) -> None:
    rows = [*contacts(5), {"email": "nobody"}, {"Email": "a@example.com"}]
    with pytest.raises(ValidationError, match="2 of 7 rows break the rules; nothing was sent") as caught:
        hook.enqueue_many(rows)
    assert [row.row for row in caught.value.rows] == [5, 6]
    assert sandbox.requests(vendor="pressnxpress") == []


def test_contacts_that_the_vendor_refuses_are_named_and_the_others_are_asked(
    hook: PressnxpressHook, sandbox: Sandbox
) -> None:
    sandbox.faults([fault("status", status=400, times=1, skip=3, body='{"message": "No such order."}')])
    with pytest.raises(ValidationError, match=r"9 accepted, 1 rejected.*No such order") as caught:
        hook.enqueue_many(contacts(10), max_concurrency=1)
    assert [row.row for row in caught.value.rows] == [3]
    assert len(delivered(sandbox)) == 9


def test_contacts_that_may_have_been_asked_are_named_and_the_others_are_asked(
    hook: PressnxpressHook, sandbox: Sandbox
) -> None:
    sandbox.faults([fault("drop", when="after", times=1, skip=3)])
    rows: list[dict[str, Any]] = [{**row, "reference": f"r{at}"} for at, row in enumerate(contacts(10))]
    with pytest.raises(AmbiguousDeliveryError, match="9 accepted, 1 ambiguous") as caught:
        hook.enqueue_many(rows, max_concurrency=1)
    assert caught.value.references == ("r3",)
    assert sandbox.counts("pressnxpress") == {"total": 10, "distinct": 10, "duplicates": 0}


def test_an_end_in_the_middle_tells_how_far_it_came(hook: PressnxpressHook, sandbox: Sandbox) -> None:
    sandbox.faults([fault("drop", when="after", times=1, skip=2), fault("status", status=401, skip=3)])
    with pytest.raises(AuthenticationError, match=r"\(3 of 10 were accepted before, perhaps also row 2\)"):
        hook.enqueue_many(contacts(10), max_concurrency=1)
    assert len(delivered(sandbox)) == 4


# Test Connection -----------------------------------------------------------------------------------------------


def test_test_connection_reaches_the_host_and_says_what_it_did_not_check(
    hook: PressnxpressHook, sandbox: Sandbox
) -> None:
    works, text = hook.test_connection()
    assert works
    assert text.startswith(f"{sandbox.url}/pressnxpress answers (HTTP 404, asked without the key).")
    assert "could not be checked" in text
    assert delivered(sandbox) == []


def test_test_connection_fails_where_nobody_answers_without_waiting(connect: Hooks) -> None:
    started = time.monotonic()
    with closing(connect(host=f"http://127.0.0.1:{free_port()}/pressnxpress")) as hook:
        works, text = hook.test_connection()
    assert not works
    assert "the connection was refused" in text
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("fields", "setting"),
    [({"password": ""}, "password (API key)"), ({"extra": {"touchpoint_token": ""}}, "extra 'touchpoint_token'")],
)
def test_test_connection_names_what_is_missing(connect: Hooks, fields: dict[str, Any], setting: str) -> None:
    works, text = connect(**fields).test_connection()
    assert not works
    assert setting in text
