"""Send push messages, wait until the vendor is done with each, and read the statistics of the run.

Needs the connection ``marigold_default``; ``make airflow`` brings a sandbox. Files go below the folder that the
environment variable ``MESSAGING_DEMO_DIR`` names.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_messaging.operators.marigold import GetStatisticsOperator, SendPushBatchOperator
from airflow_provider_messaging.sensors.marigold import DeliverySensor

MANIFEST = os.environ.get("MESSAGING_DEMO_DIR", "/tmp/messaging") + "/push/{{ run_id }}/manifest.ndjson"

with DAG(
    dag_id="marigold_push_statistics",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10)},
    tags=["marigold", "example"],
    doc_md=__doc__,
):
    send = SendPushBatchOperator(
        task_id="send",
        messages=[
            {"token": f"device-{number}", "provider": "apple", "title": "Your order", "body": "It is on its way"}
            for number in range(20)
        ],
        manifest_path=MANIFEST,
    )
    done = DeliverySensor(
        task_id="wait_until_done",
        manifest_path=MANIFEST,
        state="final",
        poke_interval=5,
        timeout=600,
        deferrable=True,
    )
    statistics = GetStatisticsOperator(
        task_id="statistics",
        start="{{ (dag_run.start_date - macros.timedelta(minutes=1)).isoformat() }}",
        end="{{ (dag_run.start_date + macros.timedelta(days=1)).isoformat() }}",
    )

    send >> done >> statistics
