from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from airflow_provider_messaging.sandbox.process import Sandbox


class Pressnxpress(httpx.Client):
    """A plain client of the vendor, and a short name for each call the tests make often."""

    def __init__(self, url: str) -> None:
        super().__init__(base_url=f"{url}/pressnxpress", timeout=10, trust_env=False)

    def enqueue(
        self,
        channel: str,
        contact: object = None,
        /,
        *,
        touchpoint: str = "sandbox-touchpoint",
        query: object = "apiKey=sandbox-api-key",
        **body: Any,
    ) -> httpx.Response:
        body = body or {"json": contact}
        return self.post(f"/channel/{channel}/{touchpoint}/enqueue", params=query, **body)

    def mail(self, **contact: Any) -> httpx.Response:
        return self.enqueue("mail", contact)

    def sms(self, **contact: Any) -> httpx.Response:
        return self.enqueue("sms", contact)


@pytest.fixture
def pressnxpress(sandbox: Sandbox) -> Iterator[Pressnxpress]:
    with closing(Pressnxpress(sandbox.url)) as client:
        yield client
