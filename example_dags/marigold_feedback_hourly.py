"""Land the feedback of each hour as files and load it into a table: the DAG that is scheduled once and runs for years.

Each run reads the hour of its data interval, fifteen minutes late, and the day before it again, because feedback comes
late. Runs may be done again, caught up and backfilled in any order; see docs/bounce-etl.md.

Needs the connections ``marigold_default`` and ``messaging_db`` (any SQL database). Files go below the folder that the
environment variable ``MESSAGING_DEMO_DIR`` names. It is paused at first: it would catch up since its start.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Asset
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_messaging.transfers.marigold import FeedbackToObjectStorageOperator, FeedbackToSqlOperator

FOLDER = os.environ.get("MESSAGING_DEMO_DIR", "/tmp/messaging")

with DAG(
    dag_id="marigold_feedback_hourly",
    schedule=CronDataIntervalTimetable("@hourly", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=True,
    max_active_runs=4,
    is_paused_upon_creation=True,
    default_args={"retries": 5, "retry_delay": timedelta(minutes=5)},
    tags=["marigold", "example"],
    doc_md=__doc__,
) as dag:
    land = FeedbackToObjectStorageOperator(
        task_id="land",
        path=FOLDER + "/feedback",
        lag=timedelta(minutes=15),
        look_back=timedelta(days=1),
    )
    load = FeedbackToSqlOperator(
        task_id="load",
        source_path=land.output,
        table="email_feedback",
        sql_conn_id="messaging_db",
        create_table=True,
        outlets=[Asset("email_feedback")],
    )

    land >> load
