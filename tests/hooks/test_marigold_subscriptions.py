"""Whom the vendor posts its events to: the hook's calls."""

from __future__ import annotations

import pytest

from airflow_provider_messaging.core.errors import AmbiguousDeliveryError, VendorError
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.sandbox.process import Sandbox

BODY = {"url": "http://127.0.0.1:9/hook", "headers": {"X-Webhook-Secret": "s3cret"}}


def test_a_subscription_is_made_listed_and_deleted(hook: MarigoldHook) -> None:
    made = hook.create_subscription(BODY)
    assert made["url"] == BODY["url"]
    assert hook.list_subscriptions() == [made]
    assert hook.delete_subscription(made["id"]) is True
    assert hook.delete_subscription(made["id"]) is False
    assert hook.list_subscriptions() == []


@pytest.mark.parametrize(
    ("body", "expected"), [('[{"a": 1}]', [{"a": 1}]), ('{"value": [1, "x"], "more": 2}', [1, "x"]), ("", [])]
)
def test_a_list_is_taken_in_any_likely_form(sandbox: Sandbox, hook: MarigoldHook, body: str, expected: object) -> None:
    sandbox.faults([{"operation": "list_subscriptions", "fault": "status", "status": 200, "body": body}])
    assert hook.list_subscriptions() == expected


def test_any_other_answer_is_an_error(sandbox: Sandbox, hook: MarigoldHook) -> None:
    sandbox.faults([{"operation": "list_subscriptions", "fault": "status", "status": 200, "body": '{"items": []}'}])
    with pytest.raises(VendorError, match="not the documented JSON"):
        hook.list_subscriptions()


def test_an_answer_without_a_body_is_none(sandbox: Sandbox, hook: MarigoldHook) -> None:
    sandbox.faults([{"operation": "create_subscription", "fault": "status", "status": 204}])
    assert hook.create_subscription(BODY) is None


def test_a_lost_answer_is_not_repeated_and_its_error_holds_no_secret(sandbox: Sandbox, hook: MarigoldHook) -> None:
    sandbox.faults([{"operation": "create_subscription", "fault": "drop", "when": "after", "times": 1}])
    with pytest.raises(AmbiguousDeliveryError) as caught:
        hook.create_subscription(BODY)
    assert "s3cret" not in str(caught.value)
    assert len(hook.list_subscriptions()) == 1
