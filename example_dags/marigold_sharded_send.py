"""Send one file from many workers: cut it into shards, send each in a mapped task, sum what came of them.

A run is cut once: see ``docs/scale.md``, which also says how many sends may run at once. Needs the connection
``marigold_default``; ``make airflow`` brings it. Shards, manifests and rejects go below the folder that the environment
variable ``MESSAGING_DEMO_DIR`` names.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG

from airflow_provider_messaging.operators.marigold import SendEmailBatchOperator
from airflow_provider_messaging.operators.sharding import CombineResultsOperator, ShardMessagesOperator

MESSAGES = os.environ.get("MESSAGING_DEMO_MESSAGES", str(Path(__file__).parent / "data" / "messages.ndjson"))
FOLDER = os.environ.get("MESSAGING_DEMO_DIR", "/tmp/messaging") + "/sharded/{{ run_id }}"

with DAG(
    dag_id="marigold_sharded_send",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(seconds=5)},
    tags=["marigold", "example"],
    doc_md=__doc__,
):
    shard = ShardMessagesOperator(
        task_id="shard",
        source_path=MESSAGES,
        shards_path=FOLDER + "/shards",
        rows_per_shard=400,
        on_rejected="continue",
        manifests_path=FOLDER + "/manifests",
        rejects_path=FOLDER + "/rejects",
    )
    send = SendEmailBatchOperator.partial(
        task_id="send",
        on_rejected="continue",
        # Not more sends at once than the vendor's rate limit allows. A pool does the same across DAGs.
        max_active_tis_per_dag=2,
    ).expand_kwargs(shard.output)
    CombineResultsOperator(task_id="combine", results=send.output, shards_path=FOLDER + "/shards")
