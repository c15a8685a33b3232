"""Send one message to each row of a file of recipients: subject and bodies come from templates, attachments from files.

The last recipient has no name, which the templates ask for: that row is a reject, not an empty greeting. Needs the
connection ``marigold_default``; ``make airflow`` brings it. Manifest and rejects go below the folder that the
environment variable ``MESSAGING_DEMO_DIR`` names.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG

from airflow_provider_messaging.operators.marigold import SendEmailBatchOperator

DATA = Path(__file__).parent / "data"
FOLDER = os.environ.get("MESSAGING_DEMO_DIR", "/tmp/messaging")

with DAG(
    dag_id="marigold_templated_send",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10)},
    tags=["marigold", "example"],
    doc_md=__doc__,
):
    SendEmailBatchOperator(
        task_id="send",
        messages_path=str(DATA / "recipients.ndjson"),
        subject="{{ name }}, your {{ points }} points",
        html_path=str(DATA / "templates" / "bonus.html"),
        text_path=str(DATA / "templates" / "bonus.txt"),
        attachments_path=str(DATA / "attachments"),
        defaults={
            "from": "Bonus Programme <bonus@example.com>",
            "reply": "help@example.com",
            "tags": ["bonus", "{{ dag.dag_id }}"],
            "list_unsubscribe": "<mailto:unsubscribe@example.com>",
            "attachments": [{"path": "terms.txt"}],
            "custom_headers": {"X-Campaign": "bonus"},
            "archive_enabled": True,
            "archive_duration": "P30D",
        },
        manifest_path=FOLDER + "/templated/{{ run_id }}/manifest.ndjson",
        rejects_path=FOLDER + "/templated/{{ run_id }}/rejects.ndjson",
        on_rejected="continue",
    )
