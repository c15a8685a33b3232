"""The command line: ``airflow-messaging COMMAND``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from airflow_provider_messaging import __version__
from airflow_provider_messaging.cli import check, ledger, remaining, requeue, sandbox, validate, webhooks
from airflow_provider_messaging.cli._command import FAILED, INTERRUPTED, USAGE, Command, add_common_arguments
from airflow_provider_messaging.cli._console import Console, only_results_on_stdout
from airflow_provider_messaging.core.errors import MessagingError

COMMANDS: tuple[Command, ...] = (
    validate.COMMAND,
    requeue.COMMAND,
    remaining.COMMAND,
    ledger.COMMAND,
    check.COMMAND,
    sandbox.COMMAND,
    webhooks.COMMAND,
)
GROUPS = {"ledger": "what a task has sent, as its ledger knows it", "webhooks": "the receiver of webhooks"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = build_parser().parse_args(arguments)
    command: Command = options.command
    return run(command, options)


def run(command: Command, options: argparse.Namespace) -> int:
    """Run a command; whatever goes wrong is told in a line, and in the exit code."""
    with only_results_on_stdout() as out:
        console = Console(out, as_json=options.json)
        try:
            return command.run(options, console)
        except KeyboardInterrupt:
            console.note("interrupted")
            return INTERRUPTED
        except Exception as error:
            if options.traceback:
                raise
            console.error(error)
            if not isinstance(error, MessagingError):
                console.note(f"({type(error).__name__}; --traceback shows where it comes from)")
                return FAILED
            return FAILED if error.retryable else USAGE


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="airflow-messaging",
        description="What whoever runs airflow-provider-messaging needs beside DAGs.",
        epilog="Exit codes: 0 done; 1 the answer is no (rejects, a connection that does not work); 2 not possible as "
        "asked; 3 something failed and may work later.",
        formatter_class=_formatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    groups: dict[str, Any] = {}
    for command in COMMANDS:
        parent = commands
        if len(command.names) > 1:
            name = command.names[0]
            if name not in groups:
                group = commands.add_parser(
                    name, help=GROUPS[name], description=GROUPS[name], formatter_class=_formatter
                )
                groups[name] = group.add_subparsers(metavar="COMMAND", required=True)
            parent = groups[name]
        one = parent.add_parser(
            command.names[-1], help=command.summary, description=command.description, formatter_class=_formatter
        )
        command.add_arguments(one)
        add_common_arguments(one)
        one.set_defaults(command=command)
    return parser


def _formatter(prog: str) -> argparse.HelpFormatter:
    # Not before help is asked for.
    from rich_argparse import RichHelpFormatter

    return RichHelpFormatter(prog, width=100 if not sys.stdout.isatty() else None)
