"""``airflow-messaging sandbox``: the vendors, played on this machine."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from airflow_provider_messaging.cli._command import DONE, Command

if TYPE_CHECKING:
    from airflow_provider_messaging.cli._console import Console


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8765, help="port, 0 takes a free one (default: %(default)s)")
    parser.add_argument("--stop-on-eof", action="store_true", help="stop when standard input ends")


def _run(options: argparse.Namespace, console: Console) -> int:
    from airflow_provider_messaging.sandbox.__main__ import announcement
    from airflow_provider_messaging.sandbox.server import connections, serve

    def announce(url: str) -> None:
        lines = [announcement(url), "# ready: put these lines into your shell with export; Ctrl-C ends it"]
        console.result({"url": url, "connections": connections(url)}, lines)

    serve(options.host, options.port, announce=announce, log_level="warning", stop_on_eof=options.stop_on_eof)
    return DONE


COMMAND = Command(
    names=("sandbox",),
    summary="start the local server that plays the vendors",
    description="Starts the local server that plays all four vendors, and prints its URL and the connections that lead "
    "to it, as environment variables of Airflow. Runs until Ctrl-C.",
    add_arguments=_add_arguments,
    run=_run,
)
