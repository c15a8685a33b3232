"""One real Airflow for all end-to-end tests: it takes some 20 seconds to start."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dev.browser import NoBrowser, running_browser
from dev.local_airflow import LocalAirflow

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Where the DAGs read and write: MESSAGING_DEMO_DIR, and the SQLite database behind ``messaging_db``."""
    folder = ROOT / ".airflow" / "e2e-data"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


@pytest.fixture(scope="session")
def airflow(sandbox_process: Any, data_dir: Path) -> Iterator[LocalAirflow]:
    """A running Airflow with the example DAGs and those in tests/e2e/dags, connected to the sandbox."""
    folders = {"example-dags": ROOT / "example_dags", "test-dags": HERE / "dags"}
    bundles = [
        {
            "name": name,
            "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
            "kwargs": {"path": str(path)},
        }
        for name, path in folders.items()
        if path.is_dir()
    ]
    env = {
        **sandbox_process.connections,
        "AIRFLOW_CONN_MESSAGING_DB": json.dumps({"conn_type": "sqlite", "host": str(data_dir / "messaging.db")}),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
        "AIRFLOW__EMAIL__EMAIL_BACKEND": "airflow_provider_messaging.notifications.marigold.send_email",
        "AIRFLOW__EMAIL__FROM_EMAIL": "Airflow <airflow@example.com>",
        "MESSAGING_DEMO_DIR": str(data_dir),
        "MESSAGING_DEMO_LAG": "0",
        "AIRFLOW__MESSAGING__WEBHOOKS_ENABLED": "True",
        "AIRFLOW__MESSAGING__WEBHOOKS_PATH": str(data_dir / "mounted-webhooks"),
        "AIRFLOW__MESSAGING__WEBHOOKS_INBOX": f"sqlite:///{data_dir / 'webhooks.db'}",
        "AIRFLOW__MESSAGING__WEBHOOKS_SECRET": "a-secret-of-the-tests",
        "AIRFLOW__MESSAGING__WEBHOOKS_SEAL_SECONDS": "1",
    }
    with LocalAirflow(ROOT / ".airflow" / "e2e", ROOT / "example_dags", env) as running:
        yield running


# No longer than needed: while it runs, no event loop can run in its thread.
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    try:
        with running_browser() as running:
            yield running
    except NoBrowser as error:
        pytest.skip(str(error))
