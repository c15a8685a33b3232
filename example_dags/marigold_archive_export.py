"""Send e-mails that are archived, wait until they are, export them, and delete a profile's archive with a receipt.

Needs the connection ``marigold_default``, and message archiving at the vendor; ``make airflow`` brings a sandbox that
has it. Files go below the folder that the environment variable ``MESSAGING_DEMO_DIR`` names.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_messaging.operators.marigold import (
    DeleteProfileArchiveOperator,
    ExportArchiveOperator,
    SendEmailBatchOperator,
)
from airflow_provider_messaging.sensors.marigold import ArchiveExportSensor, DeliverySensor

FOLDER = os.environ.get("MESSAGING_DEMO_DIR", "/tmp/messaging") + "/archive/{{ run_id }}"
MANIFEST = FOLDER + "/manifest.ndjson"

with DAG(
    dag_id="marigold_archive_export",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10)},
    tags=["marigold", "example"],
    doc_md=__doc__,
):
    send = SendEmailBatchOperator(
        task_id="send",
        messages=[
            {
                "to": f"{name} <{name.lower()}@example.com>",
                "from": "Shop <shop@example.com>",
                "subject": "Your contract",
                "html": f"<p>Dear {name}, your contract is attached.</p>",
                "attachments": [
                    {"file_name": "contract.txt", "mime_type": "text/plain", "data": "WW91ciBjb250cmFjdC4="}
                ],
                "profile": f"CUSTOMERS.{name}",
                "archive_enabled": True,
                "archive_duration": "P30D",
            }
            for name in ("Ada", "Grace", "Edsger")
        ],
        manifest_path=MANIFEST,
    )
    delivered = DeliverySensor(
        task_id="wait_until_delivered",
        manifest_path=MANIFEST,
        poke_interval=5,
        timeout=600,
        deferrable=True,
    )
    archived = ArchiveExportSensor(
        task_id="wait_until_archived",
        manifest_path=MANIFEST,
        poke_interval=5,
        timeout=600,
        deferrable=True,
    )
    export = ExportArchiveOperator(
        task_id="export",
        profile_ids_path=MANIFEST,
        export_path=FOLDER + "/export",
        previews=("html", "pdf"),
    )
    forget = DeleteProfileArchiveOperator(
        task_id="delete_profile",
        profile_ids=["CUSTOMERS.Ada"],
        receipt_path=FOLDER + "/receipt.ndjson",
        poll_interval=1,
    )

    send >> delivered >> archived >> export >> forget
