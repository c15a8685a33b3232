"""The example DAG for `make backfill`: nothing but a backfill starts it, and what is killed is tried again at once."""

from __future__ import annotations

import os
import runpy
from datetime import datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG

from airflow_provider_messaging.transfers.marigold import FeedbackToSqlOperator

EXAMPLE = Path(__file__).resolve().parents[2] / "example_dags" / "marigold_feedback_hourly.py"
FOLDER = os.environ.get("MESSAGING_DEMO_DIR", "/tmp/messaging")

dag: DAG = runpy.run_path(str(EXAMPLE))["dag"]
dag.catchup = False
dag.end_date = datetime.fromisoformat(os.environ.get("MESSAGING_BACKFILL_END", "2026-03-01T00:00:00+00:00"))
for task in dag.tasks:
    task.retries = 20
    task.retry_delay = timedelta(seconds=1)

with DAG(dag_id="feedback_anew", schedule=None):
    FeedbackToSqlOperator(
        task_id="load",
        source_path=FOLDER + "/feedback",
        table="email_feedback_anew",
        sql_conn_id="messaging_db",
        create_table=True,
    )
