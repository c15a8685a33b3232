"""DAGs that start when feedback comes in: three watchers of one account. They are paused until a test needs them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.triggers.marigold import FeedbackEventTrigger

READS = (MarigoldHook.iter_bounces, MarigoldHook.iter_complaints, MarigoldHook.iter_list_unsubscribes)
OPTIONS: dict[str, Any] = {"lag": 0, "look_back": 3600, "poll_interval": 2}
WATCHES: dict[str, dict[str, Any]] = {
    "e2e_hard_bounces": {"kinds": ["bounces"], "bounce_types": ["hard"]},
    "e2e_feedback": {},
    # The same question for another asset: Airflow takes the two for one trigger.
    "e2e_feedback_too": {},
}


def build(name: str, watch: dict[str, Any]) -> None:
    trigger = FeedbackEventTrigger(**OPTIONS, **watch)
    asset = Asset(name, watchers=[AssetWatcher(name=name, trigger=trigger)])

    @task(inlets=[asset])
    def fetch(triggering_asset_events: Any = None, asset_state_store: Any = None) -> dict[str, list[str]]:
        """Return the batches that are new to this DAG, and the references of all feedback of the last hour."""
        done = asset_state_store[asset].get("done") or []
        batches = [event.extra["payload"] for events in triggering_asset_events.values() for event in events]
        new = {batch["batch_id"]: batch for batch in batches if batch["batch_id"] not in done}
        now = datetime.now(UTC)
        with MarigoldHook() as hook:
            rows = [row for read in READS for row in read(hook, now - timedelta(hours=1), now)]
        asset_state_store[asset].set("done", [*done, *new])
        return {"batches": list(new), "references": [row["external_reference"] for row in rows]}

    with DAG(
        name,
        schedule=[asset],
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        is_paused_upon_creation=True,
        max_active_runs=1,
    ):
        fetch()


for dag_name, options in WATCHES.items():
    build(dag_name, options)
