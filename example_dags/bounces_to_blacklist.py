"""Suppress who can't or won't be written to, hour by hour: feedback in, addresses onto EngageOne's blacklist.

Hard bounces, complaints and unsubscribes suppress at once, soft bounces when three messages to an address came back
within thirty days. Each run decides on what it landed; of soft bounces it counts those of the days before as well.

Needs the connections ``marigold_default`` and ``engageone_default``, and manifests of what was sent. Files go below the
folder that the environment variable ``MESSAGING_DEMO_DIR`` names. It is paused at first.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_messaging.operators.suppression import suppress_feedback
from airflow_provider_messaging.transfers.marigold import FeedbackToObjectStorageOperator

FOLDER = os.environ.get("MESSAGING_DEMO_DIR", "/tmp/messaging")
RUN_FOLDER = FOLDER + "/suppression/{{ run_id }}"

with DAG(
    dag_id="bounces_to_blacklist",
    schedule=CronDataIntervalTimetable("@hourly", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    is_paused_upon_creation=True,
    default_args={"retries": 5, "retry_delay": timedelta(minutes=5)},
    tags=["marigold", "engageone", "example"],
    doc_md=__doc__,
) as dag:
    land = FeedbackToObjectStorageOperator(
        task_id="land",
        path=FOLDER + "/feedback",
        look_back=timedelta(hours=6),
    )
    suppress = suppress_feedback(
        manifest_path=FOLDER + "/*/manifest.ndjson",
        source_path=FOLDER + "/feedback",
        addresses_path=RUN_FOLDER + "/addresses.ndjson",
        unattributed_path=RUN_FOLDER + "/unattributed.ndjson",
        suppressed_path=RUN_FOLDER + "/suppressed.ndjson",
        rejects_path=RUN_FOLDER + "/rejects.ndjson",
        since="{{ ti.xcom_pull('land')['start'] }}",
        max_concurrency=8,
        rate_limit=100,
    )

    land >> suppress
