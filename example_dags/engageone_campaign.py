"""Suppress a list, add an asset to the Asset Library, send a campaign, and wait until it is done.

Needs the connection ``engageone_default``; ``make airflow`` brings a sandbox. Files go below the folder that the
environment variable ``MESSAGING_DEMO_DIR`` names.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG

from airflow_provider_messaging.operators.engageone import (
    BlacklistAddressOperator,
    CreateCampaignOperator,
    SendCampaignOperator,
    UploadAssetOperator,
)
from airflow_provider_messaging.sensors.engageone import CampaignSendSensor

DATA = Path(__file__).parent / "data"
FOLDER = os.environ.get("MESSAGING_DEMO_DIR", "/tmp/messaging") + "/campaign/{{ run_id }}"

with DAG(
    dag_id="engageone_campaign",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10)},
    tags=["engageone", "example"],
    doc_md=__doc__,
):
    suppress = BlacklistAddressOperator(
        task_id="suppress",
        emails_path=str(DATA / "suppress.txt"),
        reason="Manual Unsubscribed",
        on_rejected="continue",
        rejects_path=FOLDER + "/suppress-rejects.ndjson",
    )
    upload = UploadAssetOperator(task_id="upload", path=str(DATA / "banner.svg"), name="spring banner {{ run_id }}")
    create = CreateCampaignOperator(
        task_id="create",
        campaign={"name": "spring-{{ run_id }}", "communication": "Spring offer"},
    )
    send = SendCampaignOperator(
        task_id="send",
        campaign="spring-{{ run_id }}",
        communication="Spring offer",
        email_json_path="$.customer.email",
        sender="shop@example.com",
        sender_name="Example Shop",
        subject="Spring is here",
        dataset=[
            {"customer": {"email": f"customer-{number}@example.com", "name": f"Customer {number}"}, "offer": number % 3}
            for number in range(250)
        ],
        chunk_size=100,
        manifest_path=FOLDER + "/manifest.ndjson",
    )
    done = CampaignSendSensor(
        task_id="wait_until_done",
        send_ids=send.output,
        poke_interval=5,
        timeout=600,
        deferrable=True,
    )

    suppress >> [upload, create] >> send >> done
