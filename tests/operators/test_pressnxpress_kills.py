"""Workers that are killed in the middle of a task."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_messaging.sandbox.process import Sandbox
from tests.operators.enqueue_kills import enqueue_with_kills


@pytest.mark.slow
@pytest.mark.usefixtures("connections")
def test_a_task_that_is_killed_again_and_again_enqueues_nobody_twice_and_names_whom_it_may_have(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    account = enqueue_with_kills(sandbox, tmp_path, contacts=3_000, kills=4)
    account.check()
    assert account.throttled >= 8
