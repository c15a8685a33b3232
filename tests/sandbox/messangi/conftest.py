from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from airflow_provider_messaging.sandbox.process import Sandbox

LISTS = "/dothraki/v1/lists"
SMS = {"from": "12345", "to": "573001234567", "text": "Hello", "type": "MT"}
EMAIL = {"from": "news@example.com", "to": "jane.doe@example.com", "subject": "Hello", "text": "World"}
WHATSAPP = {"from": "12345", "to": "573001234567", "type": "text", "body": "Hello"}
NOTIFICATION = {"channel": "push", "request": {"title": "Hello", "anything": [1, {"at": "all"}]}}


class Messangi(httpx.Client):
    """A plain client of the vendor with its API key, and a short name for each call the tests make often."""

    def __init__(self, url: str) -> None:
        super().__init__(base_url=f"{url}/messangi", timeout=10, trust_env=False)
        self.use("sandbox-api-key")

    def use(self, token: str | None) -> None:
        self.headers.pop("Authorization", None)
        if token is not None:
            self.headers["Authorization"] = f"Bearer {token}"

    def login(self, username: object = "sandbox@example.com", password: object = "sandbox-password") -> httpx.Response:
        return self.post("/kingslanding/login", json={"username": username, "password": password})

    def sms(self, **changes: Any) -> httpx.Response:
        return self.post("/raven/v2/messages", json={**SMS, **changes})

    def email(self, **changes: Any) -> httpx.Response:
        return self.post("/crowsnest/v2/emails", json={**EMAIL, **changes})

    def whatsapp(self, **changes: Any) -> httpx.Response:
        return self.post("/balerion/v3/messages", json={**WHATSAPP, **changes})

    def notification(self, **changes: Any) -> httpx.Response:
        return self.post("/oberyn/v2/notification", json={**NOTIFICATION, **changes})

    def look_up(self, message_id: str) -> httpx.Response:
        return self.get(f"/raven/v2/messages/{message_id}")

    def new_list(self, name: str = "News") -> str:
        """The path of a new list's subscribers."""
        answer = self.post(LISTS, json={"name": name})
        assert answer.status_code == 201, answer.text
        return f"{LISTS}/{answer.json()['data']['id']}/subscribers"


@pytest.fixture
def messangi(sandbox: Sandbox) -> Iterator[Messangi]:
    with closing(Messangi(sandbox.url)) as client:
        yield client
