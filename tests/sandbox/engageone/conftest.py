from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from airflow_provider_messaging.sandbox.process import Sandbox

CUSTOMER = "eocm-Sandbox-Company"
CREDENTIALS = {"client_id": "sandbox-client", "secret": "sandbox-secret", "customer_id": CUSTOMER}
Document = dict[str, Any]


class EngageOne:
    """Plain clients of the vendor: ``private`` with a token, ``public`` without credentials."""

    def __init__(self, url: str) -> None:
        self.public = httpx.Client(base_url=f"{url}/engageone", timeout=30, trust_env=False)
        self.private = httpx.Client(base_url=f"{url}/engageone", timeout=30, trust_env=False)
        self.login()

    def close(self) -> None:
        self.public.close()
        self.private.close()

    def authenticate(self, **changes: Any) -> httpx.Response:
        return self.public.post("/users/authenticate", json={**CREDENTIALS, **changes})

    def login(self, customer: str = CUSTOMER) -> None:
        answer = self.authenticate(customer_id=customer)
        assert answer.status_code == 200, answer.text
        self.private.headers.update({"Authorization": f"Bearer {answer.json()}", "PB-Customer-Id": customer})

    def send(self, *records: Document, campaign: str = "welcome", **changes: Any) -> httpx.Response:
        body = {"communication": "Example", "dataset": list(records), "email_json_path": "email", **changes}
        return self.private.post(f"/private/campaigns/v2/{campaign}/transactional", json=body)

    def status(self, send_id: str) -> Document:
        document: Document = self.private.get(f"/private/campaigns/transactional/{send_id}/status").json()
        return document

    def blacklist(self, email: str, **more: Any) -> httpx.Response:
        return self.public.post("/public/blacklist", json={"email": email, **more})


@pytest.fixture
def engageone(sandbox: Sandbox) -> Iterator[EngageOne]:
    with closing(EngageOne(sandbox.url)) as client:
        yield client
