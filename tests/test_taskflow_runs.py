"""The operators among ``@task`` functions, executed by Airflow."""

from __future__ import annotations

import runpy
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_messaging.sandbox.process import Sandbox
from tests.contexts import fresh_tokens

__all__ = ["fresh_tokens"]

EXAMPLE = Path(__file__).resolve().parent.parent / "example_dags" / "marigold_taskflow.py"
SENT = {f"{name}-{number}@example.com" for name, count in (("gold", 3), ("silver", 5)) for number in range(count)}

pytestmark = [pytest.mark.usefixtures("connections"), pytest.mark.timeout(300)]


@pytest.fixture
def dag(airflow_db: Path) -> Iterator[Any]:
    """The example, from Airflow's own folder."""
    copy = airflow_db / "dags" / EXAMPLE.name
    copy.parent.mkdir(exist_ok=True)
    shutil.copyfile(EXAMPLE, copy)
    yield runpy.run_path(str(copy))["dag"]
    copy.unlink()


def run(dag: Any) -> str:
    return str(dag.test(logical_date=datetime.now(UTC)).state)


def test_mapped_sends_setup_teardown_and_hooks_in_functions_work_together(sandbox: Sandbox, dag: Any) -> None:
    assert run(dag) == "success"
    sent = sandbox.deliveries(vendor="marigold")
    assert Counter(each["recipient"] for each in sent) == Counter(SENT)
    # Both segments have a row 0: the map index keeps their references apart, as it does their ledgers.
    assert len({each["reference"] for each in sent}) == len(sent)
    assert all(each["tags"] == ["bonus"] for each in sent)
    operations = Counter(request["operation"] for request in sandbox.requests())
    assert (operations["create_list"], operations["list_subscribers"], operations["delete_list"]) == (1, 1, 1)
    assert sandbox.state("lists", vendor="messangi") == []


def test_a_teardown_cleans_up_after_a_send_that_failed(sandbox: Sandbox, dag: Any) -> None:
    sandbox.faults([{"operation": "send_email", "fault": "status", "status": 403, "body": "{}"}])
    assert run(dag) == "failed"
    assert sandbox.counts("marigold")["total"] == 0
    operations = Counter(request["operation"] for request in sandbox.requests())
    assert (operations["create_list"], operations["delete_list"]) == (1, 1)
    assert sandbox.state("lists", vendor="messangi") == []
