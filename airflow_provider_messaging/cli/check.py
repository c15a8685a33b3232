"""``airflow-messaging check``: does a connection work?"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from airflow_provider_messaging.cli._command import DONE, FOUND, Command

if TYPE_CHECKING:
    from airflow_provider_messaging.cli._console import Console


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "connections",
        nargs="+",
        metavar="CONNECTION",
        help="the id of a connection that this Airflow knows, or its URI or JSON, or - for these on standard input, "
        "where no list of processes shows the secret",
    )


def _run(options: argparse.Namespace, console: Console) -> int:
    from airflow_provider_messaging.cli._connections import hook_of

    found = []
    for given in options.connections:
        with hook_of(given) as hook:
            works, message = hook.test_connection()
        found.append({"connection": hook.conn_id, "type": hook.conn_type, "works": works, "message": message})
    console.result(
        {"connections": found},
        (
            f"{'ok ' if each['works'] else 'NO '} {each['connection']} ({each['type']}): {each['message']}"
            for each in found
        ),
    )
    return DONE if all(each["works"] for each in found) else FOUND


COMMAND = Command(
    names=("check",),
    summary="make the call of Test Connection and say what it saw",
    description="Makes one cheap authenticated call over each connection, as Test Connection does, and says what "
    "it saw "
    "or what to mend. Exit code 1 if one of them does not work.",
    add_arguments=_add_arguments,
    run=_run,
)
