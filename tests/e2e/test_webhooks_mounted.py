"""The receiver inside Airflow's API server."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from dev.local_airflow import LocalAirflow
from dev.processes import wait_until

SECRET = "a-secret-of-the-tests"


def ask(airflow: LocalAirflow, path: str, document: object = None, secret: str = SECRET) -> Any:
    body = None if document is None else json.dumps(document).encode()
    headers = {"Content-Type": "application/json", "X-Webhook-Secret": secret}
    request = urllib.request.Request(f"{airflow.url}/messaging/webhooks{path}", body, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def is_up(airflow: LocalAirflow) -> bool:
    try:
        return bool(ask(airflow, "/health")["status"] == "ok")
    except urllib.error.HTTPError as error:
        error.close()
        return False


def test_an_event_posted_to_the_api_server_is_landed(airflow: LocalAirflow, data_dir: Path) -> None:
    event = {"id": "mounted", "source": "/sdc", "type": "com.sdc.bounces.email.bounced", "specversion": "1.0"}
    wait_until(lambda: is_up(airflow), timeout=60, what="the mounted receiver")
    assert ask(airflow, "/marigold", event) == {"events": 1, "new": 1}
    assert ask(airflow, "/marigold", event) == {"events": 1, "new": 0}
    folder = data_dir / "mounted-webhooks"
    wait_until(lambda: any(folder.rglob("*.ndjson")), timeout=60, what="the segment")
    (found,) = folder.rglob("*.ndjson")
    assert json.loads(found.read_text())["id"] == "mounted"


def test_the_api_server_takes_no_event_without_the_secret(airflow: LocalAirflow) -> None:
    wait_until(lambda: is_up(airflow), timeout=60, what="the mounted receiver")
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(airflow, "/marigold", {}, secret="wrong")
    with caught.value as answer:
        assert answer.code == 401
