"""From a bounce to EngageOne's blacklist within seconds: what the vendor's webhook tells starts a run.

A receiver of webhooks lands events as segments below the folder ``webhooks``. A watcher looks there from the triggerer;
new segments start a run, which loads them and suppresses who can't or won't be written to. A bounce on sending names
its recipient; of complaints and unsubscribes the recipient is found in the events of messages sent, which the webhook
is to be subscribed to. Where it is not, give the manifests of the sends. The DAG is paused until you switch it on.

Soft bounces are left to `bounces_to_blacklist`, which counts them over weeks.

Needs Airflow 3.3, and the connections ``engageone_default`` and ``messaging_db`` (any SQL database). Files go below the
folder that the environment variable ``MESSAGING_DEMO_DIR`` names.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher

from airflow_provider_messaging.operators.suppression import SuppressFeedbackOperator
from airflow_provider_messaging.transfers.marigold import FeedbackToSqlOperator
from airflow_provider_messaging.triggers.marigold import WebhookEventTrigger

FOLDER = os.environ.get("MESSAGING_DEMO_DIR", "/tmp/messaging")
SEGMENTS = FOLDER + "/webhooks"
RUN_FOLDER = FOLDER + "/webhook-suppression/{{ run_id }}"
SINCE = "{{ since(triggering_asset_events) }}"

webhooks = Asset(
    "marigold_webhooks",
    watchers=[AssetWatcher(name="marigold_webhooks", trigger=WebhookEventTrigger(path=SEGMENTS, poll_interval=1))],
)


def since(triggering_asset_events: Any) -> str:
    """Return when what started the run happened first, or an hour ago.

    Airflow 3.3 may hand over a batch with the next one only, so the run does not read the batches' segments alone.
    """
    batches = [event.extra["payload"] for events in triggering_asset_events.values() for event in events]
    starts = [datetime.fromisoformat(batch["start"]) for batch in batches]
    return min([*starts, datetime.now(UTC) - timedelta(hours=1)]).isoformat(timespec="seconds")


with DAG(
    dag_id="marigold_webhook_blacklist",
    schedule=[webhooks],
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    is_paused_upon_creation=True,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(seconds=10)},
    user_defined_macros={"since": since},
    tags=["marigold", "engageone", "example"],
    doc_md=__doc__,
):
    suppress = SuppressFeedbackOperator(
        task_id="suppress",
        source_path=SEGMENTS,
        manifest_path=SEGMENTS + "/kind=deliveries",
        addresses_path=RUN_FOLDER + "/addresses.ndjson",
        unattributed_path=RUN_FOLDER + "/unattributed.ndjson",
        soft_bounces=None,
        since=SINCE,
    )
    # By event: what was loaded before changes nothing. It holds up nobody's suppression.
    load = FeedbackToSqlOperator(
        task_id="load",
        source_path=SEGMENTS,
        since=SINCE,
        table="email_feedback_webhook",
        sql_conn_id="messaging_db",
        create_table=True,
    )
