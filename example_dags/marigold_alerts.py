"""Mails about what goes wrong: this DAG fails on purpose, and tells so through Marigold.

``load`` fails twice: a mail for the try that is followed by another, one for the last, each with the exception and
links to the log. The DAG's own callback tells that the run failed. ``report`` leaves it to Airflow's own alerts
(``email_on_failure``), which come through Marigold with one line of configuration::

    [email]
    email_backend = airflow_provider_messaging.notifications.marigold.send_email

Needs the connection ``marigold_default``; ``make airflow`` brings a sandbox, and
``/_sandbox/state?vendor=marigold&kind=latest_messages`` shows the mails.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, task

from airflow_provider_messaging.notifications.marigold import MarigoldEmailNotifier

ONCALL = "oncall@example.com"
SENDER = "Airflow <airflow@example.com>"
tell = MarigoldEmailNotifier(to=ONCALL, from_email=SENDER)

with DAG(
    dag_id="marigold_alerts",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    on_failure_callback=MarigoldEmailNotifier(
        to=ONCALL,
        from_email=SENDER,
        subject="{{ dag.dag_id }} needs you: {{ alert.what }}",
    ),
    tags=["marigold", "example"],
    doc_md=__doc__,
):

    @task(retries=1, retry_delay=timedelta(seconds=2), on_retry_callback=tell, on_failure_callback=tell)
    def load() -> None:
        raise ValueError("column <amount> is of type numeric, but row 4711 has '12,50'")

    @task(email=ONCALL, email_on_failure=True)
    def report() -> None:
        raise RuntimeError("there is nothing to report")

    load()
    report()
