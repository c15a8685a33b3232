"""One campaign through all four vendors: who can't be reached is blacklisted, who was reached is asked for feedback.

Marigold sends a batch of e-mails and tells what came back; EngageOne's blacklist takes the hard bounces, complaints and
unsubscribes; Press'nXPress asks all others for feedback; Messangi tells the operator by SMS.

Needs the connections ``marigold_default``, ``engageone_default``, ``pressnxpress_default``, ``messangi_default`` and
``messaging_db`` (any SQL database); ``make demo`` and ``make airflow`` bring them. Files go below the folder that the
environment variable ``MESSAGING_DEMO_DIR`` names.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG

from airflow_provider_messaging.notifications.messangi import MessangiNotifier
from airflow_provider_messaging.operators.marigold import SendEmailBatchOperator
from airflow_provider_messaging.operators.messangi import SendMessageOperator
from airflow_provider_messaging.operators.pressnxpress import EnqueueFeedbackOperator
from airflow_provider_messaging.operators.suppression import suppress_feedback
from airflow_provider_messaging.sensors.marigold import BounceSensor
from airflow_provider_messaging.transfers.marigold import FeedbackToObjectStorageOperator, FeedbackToSqlOperator

MESSAGES = Path(__file__).parent / "data" / "messages.ndjson"
FOLDER = os.environ.get("MESSAGING_DEMO_DIR", "/tmp/messaging")
RUN_FOLDER = FOLDER + "/{{ run_id }}"
OPERATOR = "+1 202 555 0123"

with DAG(
    dag_id="messaging_round_trip",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10)},
    on_failure_callback=MessangiNotifier(to=OPERATOR, sender="Messaging"),
    tags=["marigold", "engageone", "pressnxpress", "messangi", "example"],
    doc_md=__doc__,
    params={"wait_for": 1},
):
    send = SendEmailBatchOperator(
        task_id="send",
        messages_path=str(MESSAGES),
        manifest_path=RUN_FOLDER + "/manifest.ndjson",
        rejects_path=RUN_FOLDER + "/rejects.ndjson",
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
    # No lag: the sensor has seen that everything is there. An hourly ETL leaves the vendor some time.
    land = FeedbackToObjectStorageOperator(task_id="land_feedback", path=FOLDER + "/feedback", lag=0)
    load = FeedbackToSqlOperator(
        task_id="load_feedback",
        source_path=land.output,
        table="email_feedback",
        sql_conn_id="messaging_db",
        create_table=True,
    )
    suppress = suppress_feedback(
        manifest_path=send.output["manifest_path"],
        source_path=land.output,
        addresses_path=RUN_FOLDER + "/suppress.ndjson",
        reached_path=RUN_FOLDER + "/reached.ndjson",
        unattributed_path=RUN_FOLDER + "/unattributed.ndjson",
    )
    ask_for_feedback = EnqueueFeedbackOperator(
        task_id="ask_for_feedback",
        contacts_path=RUN_FOLDER + "/reached.ndjson",
        identifier="{{ reference }}",
        attributes={"campaign": "{{ dag.dag_id }}"},
        manifest_path=RUN_FOLDER + "/asked.ndjson",
        max_concurrency=16,
    )
    tell_the_operator = SendMessageOperator(
        task_id="tell_the_operator",
        channel="sms",
        sender="Messaging",
        to=OPERATOR,
        text=(
            "{{ ti.xcom_pull('send')['accepted'] }} sent, "
            "{{ ti.xcom_pull('suppress_feedback.blacklist')['accepted'] }} blacklisted, "
            "{{ ti.xcom_pull('ask_for_feedback')['accepted'] }} asked for feedback"
        ),
    )

    send >> wait_for_bounces >> land >> [load, suppress]
    suppress >> ask_for_feedback >> tell_the_operator
