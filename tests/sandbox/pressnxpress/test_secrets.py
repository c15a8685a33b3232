"""Both secrets sit in the URL, and the sandbox's own log shows neither."""

from __future__ import annotations

import json
from typing import Any

import pytest

URL = "/channel/mail/{}/enqueue"


def test_connection_reaches_the_vendor(sandbox: Any, pressnxpress: Any) -> None:
    connection = json.loads(sandbox.connections["AIRFLOW_CONN_PRESSNXPRESS_DEFAULT"])
    assert connection == {
        "conn_type": "pressnxpress",
        "host": f"{sandbox.url}/pressnxpress",
        "password": "sandbox-api-key",
        "extra": {"touchpoint_token": "sandbox-touchpoint", "content_type": "json"},
    }
    path = f"{connection['host']}/channel/sms/{connection['extra']['touchpoint_token']}/enqueue"
    answer = pressnxpress.post(path, params={"apiKey": connection["password"]}, json={"phone": "+32470000001"})
    assert answer.status_code == 200


def test_request_log_masks_both_and_shows_the_rest(sandbox: Any, pressnxpress: Any) -> None:
    pressnxpress.mail(email="jane@example.com")
    (entry,) = sandbox.requests(vendor="pressnxpress")
    assert entry["path"] == "/pressnxpress/channel/mail/***/enqueue"
    assert entry["query"] == "apiKey=***"
    assert (entry["operation"], entry["status"], entry["messages"]) == ("enqueue_email", 200, 1)


@pytest.mark.parametrize(
    ("touchpoint", "query"),
    [
        ("hidden-1", "apiKey=sandbox-api-key"),
        ("sandbox-touchpoint", "apiKey=hidden-2"),
        ("hidden%2F1", "apikey=hidden-2"),
    ],
)
def test_request_log_masks_wrong_ones_too(sandbox: Any, pressnxpress: Any, touchpoint: str, query: str) -> None:
    pressnxpress.enqueue("sms", {"phone": "+32470000001"}, touchpoint=touchpoint, query=query)
    text = json.dumps(sandbox.requests(vendor="pressnxpress"))
    for secret in ("hidden", "sandbox-touchpoint", "sandbox-api-key"):
        assert secret not in text


def test_request_log_masks_the_path_of_a_wrong_method(sandbox: Any, pressnxpress: Any) -> None:
    assert pressnxpress.get(URL.format("hidden")).status_code == 405
    assert "hidden" not in json.dumps(sandbox.requests(vendor="pressnxpress"))


def test_deliveries_show_neither(sandbox: Any, pressnxpress: Any) -> None:
    pressnxpress.mail(email="jane@example.com")
    text = json.dumps(sandbox.deliveries(vendor="pressnxpress"))
    assert "sandbox-touchpoint" not in text
    assert "sandbox-api-key" not in text


def test_errors_repeat_no_secret_unless_told_to(sandbox: Any, pressnxpress: Any) -> None:
    asked = {"touchpoint": "sandbox-touchpoint", "query": "apiKey=hidden"}
    assert "hidden" not in pressnxpress.enqueue("mail", {}, **asked).text
    sandbox.settings("pressnxpress", echo_url=True)
    message = pressnxpress.enqueue("mail", {}, **asked).json()["message"]
    assert message.startswith(f"{pressnxpress.base_url}channel/mail/sandbox-touchpoint/enqueue?apiKey=hidden: ")
