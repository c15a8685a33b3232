"""What all tests share: an Airflow home of their own, the sandbox, and services that may be there or not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import hypothesis
import pytest
from packaging.version import Version
from xdist.scheduler import LoadFileScheduling

ROOT = Path(__file__).resolve().parent.parent
AIRFLOW_VERSION = Version(version("apache-airflow"))
END_TO_END = ROOT / "tests" / "e2e"
SERVICE_MARKS = ("mysql", "postgres", "e2e")


def _own_airflow_home() -> Path:
    """A new AIRFLOW_HOME, set before anything imports Airflow, which reads it once."""
    parent = ROOT / ".airflow"
    parent.mkdir(exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="unit-", dir=parent))
    for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
        del os.environ[name]
    os.environ |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }
    return home


HOME = _own_airflow_home()

# How fast the machine is proves nothing.
hypothesis.settings.register_profile("suite", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("suite")


def pytest_unconfigure() -> None:
    shutil.rmtree(HOME, ignore_errors=True)


def pytest_report_header() -> list[str]:
    required = "required" if services_required() else "optional"
    return [f"apache-airflow {AIRFLOW_VERSION}, services are {required}"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by what they use, skip those that need a newer Airflow, and put those that take longest first."""
    items.sort(key=lambda item: END_TO_END not in item.path.parents)
    for item in items:
        for service in ("mysql", "postgres"):
            if f"{service}_url" in getattr(item, "fixturenames", ()):
                item.add_marker(service)
        if too_old := newer_airflow_of(item):
            item.add_marker(pytest.mark.skip(reason=f"needs Airflow {too_old}, this is {AIRFLOW_VERSION}"))


def newer_airflow_of(item: pytest.Item) -> Version | None:
    """The Airflow that a test needs, where this one is older."""
    names = {mark.name for mark in item.iter_markers()} & {"airflow31", "airflow32", "airflow33"}
    needed = max((Version(f"{name[-2]}.{name[-1]}") for name in names), default=AIRFLOW_VERSION)
    return needed if needed > AIRFLOW_VERSION else None


class _ByModule(LoadFileScheduling):
    """A module's tests stay in one process, and so do all that share the one running Airflow."""

    def _split_scope(self, nodeid: str) -> str:
        return "e2e" if nodeid.startswith("tests/e2e/") else str(super()._split_scope(nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _ByModule:
    return _ByModule(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Where services are required, a service test that skips has failed, unless this Airflow is too old for it."""
    report: Any = yield
    is_service = any(map(item.get_closest_marker, SERVICE_MARKS))
    if report.skipped and services_required() and is_service and newer_airflow_of(item) is None:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} skipped although MESSAGING_REQUIRE_SERVICES is set: {reason}"
    return report


def services_required() -> bool:
    """Whether a service that does not answer is a failure, as it is in CI."""
    return os.environ.get("MESSAGING_REQUIRE_SERVICES", "") not in {"", "0"}


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """URL of a PostgreSQL database to which tests may add schemas and tables, to be dropped again."""
    psycopg2 = pytest.importorskip("psycopg2", reason="psycopg2 is not installed: the extra 'postgres'")
    url = os.environ.get("MESSAGING_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/test")
    try:
        psycopg2.connect(url, connect_timeout=3).close()
    except psycopg2.OperationalError as error:
        pytest.skip(f"no PostgreSQL answers, MESSAGING_TEST_POSTGRES_URL names one: {str(error).strip()}")
    return url


@pytest.fixture(scope="session")
def mysql_url() -> str:
    """URL of a MySQL or MariaDB database to which tests may add tables, to be dropped again; an Airflow connection."""
    pytest.importorskip("airflow.providers.mysql", reason="Airflow's MySQL provider is not installed: extra 'mysql'")
    connector = pytest.importorskip("mysql.connector", reason="mysql-connector-python is not installed")
    url = os.environ.get("MESSAGING_TEST_MYSQL_URL", "mysql://root@127.0.0.1:3306/test?client=mysql-connector-python")
    parts = urlsplit(url)
    try:
        connector.connect(
            host=parts.hostname,
            port=parts.port or 3306,
            user=parts.username,
            password=parts.password or "",
            database=parts.path.strip("/"),
            connection_timeout=3,
        ).close()
    except connector.Error as error:
        pytest.skip(f"no MySQL answers, MESSAGING_TEST_MYSQL_URL names one: {error}")
    return url


@pytest.fixture(scope="session")
def airflow_db() -> Path:
    """The metadata database that ``dag.test()`` needs, migrated; the folder is AIRFLOW_HOME."""
    subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
    )
    return HOME


@pytest.fixture(scope="session")
def sandbox_process() -> Iterator[Any]:
    """The sandbox, as one process for all tests; `sandbox` is the one to use."""
    from airflow_provider_messaging.sandbox.process import running_sandbox

    with running_sandbox() as running:
        yield running


@pytest.fixture
def sandbox(sandbox_process: Any) -> Any:
    """A sandbox that has forgotten all earlier tests: deliveries, requests, tokens, faults, settings."""
    sandbox_process.reset()
    return sandbox_process


@pytest.fixture
def connections(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default connections of all vendors: hooks and operators find the sandbox."""
    for name, value in sandbox.connections.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def marigold_conn(connections: None) -> str:
    """The id of a connection to the sandbox."""
    return "marigold_default"
