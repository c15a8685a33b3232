"""One token for all hooks of one connection, renewed once when it is refused; Test Connection."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from airflow_provider_messaging.core.auth import TOKENS
from airflow_provider_messaging.core.errors import AuthenticationError
from airflow_provider_messaging.hooks.engageone import EngageOneHook
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.hooks.engageone import CUSTOMER_ID, Connect, connect, hook, to_sandbox, without_waiting

__all__ = ["connect", "hook", "to_sandbox"]

WRONG = "wr0ng-wr0ng"


def operations(sandbox: Sandbox) -> list[tuple[str, int]]:
    return [(each["operation"], each["status"]) for each in sandbox.requests()]


def test_threads_with_hooks_of_their_own_fetch_one_token(to_sandbox: Connect, sandbox: Sandbox) -> None:
    to_sandbox()
    sandbox.faults([{"vendor": "engageone", "operation": "token", "fault": "latency", "delay": 0.2}])
    together = Barrier(8)

    def work(_: int) -> None:
        with EngageOneHook("letters") as hook:
            together.wait(10)
            list(hook.list_campaigns())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert len(sandbox.requests(operation="token")) == 1


def test_a_refused_token_is_renewed_once_and_the_call_succeeds(hook: EngageOneHook, sandbox: Sandbox) -> None:
    hook.get_campaign("campaign-000001")
    sandbox.faults([{"vendor": "engageone", "operation": "get_campaign", "fault": "expire_token", "times": 1}])
    assert hook.get_campaign("campaign-000001")["name"] == "newsletter"
    assert operations(sandbox) == [
        ("token", 200),
        ("get_campaign", 200),
        ("get_campaign", 401),
        ("token", 200),
        ("get_campaign", 200),
    ]


def test_a_refusal_that_a_new_token_does_not_mend_ends_the_call(hook: EngageOneHook, sandbox: Sandbox) -> None:
    sandbox.faults([{"vendor": "engageone", "operation": "get_campaign", "fault": "status", "status": 401}])
    with pytest.raises(AuthenticationError):
        hook.get_campaign("campaign-000001")
    assert [name for name, _ in operations(sandbox)] == ["token", "get_campaign", "token", "get_campaign"]


def test_a_token_is_renewed_before_it_expires(
    hook: EngageOneHook, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.settings("engageone", token_lifetime=200)
    fetched = []
    for later in (0, 160, 195):
        # Not to the second: a busy server's `Date` is behind, and so is then what we make of its clock.
        monkeypatch.setattr(TOKENS, "_clock", lambda later=later: time.time() + later)
        hook.get_campaign("campaign-000001")
        fetched.append(len(sandbox.requests(operation="token")))
    assert fetched == [1, 1, 2]


@pytest.mark.parametrize(
    "settings", [{"token_form": "object_token"}, {"token_form": "object_access_token"}, {"token_has_exp": False}]
)
def test_tokens_of_other_forms_work_as_well(hook: EngageOneHook, sandbox: Sandbox, settings: dict[str, Any]) -> None:
    sandbox.settings("engageone", **settings)
    assert hook.get_campaign("campaign-000001")["name"] == "newsletter"


def test_a_customer_id_in_another_case_is_refused_by_the_vendor(to_sandbox: Connect) -> None:
    with to_sandbox(extra={"customer_id": CUSTOMER_ID.upper()}) as hook, pytest.raises(AuthenticationError) as caught:
        hook.get_campaign("campaign-000001")
    assert "case sensitive" in str(caught.value)


def test_a_second_company_has_a_token_of_its_own(to_sandbox: Connect, sandbox: Sandbox) -> None:
    sandbox.settings("engageone", customers=[CUSTOMER_ID, "sa-2"])
    for _ in range(2):
        for customer in (CUSTOMER_ID, "sa-2"):
            with to_sandbox(extra={"customer_id": customer}) as hook:
                hook.get_campaign("campaign-000001")
    assert len(sandbox.requests(operation="token")) == 2


def test_a_changed_secret_does_not_live_on_the_old_ones_token(to_sandbox: Connect) -> None:
    with to_sandbox() as hook:
        hook.get_campaign("campaign-000001")
    with to_sandbox(password=WRONG) as hook, pytest.raises(AuthenticationError):
        hook.get_campaign("campaign-000001")


def test_the_public_api_needs_no_token(hook: EngageOneHook, sandbox: Sandbox) -> None:
    hook.blacklist("jane@example.com")
    hook.verify("jane@example.com")
    hook.unblacklist("jane@example.com")
    assert operations(sandbox) == [("blacklist", 201), ("verify", 200), ("unblacklist", 204)]


def test_a_good_connection_tells_how_long_its_token_lives_and_whose_it_is(hook: EngageOneHook) -> None:
    assert hook.test_connection() == (True, f"Token valid for 59 minutes, customer {CUSTOMER_ID}")


def test_it_asks_the_vendor_even_if_a_token_is_at_hand_and_nothing_else(hook: EngageOneHook, sandbox: Sandbox) -> None:
    hook.test_connection()
    hook.test_connection()
    assert operations(sandbox) == [("token", 200)] * 2


@pytest.mark.parametrize(
    "changes", [{"password": WRONG}, {"login": "nobody"}, {"extra": {"customer_id": "eocm-Other"}}]
)
def test_wrong_credentials_are_named_after_a_single_request(
    to_sandbox: Connect, sandbox: Sandbox, changes: dict[str, Any]
) -> None:
    with to_sandbox(**changes) as hook:
        works, text = hook.test_connection()
    assert not works
    assert "gives no token for this client id, secret and customer id" in text
    assert "connection 'letters'" in text
    assert WRONG not in text
    assert len(sandbox.requests()) == 1


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"fault": "status", "status": 500}, "HTTP 500"),
        ({"fault": "status", "status": 429}, "HTTP 429"),
        ({"fault": "status", "status": 404}, "HTTP 404"),
        ({"fault": "status", "status": 200, "body": "{}"}, "not a token"),
        ({"fault": "drop"}, "connection was lost"),
        ({"fault": "truncate"}, "broke off"),
    ],
)
def test_a_vendor_that_fails_is_described(
    hook: EngageOneHook, sandbox: Sandbox, fault: dict[str, Any], says: str
) -> None:
    sandbox.faults([{"vendor": "engageone", "operation": "token", **fault}])
    works, text = without_waiting(hook).test_connection()
    assert not works
    assert says in text
    assert "engageone token" in text
