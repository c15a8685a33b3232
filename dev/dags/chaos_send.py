"""A send that tells its process id, for `make chaos` to kill it."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param

from airflow_provider_messaging.operators.marigold import SendEmailBatchOperator

FOLDER = os.environ.get("MESSAGING_DEMO_DIR", "/tmp/messaging")


class TellingSend(SendEmailBatchOperator):
    """Appends a line with its pid to ``pids`` before it does anything."""

    def execute(self, context: Any) -> dict[str, Any]:
        with Path(FOLDER, "pids").open("a") as pids:
            pids.write(f"{os.getpid()}\n")
        return super().execute(context)


with DAG(
    dag_id="chaos_send",
    schedule=None,
    params={"messages": Param("", type="string")},
    max_active_runs=1,
):
    TellingSend(
        task_id="send",
        messages_path="{{ params.messages }}",
        manifest_path=FOLDER + "/{{ run_id }}.manifest.ndjson.gz",
        rejects_path=FOLDER + "/{{ run_id }}.rejects.ndjson",
        on_rejected="continue",
        reconcile_window=3,
        retries=12,
        retry_delay=timedelta(seconds=0),
    )
