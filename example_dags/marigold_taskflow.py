"""The operators among ``@task`` functions: mapped sends, hooks in functions, a list that is there for the run only.

One task finds the segments; a mapped send writes to each of them, with a ledger and references of its own; a function
adds up what became of them. Messangi's list is made before and deleted after, also when a send fails. Needs the
connections ``marigold_default`` and ``messangi_default``; ``make airflow`` brings them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, setup, task, teardown

from airflow_provider_messaging.hooks.messangi import MessangiHook
from airflow_provider_messaging.operators.marigold import SendEmailBatchOperator
from airflow_provider_messaging.operators.messangi import UpsertSubscribersOperator

SEGMENTS = {"gold": 3, "silver": 5}
LISTS = "/dothraki/v1/lists"

with DAG(
    dag_id="marigold_taskflow",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10)},
    tags=["marigold", "messangi", "example"],
    doc_md=__doc__,
) as dag:

    @task
    def find_segments() -> list[list[dict[str, Any]]]:
        return [
            [{"to": f"{name}-{number}@example.com", "name": name.title()} for number in range(count)]
            for name, count in SEGMENTS.items()
        ]

    @task
    def choose_sender() -> str:
        return "Bonus Programme <bonus@example.com>"

    @setup
    def make_list(run_id: str | None = None) -> str:
        with MessangiHook() as hook:
            made = hook.request("POST", LISTS, json={"name": f"bonus {run_id}"})
        return str(made["data"]["id"])

    @teardown
    def delete_list(list_id: str) -> None:
        with MessangiHook() as hook:
            hook.request("DELETE", f"{LISTS}/{list_id}")

    @task
    def count(sent: list[dict[str, Any]], list_id: str) -> dict[str, int]:
        with MessangiHook() as hook:
            subscribers = sum(1 for _ in hook.paginate(f"{LISTS}/{list_id}/subscribers"))
        return {"segments": len(sent), "accepted": sum(each["accepted"] for each in sent), "subscribers": subscribers}

    bonus_list = make_list()
    subscribe = UpsertSubscribersOperator(
        task_id="subscribe",
        list_id=bonus_list,
        subscribers=[{"id": "gold-0", "phone": "+12025550100"}],
    )
    send = SendEmailBatchOperator.partial(
        task_id="send",
        subject="{{ name }} members save more",
        text="Dear {{ name }} member, …",
        defaults={"from": choose_sender(), "tags": ["bonus"]},
    ).expand(messages=find_segments())

    counted = count(send.output, bonus_list)
    subscribe >> counted >> delete_list(bonus_list).as_teardown(setups=bonus_list)
