"""DAGs for the end-to-end tests of links and deadlines."""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, AsyncCallback, DeadlineAlert, DeadlineReference, task

from airflow_provider_messaging.notifications.marigold import MarigoldEmailNotifier
from airflow_provider_messaging.operators.marigold import SendEmailBatchOperator

FOLDER = os.environ["MESSAGING_DEMO_DIR"]
SETTINGS: dict[str, Any] = {"schedule": None, "start_date": datetime(2026, 1, 1)}  # noqa: DTZ001


def message(number: int, **more: Any) -> dict[str, Any]:
    row = {"to": f"user{number}@example.com", "from": "shop@example.com", "subject": "Hello", "text": "Hello"}
    return {**row, **more}


with DAG("e2e_links", **SETTINGS):
    SendEmailBatchOperator.partial(
        task_id="mapped",
        manifest_path=FOLDER + "/{{ run_id }}/{{ ti.map_index }}-manifest.ndjson",
        rejects_path=FOLDER + "/{{ run_id }}/{{ ti.map_index }}-rejects.ndjson",
    ).expand(messages=[[message(1)], [message(2, to="nobody")]])
    SendEmailBatchOperator(
        task_id="nothing_written", messages=[message(1)], dry_run=True, manifest_path=FOLDER + "/never.ndjson"
    )

with DAG("e2e_blocked", **SETTINGS):
    SendEmailBatchOperator(task_id="send", messages=[message(3)], on_ambiguous="fail")

with DAG(
    "e2e_deadline",
    **SETTINGS,
    deadline=DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(seconds=1),
        callback=AsyncCallback(
            MarigoldEmailNotifier, {"to": "late@example.com", "from_email": "Airflow <airflow@example.com>"}
        ),
    ),
):

    @task
    def dawdle() -> None:
        time.sleep(10)

    dawdle()
