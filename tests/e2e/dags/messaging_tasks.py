"""DAGs for the end-to-end tests, a task each. What they work on comes with the run: ``dag_run.conf``."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG

from airflow_provider_messaging.notifications.messangi import MessangiNotifier
from airflow_provider_messaging.operators.marigold import SendEmailBatchOperator
from airflow_provider_messaging.sensors.marigold import BounceSensor

FOLDER = os.environ["MESSAGING_DEMO_DIR"]
SETTINGS: dict[str, Any] = {
    "schedule": None,
    "start_date": datetime(2026, 1, 1),  # noqa: DTZ001
    "default_args": {"retries": 2, "retry_delay": timedelta(seconds=1)},
}


def tell_process(context: Any) -> None:
    """Write down which process runs this try."""
    Path(FOLDER, f"{context['run_id']}-{context['ti'].try_number}.pid").write_text(str(os.getpid()))


with DAG("e2e_send", **SETTINGS):
    SendEmailBatchOperator(
        task_id="send",
        messages_path="{{ dag_run.conf['messages_path'] }}",
        manifest_path=FOLDER + "/{{ run_id }}/manifest.ndjson",
        marigold_conn_id="{{ dag_run.conf.get('conn_id', 'marigold_default') }}",
        max_concurrency=1,
        reconcile_window=2,
        pre_execute=tell_process,
    )

with DAG("e2e_wait", **SETTINGS):
    BounceSensor(
        task_id="wait",
        start="{{ dag_run.conf['start'] }}",
        marigold_conn_id="{{ dag_run.conf.get('conn_id', 'marigold_default') }}",
        poke_interval=1,
        timeout=90,
        deferrable=True,
    )

with DAG("e2e_wait_in_vain", **SETTINGS):
    # On a busy machine a worker takes up to five seconds to end once it has deferred; Airflow takes a task that resumes
    # before that for one that was killed, and retries it.
    BounceSensor(task_id="wait", start="{{ dag_run.conf['start'] }}", poke_interval=1, timeout=10, deferrable=True)

with DAG(
    "alerting",
    schedule=None,
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001
    on_failure_callback=MessangiNotifier(to="+1 202 555 0123", sender="Example"),
):
    # Nothing is sent: the message breaks a rule.
    SendEmailBatchOperator(task_id="send", messages=[{"to": "nobody"}])
