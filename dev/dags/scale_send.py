"""The DAG of `make scale`: a sharded send whose tasks tell their process ids, to be killed."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param

from airflow_provider_messaging.operators.marigold import SendEmailBatchOperator
from airflow_provider_messaging.operators.sharding import CombineResultsOperator, ShardMessagesOperator

PIDS = os.environ.get("MESSAGING_SCALE_PIDS", "/tmp/messaging-pids")
STORAGE = os.environ.get("MESSAGING_SCALE_STORAGE", "/tmp/messaging") + "/{{ run_id }}"


class TellingSend(SendEmailBatchOperator):
    """Appends a line with its map index and process id before it does anything."""

    def execute(self, context: Any) -> dict[str, Any]:
        with Path(PIDS).open("a") as pids:
            pids.write(f"{context['ti'].map_index} {os.getpid()}\n")
        return super().execute(context)


with DAG(
    dag_id="scale_send",
    schedule=None,
    params={"messages": Param("", type="string")},
    default_args={"retries": 5, "retry_delay": timedelta(seconds=2)},
):
    shard = ShardMessagesOperator(
        task_id="shard",
        source_path="{{ params.messages }}",
        shards_path=STORAGE + "/shards",
        rows_per_shard=int(os.environ.get("MESSAGING_SCALE_ROWS", "5000")),
        manifests_path=STORAGE + "/manifests",
        rejects_path=STORAGE + "/rejects",
    )
    send = TellingSend.partial(
        task_id="send",
        # As many at once as the vendor's limit allows: slots of the pool × rate_limit.
        pool="marigold",
        rate_limit=float(os.environ.get("MESSAGING_SCALE_RATE", "500")),
        on_rejected="continue",
        reconcile_window=5,
    ).expand_kwargs(shard.output)
    CombineResultsOperator(task_id="combine", results=send.output, shards_path=STORAGE + "/shards")
