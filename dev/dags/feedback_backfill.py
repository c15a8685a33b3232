"""The example DAG for `make backfill`: nothing but a backfill starts it, and what is killed is tried again at once."""

from __future__ import annotations

import os
import runpy
from datetime import datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG

EXAMPLE = Path(__file__).resolve().parents[2] / "example_dags" / "marigold_feedback_hourly.py"

dag: DAG = runpy.run_path(str(EXAMPLE))["dag"]
dag.catchup = False
dag.end_date = datetime.fromisoformat(os.environ.get("MESSAGING_BACKFILL_END", "2026-03-01T00:00:00+00:00"))
dag.is_paused_upon_creation = False
for task in dag.tasks:
    task.retries = 20
    task.retry_delay = timedelta(seconds=1)
