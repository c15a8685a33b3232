"""``airflow-messaging ledger show``: what a sending task has done, as far as its ledger knows."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow_provider_messaging.cli._command import DONE, Command
from airflow_provider_messaging.core.errors import ConfigurationError, StorageError

if TYPE_CHECKING:
    from airflow_provider_messaging.cli._console import Console

TOKEN_VARIABLE = "AIRFLOW_API_TOKEN"
_TIMEOUT = (10, 60)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dag_id", metavar="DAG_ID")
    parser.add_argument("run_id", metavar="RUN_ID")
    parser.add_argument("task_id", metavar="TASK_ID")
    parser.add_argument("--map-index", type=int, default=-1, help="of a mapped task (default: not mapped)")
    parser.add_argument(
        "--api",
        metavar="URL",
        help="ask this Airflow's API server, with the token in AIRFLOW_API_TOKEN, instead of the metadata database of "
        "this machine's Airflow",
    )


def read_ledger(task: argparse.Namespace) -> dict[str, Any]:
    """Return what the task state store keeps of a task's send.

    :param task: ``dag_id``, ``run_id``, ``task_id``, ``map_index``, and ``api``, the URL of an API server or None.
    :raises ConfigurationError: if there is nothing.
    :raises StorageError: if database or API server do not answer.
    """
    from airflow_provider_messaging.hooks._state import stored_ledger

    stored = stored_ledger(_from_database(task) if task.api is None else _from_api(task))
    if stored is None:
        raise ConfigurationError(
            f"{_name(task)} has no ledger: it has not begun to send, or is no sending task, or its state is past its "
            "retention ([state_store] default_retention_days)",
            setting="dag, run, task and --map-index",
        )
    return stored


def _run(options: argparse.Namespace, console: Console) -> int:
    from airflow_provider_messaging.delivery.ledger import overview

    stored = read_ledger(options)
    value = {
        "dag_id": options.dag_id,
        "run_id": options.run_id,
        "task_id": options.task_id,
        "map_index": options.map_index,
        "generation": stored["generation"],
        "cleared_at": stored["cleared_at"],
        **overview(stored["ledger"]),
    }
    console.result(value, _lines(value))
    return DONE


def _lines(value: dict[str, Any]) -> Iterator[str]:
    from airflow_provider_messaging.cli._console import table

    yield f"begun {value['started']}, last entry {value['updated']}"
    if value["cleared_at"]:
        yield f"the task was cleared: what it had sent until {value['cleared_at']} is not part of this"
    yield from table(
        [
            (value["recorded"], f"messages recorded, in {value['batches']} requests"),
            (value["accepted"], "accepted"),
            (
                value["in_flight"],
                f"in flight, or left behind by a try that was killed ({value['open_batches']} requests)",
            ),
            (value["ambiguous"], "ambiguous: perhaps taken, not sent again before they were looked up"),
            (value["not_taken"], "surely not taken: rejected by the vendor, or to be sent again"),
        ]
    )
    for name, count in value["outcomes"].items():
        yield f"  {count} of the accepted ones: {name}"
    if value["receipts"]:
        yield "receipts: " + ", ".join(value["receipts"])
    yield "the end of the input was reached" if value["complete"] else "the input may have more rows"


def _name(options: argparse.Namespace) -> str:
    mapped = f"[{options.map_index}]" if options.map_index >= 0 else ""
    return f"task {options.task_id}{mapped} of {options.dag_id}, run {options.run_id},"


def _from_database(options: argparse.Namespace) -> Any:
    import json
    from importlib.metadata import version

    try:
        from airflow.state import TaskScope
        from airflow.state.metastore import MetastoreBackend
    except ImportError:
        raise ConfigurationError(
            f"Airflow {version('apache-airflow')} has no task state store, where ledgers are kept; it came with 3.3",
            setting="the Airflow of this environment, or --api URL of a newer one",
        ) from None
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select
    from sqlalchemy.exc import SQLAlchemyError

    scope = TaskScope(
        dag_id=options.dag_id, run_id=options.run_id, task_id=options.task_id, map_index=options.map_index
    )
    try:
        from airflow_provider_messaging.hooks._state import LEDGER_KEY

        with create_session() as session:
            text = MetastoreBackend().get(scope, LEDGER_KEY, session=session)
            known = text is not None or session.scalar(
                select(TaskInstance.task_id).where(
                    TaskInstance.dag_id == options.dag_id,
                    TaskInstance.run_id == options.run_id,
                    TaskInstance.task_id == options.task_id,
                    TaskInstance.map_index == options.map_index,
                )
            )
    except SQLAlchemyError as error:
        # Its text quotes the statement with its values; the first line says what is wrong.
        raise StorageError(
            f"the metadata database does not answer as it should ({str(error).splitlines()[0]})",
            setting="[database] sql_alchemy_conn, or --api URL",
        ) from None
    if not known:
        raise _unknown(options)
    return None if text is None else json.loads(text)


def _from_api(options: argparse.Namespace) -> Any:
    from urllib.parse import quote

    import requests

    from airflow_provider_messaging.hooks._state import LEDGER_KEY

    parts = [quote(each, safe="") for each in (options.dag_id, options.run_id, options.task_id)]
    task = "{}/api/v2/dags/{}/dagRuns/{}/taskInstances/{}".format(options.api.rstrip("/"), *parts)
    token = os.environ.get(TOKEN_VARIABLE)
    headers = {"Authorization": f"Bearer {token}"} if token else {}

    def get(url: str) -> requests.Response:
        try:
            return requests.get(
                url,
                headers=headers,
                params={"map_index": options.map_index},
                timeout=_TIMEOUT,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise StorageError(
                f"Airflow's API server at {options.api} does not answer ({type(error).__name__})", setting="--api"
            ) from None

    answer = get(f"{task}/state-store/{LEDGER_KEY}")
    if answer.status_code == 200:
        return answer.json()["value"]
    if answer.status_code in {401, 403}:
        raise ConfigurationError(
            f"Airflow's API server answers {answer.status_code}: the token is missing, expired or may not read tasks",
            setting=f"{TOKEN_VARIABLE} in the environment",
        )
    if answer.status_code != 404:
        raise StorageError(f"Airflow's API server answers {answer.status_code}", setting="--api")
    # A missing key and a missing path look alike: an older Airflow has the task, and no state beside it.
    listed = get(f"{task}/state-store")
    if listed.status_code == 200:
        if get(task if options.map_index < 0 else f"{task}/{options.map_index}").status_code == 404:
            raise _unknown(options)
        return None
    raise ConfigurationError(
        f"Airflow at {options.api} has no task state store, where ledgers are kept; it came with 3.3",
        setting="--api, or the Airflow there",
    )


def _unknown(options: argparse.Namespace) -> ConfigurationError:
    return ConfigurationError(
        f"Airflow knows no {_name(options).rstrip(',')}",
        setting="dag, run, task and --map-index (a mapped task needs it)",
    )


COMMAND = Command(
    names=("ledger", "show"),
    summary="show what a sending task has sent so far",
    description="Shows what a sending task keeps in Airflow's task state store (3.3): requests, accepted, "
    "ambiguous and "
    "in flight. It reads and changes nothing. The manifest names the messages, the ledger counts them.",
    add_arguments=_add_arguments,
    run=_run,
)
