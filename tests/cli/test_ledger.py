"""``airflow-messaging ledger show`` where Airflow keeps no ledgers; with ledgers: tests/e2e/test_cli_ledger.py."""

from __future__ import annotations

import pytest

from tests.cli.commands import run
from tests.conftest import AIRFLOW_VERSION


@pytest.mark.skipif(AIRFLOW_VERSION.release >= (3, 3), reason="this Airflow has a task state store")
def test_an_older_airflow_is_named_as_the_reason() -> None:
    done = run("ledger", "show", "dag", "run", "task", code=2)
    assert f"Airflow {AIRFLOW_VERSION} has no task state store, where ledgers are kept; it came with 3.3" in done.err


@pytest.mark.airflow33
def test_a_task_that_airflow_does_not_know_is_a_usage_error(airflow_db: object) -> None:
    done = run("ledger", "show", "dag", "run", "task", code=2)
    assert "Airflow knows no task task of dag, run run" in done.err
