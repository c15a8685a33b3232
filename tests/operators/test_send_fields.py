"""Every optional field of a message, in both forms of a row, as it arrives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_messaging.sandbox.process import Sandbox
from tests.operators.archived import Archived
from tests.operators.conftest import Row, Send
from tests.sandbox.conftest import Marigold

UNSUBSCRIBE = "<https://www.example.com/u?id=1>, <mailto:u@example.com>"
SHORT: Row = {
    "to": "Ada <ada@example.com>",
    "from": "News <news@example.com>",
    "reply": "help@example.com",
    "subject": "Hello",
    "text": "Hello",
    "profile": "LIST.1",
    "list_unsubscribe": UNSUBSCRIBE,
    "custom_headers": {"X-Campaign": "spring", "X-Ref": "4711", "X-Unset": None},
    "time_to_live": "PT12H",
    "archive_enabled": True,
    "archive_duration": "P30D",
    "priority": "high",
}
VENDORS: Row = {
    "content": {"text": "Hello"},
    "headers": {
        "to": {"alias": "Ada", "address": "ada@example.com"},
        "from": {"alias": "News", "address": "news@example.com"},
        "reply": {"address": "help@example.com"},
        "subject": "Hello",
        "list_unsubscribe": UNSUBSCRIBE,
        "optional": [{"name": "X-Campaign", "value": "spring"}, {"name": "X-Ref", "value": "4711"}],
    },
    "context": {"profile": "LIST.1"},
    "time_to_live": "PT12H",
    "archive_enabled": True,
    "archive_duration": "P30D",
    "priority": "high",
}
FORMS = pytest.mark.parametrize("row", [SHORT, VENDORS], ids=["short form", "vendor's form"])


@FORMS
def test_headers_and_archive_options_arrive(
    send: Send, sandbox: Sandbox, marigold: Marigold, archived: Archived, row: Row
) -> None:
    assert send(messages=[row])["accepted"] == 1
    [mail] = archived().values()
    assert {name: mail[name] for name in ("List-Unsubscribe", "X-Campaign", "X-Ref", "X-Unset", "Reply-To")} == {
        "List-Unsubscribe": UNSUBSCRIBE,
        "X-Campaign": "spring",
        "X-Ref": "4711",
        "X-Unset": None,
        "Reply-To": "help@example.com",
    }
    [delivery] = sandbox.deliveries()
    assert (delivery["ttl"], delivery["archived"]) == ("PT12H", True)
    metadata = marigold.get(f"/api/archive/v1/LIST.1/{delivery['reference']}").json()
    assert metadata["time_to_live"] == 30 * 86_400


@FORMS
@pytest.mark.parametrize("enabled", [False, None])
def test_a_message_that_is_not_to_be_archived_is_not(
    send: Send, sandbox: Sandbox, row: Row, enabled: bool | None
) -> None:
    send(messages=[{**row, "archive_enabled": enabled}])
    assert [each["archived"] for each in sandbox.deliveries()] == [False]


@FORMS
@pytest.mark.parametrize("utc", [True, False])
def test_a_message_waits_for_its_time(send: Send, sandbox: Sandbox, marigold: Marigold, row: Row, utc: bool) -> None:
    soon = (datetime.now(UTC) + timedelta(hours=1)).replace(microsecond=0)
    when = f"{soon:%Y-%m-%dT%H:%M:%SZ}" if utc else soon.astimezone().isoformat()
    assert send(messages=[{**row, "custom_send_time": when}])["accepted"] == 1
    [delivery] = sandbox.deliveries()
    events = [each["type"] for each in marigold.track(delivery["reference"]).json()["value"]]
    assert events
    assert not [each for each in events if each.endswith(("email.sent", "email.archived"))]


@pytest.mark.parametrize("place", [None, "headers", "context", "content"])
def test_priority_is_passed_on_from_wherever_it_stands(send: Send, place: str | None) -> None:
    """The vendor does not say where: the sandbox takes it anywhere, and refuses any other unknown property."""
    row: dict[str, Any] = {name: value for name, value in VENDORS.items() if name != "priority"}
    if place is None:
        row["priority"] = "low"
    else:
        row[place] = {**row[place], "priority": "low"}
    assert send(messages=[row])["accepted"] == 1


@pytest.mark.parametrize(
    ("headers", "where", "code"),
    [
        ({"Campaign": "x"}, "custom_headers.Campaign", "INVALID_HEADER_NAME"),
        ({"X-A": "1", "X-B": ""}, "custom_headers.X-B", "INVALID_HEADER_VALUE"),
        ({"X-A": None, "X-B": "a\r\nBcc: b@example.com"}, "custom_headers.X-B", "INVALID_HEADER_VALUE"),
        ({"X-A": "1", "x-a": "2"}, "custom_headers.x-a", "DUPLICATE_HEADER"),
        ({"X-Bcc": "b@example.com"}, "custom_headers.X-Bcc", "RECIPIENT_OVERRIDE"),
        ({"X-A": 5}, "custom_headers.X-A", "INVALID_TYPE"),
        ("X-A: 1", "custom_headers", "INVALID_TYPE"),
    ],
)
def test_a_custom_header_that_breaks_a_rule_is_named(send: Send, headers: object, where: str, code: str) -> None:
    with pytest.raises(AirflowFailException) as caught:
        send(messages=[{**SHORT, "custom_headers": headers}])
    assert f"{where} {code}" in str(caught.value)
