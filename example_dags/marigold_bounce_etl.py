"""Send a batch of e-mails, wait for bounces, land the feedback as files and load it into a database.

Needs the connections ``marigold_default`` and ``messaging_db`` (any SQL database); ``make demo`` and ``make airflow``
bring both. Files go below the folder that the environment variable ``MESSAGING_DEMO_DIR`` names.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG

from airflow_provider_messaging.operators.marigold import SendEmailBatchOperator
from airflow_provider_messaging.sensors.marigold import BounceSensor
from airflow_provider_messaging.transfers.marigold import FeedbackToObjectStorageOperator, FeedbackToSqlOperator

MESSAGES = Path(__file__).parent / "data" / "messages.ndjson"
FOLDER = os.environ.get("MESSAGING_DEMO_DIR", "/tmp/messaging")

with DAG(
    dag_id="marigold_bounce_etl",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10)},
    tags=["marigold", "example"],
    doc_md=__doc__,
    params={"wait_for": 1},
):
    send = SendEmailBatchOperator(
        task_id="send",
        messages_path=str(MESSAGES),
        manifest_path=FOLDER + "/{{ run_id }}/manifest.ndjson",
        rejects_path=FOLDER + "/{{ run_id }}/rejects.ndjson",
        on_rejected="continue",
    )
    wait_for_bounces = BounceSensor(
        task_id="wait_for_bounces",
        kinds=("bounces", "complaints", "list_unsubscribes"),
        min_count="{{ params.wait_for }}",
        poke_interval=5,
        timeout=600,
        deferrable=True,
    )
    land = FeedbackToObjectStorageOperator(
        task_id="land_feedback",
        path=FOLDER + "/feedback",
        # The sensor has seen that everything is there. An hourly ETL leaves the vendor some time.
        lag=0,
    )
    load = FeedbackToSqlOperator(
        task_id="load_feedback",
        source_path=land.output,
        table="email_feedback",
        sql_conn_id="messaging_db",
        create_table=True,
    )

    send >> wait_for_bounces >> land >> load
