"""Ask everybody who bought something yesterday for feedback, once.

Needs the connection ``pressnxpress_default``; ``make airflow`` brings a sandbox. Files go below the folder that the
environment variable ``MESSAGING_DEMO_DIR`` names.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, task

from airflow_provider_messaging.operators.pressnxpress import EnqueueFeedbackOperator

FOLDER = os.environ.get("MESSAGING_DEMO_DIR", "/tmp/messaging") + "/feedback-requests/{{ run_id }}"

with DAG(
    dag_id="pressnxpress_feedback",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10)},
    tags=["pressnxpress", "example"],
    doc_md=__doc__,
):

    @task
    def orders() -> list[dict[str, str]]:
        """Stands for a query; one row spells an attribute differently, which would become a new attribute."""
        rows = [
            {"email": f"customer-{number}@example.com", "orderId": str(1000 + number), "firstname": "Ada"}
            for number in range(60)
        ]
        rows[17]["orderID"] = rows[17].pop("orderId")
        return rows

    EnqueueFeedbackOperator(
        task_id="ask",
        contacts=orders(),
        identifier="order-{{ orderId }}",
        attributes={"shop": "{{ dag.dag_id }}"},
        on_rejected="continue",
        manifest_path=FOLDER + "/manifest.ndjson",
        rejects_path=FOLDER + "/rejects.ndjson",
        max_concurrency=8,
    )
