"""The receiver as a plugin of Airflow: off by default, and never in Airflow's way."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from airflow_provider_messaging.provider_info import get_provider_info
from airflow_provider_messaging.webhooks.plugin import URL_PREFIX, WebhooksPlugin
from dev.processes import wait_until
from tests.webhooks.running import SECRET, event

pytestmark = pytest.mark.filterwarnings("ignore:Using `httpx` with `starlette.testclient` is deprecated")


def option(monkeypatch: pytest.MonkeyPatch, **options: str) -> None:
    for name, value in options.items():
        monkeypatch.setenv(f"AIRFLOW__MESSAGING__WEBHOOKS_{name.upper()}", value)


@pytest.fixture
def plugin() -> type[WebhooksPlugin]:
    """A plugin that nobody has loaded yet."""
    return type("Fresh", (WebhooksPlugin,), {})


def until(condition: Callable[[], bool]) -> None:
    """It starts, and lands, in its own time."""
    wait_until(condition, timeout=60, what="the mounted receiver", every=0.05)


def api_server(plugin: type[WebhooksPlugin]) -> FastAPI:
    """An application with the plugin's parts where Airflow's API server puts them."""
    app = FastAPI()
    app.add_api_route("/ours", lambda: "airflow")
    for mounted in plugin.fastapi_apps:
        app.mount(mounted["url_prefix"], mounted["app"])
    for middleware in plugin.fastapi_root_middlewares:
        app.add_middleware(middleware["middleware"], **middleware["kwargs"])
    return app


def test_airflow_finds_the_plugin() -> None:
    (named,) = (each for each in entry_points(group="airflow.plugins") if each.name == WebhooksPlugin.name)
    assert named.load() is WebhooksPlugin


def test_switched_off_it_mounts_nothing(plugin: type[WebhooksPlugin]) -> None:
    plugin.on_load()
    assert plugin.fastapi_apps == []
    assert plugin.fastapi_root_middlewares == []


@pytest.mark.parametrize("enabled", ["False", "True"])
def test_loading_it_imports_nothing_of_the_receiver(enabled: str) -> None:
    script = (
        "import sys, airflow.plugins_manager\n"
        "before = set(sys.modules)\n"
        "from airflow_provider_messaging.webhooks.plugin import WebhooksPlugin\n"
        "WebhooksPlugin.on_load()\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(new & {'fastapi', 'uvicorn', 'cloudevents', 'sqlalchemy', 'aiohttp', 'requests'}))\n"
        "print(sorted(name for name in sys.modules if name.startswith('airflow_provider_messaging.webhooks.')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"AIRFLOW__MESSAGING__WEBHOOKS_ENABLED": enabled},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    heavy, ours = done.stdout.splitlines()[-2:]
    assert heavy == "[]"
    names = [f"airflow_provider_messaging.webhooks.{name}" for name in ("plugin", "settings")]
    assert ours == str(names)


def test_a_switch_that_makes_no_sense_leaves_it_off(
    plugin: type[WebhooksPlugin], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    option(monkeypatch, enabled="perhaps")
    plugin.on_load()
    assert plugin.fastapi_apps == []
    assert "webhooks_enabled" in caplog.text


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "[messaging] webhooks_path is not set"),
        ({"path": "/tmp/x"}, "[messaging] webhooks_inbox and webhooks_inbox_conn_id are not set"),
        ({"path": "/tmp/x", "inbox": "sqlite://"}, "[messaging] webhooks_secret is not set"),
        ({"path": "/tmp/x", "inbox": "sqlite://", "secret": "short"}, "at least 16 characters"),
        ({"path": "/tmp/x", "inbox": "mysql://u:hidden@h/d", "secret": SECRET}, "must be PostgreSQL or SQLite"),
        ({"path": "/tmp/x", "inbox_conn_id": "nowhere", "secret": SECRET}, "names 'nowhere'"),
        ({"path": "/tmp/x", "inbox": "sqlite://", "secret": SECRET, "seal_events": "many"}, "webhooks_seal_events"),
        ({"path": "/tmp/x", "inbox": "sqlite://", "secret": SECRET, "retention_days": "1"}, "at least 2"),
        (
            {"path": "/tmp/x", "inbox": "postgresql://u:hidden@127.0.0.1:1/d", "secret": SECRET},
            "OperationalError",
        ),
    ],
)
def test_what_is_wrong_with_its_settings_is_logged_and_airflow_goes_on(
    plugin: type[WebhooksPlugin],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    options: dict[str, str],
    says: str,
) -> None:
    option(monkeypatch, enabled="True", **options)
    caplog.set_level(logging.INFO)
    plugin.on_load()
    with TestClient(api_server(plugin)) as client:
        assert client.get("/ours").json() == "airflow"
        until(lambda: "Webhooks are not received" in caplog.text)
        answer = client.post(f"{URL_PREFIX}/marigold", json={})
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "30"
        assert client.get("/ours").json() == "airflow"
    assert says in caplog.text
    assert "hidden" not in caplog.text
    assert SECRET not in caplog.text


def test_switched_on_it_receives_and_lands(
    plugin: type[WebhooksPlugin], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    inbox = json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "inbox.db")})
    monkeypatch.setenv("AIRFLOW_CONN_INBOX", inbox)
    option(monkeypatch, enabled="True", path=str(tmp_path / "lake"), inbox_conn_id="inbox", secret=SECRET)
    option(monkeypatch, seal_seconds="0.1")
    plugin.on_load()
    with TestClient(api_server(plugin)) as client:
        headers = {"X-Webhook-Secret": SECRET}
        until(lambda: client.get(f"{URL_PREFIX}/health").status_code == 200)
        assert client.post(f"{URL_PREFIX}/marigold", json=event("1")).status_code == 401
        assert client.post(f"{URL_PREFIX}/marigold", json=event("1"), headers=headers).json()["new"] == 1
        assert client.get(f"{URL_PREFIX}/health").json()["status"] == "ok"
        until(lambda: "messaging_webhooks_inbox_events 0" in client.get(f"{URL_PREFIX}/metrics").text)
        assert client.get("/ours").json() == "airflow"
    (segment,) = (tmp_path / "lake").rglob("*.ndjson")
    assert json.loads(segment.read_text())["id"] == "1"


def test_without_being_told_of_the_start_it_starts_at_the_first_request(
    plugin: type[WebhooksPlugin], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    option(monkeypatch, enabled="True", path=str(tmp_path), inbox=f"sqlite:///{tmp_path}/inbox.db", secret=SECRET)
    plugin.on_load()
    app = FastAPI()
    (mounted,) = plugin.fastapi_apps
    app.mount(mounted["url_prefix"], mounted["app"])
    with TestClient(app) as client:
        until(lambda: client.get(f"{URL_PREFIX}/health").status_code == 200)
        client.portal.call(mounted["app"].stop)  # type: ignore[union-attr]


def test_secrets_are_marked_as_such_in_the_metadata() -> None:
    options = get_provider_info()["config"]["messaging"]["options"]
    sensitive = {name for name, each in options.items() if each.get("sensitive")}
    assert sensitive == {"webhooks_secret", "webhooks_secret_previous", "webhooks_inbox"}
