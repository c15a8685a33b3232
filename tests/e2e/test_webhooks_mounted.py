"""The receiver inside Airflow's API server."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from dev.local_airflow import LocalAirflow

SECRET = "a-secret-of-the-tests"


def ask(airflow: LocalAirflow, path: str, document: object = None, secret: str = SECRET) -> Any:
    body = None if document is None else json.dumps(document).encode()
    headers = {"Content-Type": "application/json", "X-Webhook-Secret": secret}
    request = urllib.request.Request(f"{airflow.url}/messaging/webhooks{path}", body, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def test_an_event_posted_to_the_api_server_is_landed(airflow: LocalAirflow, data_dir: Path) -> None:
    event = {"id": "mounted", "source": "/sdc", "type": "com.sdc.bounces.email.bounced", "specversion": "1.0"}
    assert ask(airflow, "/marigold", event) == {"events": 1, "new": 1}
    assert ask(airflow, "/marigold", event) == {"events": 1, "new": 0}
    deadline = time.monotonic() + 60
    while not (found := list((data_dir / "mounted-webhooks").rglob("*.ndjson"))):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert json.loads(found[0].read_text())["id"] == "mounted"
    assert ask(airflow, "/health")["status"] == "ok"


def test_the_api_server_takes_no_event_without_the_secret(airflow: LocalAirflow) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(airflow, "/marigold", {}, secret="wrong")
    with caught.value as answer:
        assert answer.code == 401
