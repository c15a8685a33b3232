"""From a bounce to the blacklist: the vendor's webhook, the receiver, segments, a watcher, a DAG, on a real Airflow."""

from __future__ import annotations

import secrets
import sqlite3
import statistics
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from airflow_provider_messaging.core.auth import TOKENS
from airflow_provider_messaging.core.times import parse_timestamp
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.sandbox.process import Sandbox
from dev.local_airflow import LocalAirflow
from dev.processes import Child, free_port, stop, wait_until

EXAMPLE = "marigold_webhook_blacklist"
ASSET = "marigold_webhooks"
SEAL_SECONDS = 1
"""Of feedback, and of messages sent. The default for feedback is 5."""


@pytest.fixture
def receiver(airflow: LocalAirflow, sandbox_process: Sandbox, data_dir: Path, tmp_path: Path) -> Iterator[None]:
    """A receiver that the sandbox posts to, with the folder that the example watches."""
    sandbox_process.reset()
    TOKENS.reset()
    secret, port = secrets.token_urlsafe(24), free_port()
    env = {
        **airflow.env,
        "AIRFLOW__MESSAGING__WEBHOOKS_PATH": str(data_dir / "webhooks"),
        "AIRFLOW__MESSAGING__WEBHOOKS_INBOX": f"sqlite:///{tmp_path / 'inbox.db'}",
        "AIRFLOW__MESSAGING__WEBHOOKS_SECRET": secret,
        "AIRFLOW__MESSAGING__WEBHOOKS_SEAL_SECONDS": str(SEAL_SECONDS),
        "AIRFLOW__MESSAGING__WEBHOOKS_SEAL_SECONDS_DELIVERIES": str(SEAL_SECONDS),
    }
    command = [sys.executable, "-m", "airflow_provider_messaging.webhooks", "--port", str(port)]
    child = Child("receiver", command, env=env, log=tmp_path / "receiver.log")
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(url, child), timeout=60, what="the receiver")
        sandbox_process.subscribe(f"{url}/marigold", headers={"X-Webhook-Secret": secret})
        yield
    finally:
        sandbox_process.reset()
        stop([child])


def answers(url: str, child: Child) -> bool:
    child.check()
    try:
        return httpx.get(f"{url}/health", trust_env=False, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def watching(airflow: LocalAirflow) -> Iterator[None]:
    """The example, switched on for the test."""
    client = airflow.client
    client.wait_for_dag(EXAMPLE)
    client.pause(EXAMPLE, False)

    def is_on() -> bool:
        found = client.get("/api/v2/assets", name_pattern=ASSET, limit=10)["assets"]
        return any(
            client.get(f"/api/v2/assets/{asset['id']}/state-store")["total_entries"]
            for asset in found
            if asset["name"] == ASSET
        )

    try:
        wait_until(is_on, timeout=60, what="the watcher", every=0.5)
        yield
    finally:
        client.pause(EXAMPLE, True)


def bring(*recipients: str) -> None:
    row = {"from": "news@example.com", "subject": "Hi", "text": "Hello"}
    with MarigoldHook() as hook:
        hook.send_email(
            [{**row, "reference": f"webhook-{secrets.token_hex(6)}", "to": recipient} for recipient in recipients]
        )


def listed(sandbox: Sandbox) -> dict[str, dict[str, Any]]:
    return {entry["email"]: entry for entry in sandbox.state("blacklist", vendor="engageone")}


def loaded(data_dir: Path) -> int:
    try:
        with closing(sqlite3.connect(f"file:{quote(str(data_dir / 'messaging.db'))}?mode=ro", uri=True)) as database:
            return int(database.execute("SELECT count(*) FROM email_feedback_webhook").fetchone()[0])
    except sqlite3.OperationalError:
        return -1


@pytest.mark.timeout(420)
@pytest.mark.usefixtures("receiver", "watching")
def test_a_bounce_puts_its_address_on_the_blacklist_within_seconds(
    airflow: LocalAirflow, sandbox_process: Sandbox, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in sandbox_process.connections.items():
        monkeypatch.setenv(name, value)
    seconds: list[float] = []
    for number in range(6):
        address = f"hard-bounce+{number}@example.com"
        bring(address, f"ada+{number}@example.com")
        wait_until(lambda address=address: address in listed(sandbox_process), timeout=120, what=address, every=0.1)
        (happened,) = [
            entry["event"]["data"]["timestamp"]
            for entry in sandbox_process.state("webhook_events", vendor="marigold")
            if entry["event"]["data"].get("recipient") == address
        ]
        seconds.append(listed(sandbox_process)[address]["at"] - parse_timestamp(happened).timestamp())
        # Wait out the run: what is measured is a bounce that finds an idle Airflow.
        wait_until(lambda: is_idle(airflow), timeout=60, what="the end of the run", every=0.2)
    print(
        f"from the bounce to the blacklist: {', '.join(f'{each:.1f}' for each in sorted(seconds))} s, "
        f"median {statistics.median(seconds):.1f} s"
    )
    assert max(seconds) < 120

    # Whoever wrote back is found through the events of messages sent.
    bring("complaint+1@example.com", "unsubscribe+1@example.com", "soft-bounce+1@example.com")
    wanted = {"complaint+1@example.com": "Complaint", "unsubscribe+1@example.com": "Recipient Unsubscribed"}
    wait_until(lambda: listed(sandbox_process).keys() >= wanted.keys(), timeout=120, what="who wrote back", every=0.5)
    entries = listed(sandbox_process)
    assert {address: entries[address]["reason"] for address in wanted} == wanted
    assert {entry["reason"] for address, entry in entries.items() if "hard" in address} == {"Hard Bounce"}
    assert not [address for address in entries if address.startswith(("ada", "soft"))]
    wait_until(lambda: loaded(data_dir) == 9, timeout=120, what="all feedback in the table", every=0.5)
    assert sandbox_process.state("dead_letters", vendor="marigold") == []


def is_idle(airflow: LocalAirflow) -> bool:
    runs = airflow.client.get(f"/api/v2/dags/{EXAMPLE}/dagRuns", limit=100)["dag_runs"]
    assert not [run for run in runs if run["state"] == "failed"]
    return bool(runs) and {run["state"] for run in runs} == {"success"}
