from __future__ import annotations

from typing import Any

import pytest

IN_APP = {"title": "Hello", "body": "World"}


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"reference": ""}, "reference", "INVALID_REFERENCE_EMPTY"),
        ({"context__tags": ["a/b"]}, "context.tags", "INVALID_TAG_CHAR"),
        ({"token": ""}, "token", "INVALID_EMPTY_TOKEN"),
        ({"token": None}, "token", "INVALID_EMPTY_TOKEN"),
        ({"token": 7}, "token", "INVALID_TYPE"),
        ({"content__title": ""}, "content.title", "INVALID_EMPTY_TITLE"),
        ({"content__body": None}, "content.body", "INVALID_EMPTY_BODY"),
        ({"content__body": 7}, "content.body", "INVALID_TYPE"),
        ({"content": "Hello"}, "content", "INVALID_TYPE"),
        ({"type": "push"}, "type", "INVALID_TYPE"),
        ({"provider": "amazon"}, "provider", "UNKNOWN_PROVIDER"),
        ({"provider": 1}, "provider", "INVALID_TYPE"),
        ({"content__in_app": IN_APP}, "content.in_app", "INAPP_CONTENT_NOT_ALLOWED"),
        (
            {"type": "PushWithInApp", "content__in_app": {"body": "b"}},
            "content.in_app.title",
            "INVALID_INAPP_EMPTY_TITLE",
        ),
        ({"type": "Silent", "content__in_app": {"title": "t"}}, "content.in_app.body", "INVALID_INAPP_EMPTY_BODY"),
        ({"type": "Silent", "content__in_app": "x"}, "content.in_app", "INVALID_TYPE"),
        ({"template_reference": ""}, "template_reference", "INVALID_TEMPLATE_REFERENCE"),
        ({"time_to_live": "P3D"}, "time_to_live", "INVALID_TIME_TO_LIVE_RANGE"),
    ],
)
def test_broken_rule_is_refused(
    sandbox: Any, marigold: Any, push: Any, changes: dict[str, Any], field: str, code: str
) -> None:
    answer = marigold.send_push(push(**changes))
    assert answer.status_code == 400, "accepted"
    assert [(e["index"], e["field"], e["error"]) for e in answer.json()["errors"]] == [(0, field, code)]
    assert sandbox.counts()["total"] == 0


@pytest.mark.parametrize("provider", ["apple", "google", "huawei"])
def test_provider_needs_credentials(sandbox: Any, marigold: Any, push: Any, provider: str) -> None:
    assert marigold.send_push(push(provider=provider)).status_code == 202
    sandbox.settings(push_providers=[name for name in ("apple", "google", "huawei") if name != provider])
    errors = marigold.send_push(push(provider=provider)).json()["errors"]
    assert [e["error"] for e in errors] == [f"MISSING_PROVIDER_CONFIG_{provider.upper()}"]


def test_app_needs_configuration(sandbox: Any, marigold: Any, push: Any) -> None:
    sandbox.settings(push_app_configured=False)
    errors = marigold.send_push(push("a"), push("b")).json()["errors"]
    assert [(e["index"], e["error"]) for e in errors] == [(0, "MISSING_APP_CONFIG"), (1, "MISSING_APP_CONFIG")]


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "Silent", "content": {}},
        {"type": "Silent", "content": {"in_app": IN_APP}},
        {"type": "PushWithInApp", "content__in_app": IN_APP},
        {"type": "PushWithInApp"},
        {"buttons": [{"url": "https://www.example.com"}], "content__sound": "ping"},
        {"template_reference": "welcome"},
    ],
)
def test_other_messages_are_accepted(sandbox: Any, marigold: Any, push: Any, changes: dict[str, Any]) -> None:
    assert marigold.send_push(push(**changes)).status_code == 202
    (delivery,) = sandbox.deliveries()
    assert (delivery["channel"], delivery["recipient"]) == ("mobile", "device-token")


@pytest.mark.parametrize("name", ["type", "provider", "context"])
def test_optional_field_may_be_absent(marigold: Any, push: Any, absent: object, name: str) -> None:
    assert marigold.send_push(push(**{name: absent})).status_code == 202


def test_missing_token_is_refused(marigold: Any, push: Any, absent: object) -> None:
    errors = marigold.send_push(push(token=absent)).json()["errors"]
    assert [e["error"] for e in errors] == ["INVALID_EMPTY_TOKEN"]


def test_batch_has_the_limits_of_e_mail(marigold: Any, push: Any) -> None:
    assert marigold.send_push(*(push(f"r-{n}") for n in range(101))).status_code == 400
    assert marigold.send_push(push("r"), push("r")).json()["errors"][0]["error"] == "REFERENCE_DUPLICATE_DETECTED"


def test_push_message_is_tracked(marigold: Any, push: Any) -> None:
    marigold.send_push(push("r"))
    types = [row["type"].removeprefix("com.") for row in marigold.track("r").json()["value"]]
    assert types == ["sdc.api.mobile.accepted", "sdc.imports.mobile", "sdc.deliveries.mobile.sent"]
