"""What a command is, and how it ends."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_messaging.cli._console import Console

DONE = 0
FOUND = 1
"""The command did its work, and the answer is no: rejects, rows left out, a connection that does not work."""
USAGE = 2
"""It can't be done as it was asked for: an argument, a file, a connection, a setting, an Airflow too old."""
FAILED = 3
"""Something failed that may work later: object storage, the metadata database, Airflow's API."""
INTERRUPTED = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command. Its module imports next to nothing: what is heavy is imported in `run`.

    :param names: its words, the group first: ``("ledger", "show")``.
    :param summary: one line for the list of commands.
    :param description: what it does, its result and its exit codes.
    :param add_arguments: adds its arguments to a parser, by ``add_argument`` alone.
    :param run: does the work and returns the exit code.
    """

    names: tuple[str, ...]
    summary: str
    description: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, Console], int]


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what every command takes."""
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object, and nothing else")
    parser.add_argument("--traceback", action="store_true", help="show where an error comes from")
