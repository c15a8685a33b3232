"""``airflow-messaging webhooks serve``: the receiver of webhooks, on its own."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from airflow_provider_messaging.cli._command import DONE, Command

if TYPE_CHECKING:
    from airflow_provider_messaging.cli._console import Console


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8585, help="port to listen on (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="processes (default: %(default)s)")
    parser.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))


def _run(options: argparse.Namespace, console: Console) -> int:
    from airflow_provider_messaging.webhooks.server import serve

    serve(options.host, options.port, workers=options.workers, log_level=options.log_level)
    return DONE


COMMAND = Command(
    names=("webhooks", "serve"),
    summary="receive the vendor's webhooks",
    description="Runs the receiver of webhooks until it is ended, configured by [messaging] and the environment.",
    add_arguments=_add_arguments,
    run=_run,
)
