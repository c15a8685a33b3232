"""Bring the subscribers of a list up to date, write to them by SMS, and alert by SMS if anything fails.

Needs the connection ``messangi_default``; ``make airflow`` brings a sandbox. Files go below the folder that the
environment variable ``MESSAGING_DEMO_DIR`` names.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_messaging.notifications.messangi import MessangiNotifier
from airflow_provider_messaging.operators.messangi import (
    MessangiApiOperator,
    SendMessageOperator,
    UpsertSubscribersOperator,
)

FOLDER = os.environ.get("MESSAGING_DEMO_DIR", "/tmp/messaging") + "/sms/{{ run_id }}"
CUSTOMERS = [
    {"id": f"customer-{number}", "phone": f"+1202555{number:04}", "data": {"name": f"Customer {number}"}}
    for number in range(100, 150)
]

with DAG(
    dag_id="messangi_subscribers",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10)},
    on_failure_callback=MessangiNotifier(to="+1 202 555 0123", sender="Example"),
    tags=["messangi", "example"],
    doc_md=__doc__,
):
    make_list = MessangiApiOperator(
        task_id="make_list",
        method="POST",
        path="/dothraki/v1/lists",
        json={"name": "customers {{ run_id }}"},
    )
    subscribe = UpsertSubscribersOperator(
        task_id="subscribe",
        list_id="{{ ti.xcom_pull('make_list')['data']['id'] }}",
        subscribers=CUSTOMERS,
        rejects_path=FOLDER + "/subscribers-rejects.ndjson",
        max_concurrency=8,
    )
    write = SendMessageOperator(
        task_id="write",
        channel="sms",
        sender="Example",
        messages=[
            {"to": customer["phone"], "text": f"Hello {customer['data']['name']}", "reference": customer["id"]}
            for customer in CUSTOMERS
        ],
        manifest_path=FOLDER + "/manifest.ndjson",
        rejects_path=FOLDER + "/rejects.ndjson",
        max_concurrency=8,
    )

    make_list >> subscribe >> write
