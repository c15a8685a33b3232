from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import httpx
import pytest

from airflow_provider_messaging.sandbox.process import Sandbox

CREDENTIALS = {
    "client_id": "sandbox",
    "client_secret": "sandbox-secret",
    "account_id": "sandbox-account",
    "grant_type": "client_credentials",
    "audience": "https://sdc.slgnt.eu",
}
ABSENT = object()
Document = dict[str, Any]
Build = Callable[..., Document]


class Marigold(httpx.Client):
    """A plain client of the vendor with a token, and a short name for each call the tests make often."""

    def __init__(self, url: str) -> None:
        super().__init__(base_url=f"{url}/marigold", timeout=10, trust_env=False)
        self.login()

    def login(self, **changes: Any) -> None:
        self.headers.pop("Authorization", None)
        answer = self.post("/oauth/token", json={**CREDENTIALS, **changes})
        assert answer.status_code == 200, answer.text
        self.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def send_email(self, *messages: Document) -> httpx.Response:
        return self.post("/api/email/v1/messages/send", json=list(messages))

    def send_push(self, *messages: Document) -> httpx.Response:
        return self.post("/api/mobile/v1/messages/push/send", json=list(messages))

    def track(self, reference: str) -> httpx.Response:
        return self.get(f"/api/tracking/v1/messages/{reference}")

    def feedback(self, kind: str, **query: Any) -> httpx.Response:
        named = {{"top": "$top", "skip": "$skip"}.get(name, name): value for name, value in query.items()}
        return self.get(f"/api/bounces/v1/{kind}", params=named)


def day_of(row: Document, days: int = 0) -> str:
    """The day of a row, or one so many days later. A test that asked its own clock would be wrong at midnight."""
    return str(datetime.fromisoformat(row["timestamp"][:26]).date() + timedelta(days))


@pytest.fixture
def marigold(sandbox: Sandbox) -> Iterator[Marigold]:
    with closing(Marigold(sandbox.url)) as client:
        yield client


def built(document: Document, reference: object = None, /, **changes: Any) -> Document:
    """A copy with another reference, and with values set, or removed by ``ABSENT``, at paths."""
    made = copy.deepcopy(document)
    if reference is not None:
        made["reference"] = reference
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = made
        for parent in parents:
            place = place[parent]
        if value is ABSENT:
            del place[last]
        else:
            place[last] = value
    return made


EMAIL: Document = {
    "reference": "ref-1",
    "content": {
        "html": "<p>Hello</p>",
        "text": "Hello",
        "attachments": [{"file_name": "a.txt", "data": "aGVsbG8=", "mime_type": "text/plain"}],
    },
    "headers": {
        "subject": "Hello",
        "to": {"alias": "Jane Doe", "address": "jane.doe@example.com"},
        "from": {"alias": "News", "address": "news@example.com"},
        "reply": {"address": "reply@example.com"},
        "list_unsubscribe": "<https://www.example.com/u?id=1>",
        "optional": [{"name": "X-Campaign", "value": "spring"}],
    },
    "context": {"tags": ["spring"], "metadata": '{"name":"john"}', "profile": "LIST.1"},
    "custom_send_time": None,
    "time_to_live": "P2D",
    "archive_enabled": None,
    "archive_duration": "P30D",
    "priority": "high",
}
PUSH: Document = {
    "reference": "push-1",
    "token": "device-token",
    "type": "Push",
    "provider": "apple",
    "content": {"title": "Hello", "body": "World"},
    "context": {"tags": ["spring"], "profile": "LIST.1"},
}


@pytest.fixture
def email() -> Build:
    """Builds a valid e-mail message that uses every field, changed by path: ``context__profile="LIST.2"``."""
    return partial(built, EMAIL)


@pytest.fixture
def push() -> Build:
    """Builds a valid push message, changed by path."""
    return partial(built, PUSH)


@pytest.fixture
def absent() -> object:
    return ABSENT
