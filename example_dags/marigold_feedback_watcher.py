"""Land feedback and load it into a database as soon as it comes in. Needs Airflow 3.3.

A watcher polls the vendor from the triggerer. What is new starts a run, which reads the last day. The DAG is paused
until you switch it on: from then on the vendor is polled, and what happens from then on starts runs.

Needs the connections ``marigold_default`` and ``messaging_db`` (any SQL database); ``make airflow`` brings both. Files
go below the folder that the environment variable ``MESSAGING_DEMO_DIR`` names. ``MESSAGING_DEMO_LAG`` (seconds) is for
the sandbox, which lists everything at once; the real vendor does not.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_messaging.transfers.marigold import FeedbackToObjectStorageOperator, FeedbackToSqlOperator
from airflow_provider_messaging.triggers.marigold import FeedbackEventTrigger

FOLDER = os.environ.get("MESSAGING_DEMO_DIR", "/tmp/messaging")
LAG = float(os.environ.get("MESSAGING_DEMO_LAG", "900"))

feedback = Asset(
    "marigold_feedback",
    watchers=[
        AssetWatcher(
            name="marigold_feedback",
            trigger=FeedbackEventTrigger(lag=LAG, poll_interval=60 if LAG else 2),
        )
    ],
)

with DAG(
    dag_id="marigold_feedback_watcher",
    schedule=[feedback],
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    is_paused_upon_creation=True,
    max_active_runs=1,
    tags=["marigold", "example"],
    doc_md=__doc__,
):

    @task
    def since(triggering_asset_events: Any = None) -> str:
        """Return where the feedback begins that started the run, or a day ago.

        Airflow 3.3 may hand over a batch with the next one only, so the run does not read the batches' windows alone.
        """
        batches = [event.extra["payload"] for events in triggering_asset_events.values() for event in events]
        starts = [datetime.fromisoformat(batch["start"]) for batch in batches]
        return min([*starts, datetime.now(UTC) - timedelta(days=1)]).isoformat(timespec="seconds")

    land = FeedbackToObjectStorageOperator(task_id="land_feedback", path=FOLDER + "/watched", start=since(), lag=LAG)
    # By event: what was loaded before changes nothing.
    load = FeedbackToSqlOperator(
        task_id="load_feedback",
        source_path=land.output,
        table="email_feedback_watched",
        sql_conn_id="messaging_db",
        create_table=True,
    )

    land >> load
