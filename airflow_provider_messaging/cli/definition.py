"""``airflow messaging …``: the same commands below Airflow's own (3.2 and newer)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow_provider_messaging.cli._command import Command, add_common_arguments
from airflow_provider_messaging.cli.main import COMMANDS, GROUPS, run

if TYPE_CHECKING:
    from airflow.cli.cli_config import CLICommand


def get_messaging_cli_commands() -> list[CLICommand]:
    """Return the group of our commands. Airflow asks for it each time somebody starts ``airflow``."""
    from airflow.cli.cli_config import ActionCommand, GroupCommand

    actions: list[Any] = []
    groups: dict[str, list[Any]] = {}
    for command in COMMANDS:
        action = ActionCommand(
            name=command.names[-1],
            help=command.summary,
            description=command.description,
            func=_runner(command),
            args=_arguments(command),
        )
        if len(command.names) == 1:
            actions.append(action)
        else:
            groups.setdefault(command.names[0], []).append(action)
    actions += [GroupCommand(name=name, help=GROUPS[name], subcommands=tuple(subs)) for name, subs in groups.items()]
    return [GroupCommand(name="messaging", help="Look after airflow-provider-messaging", subcommands=tuple(actions))]


def _runner(command: Command) -> Callable[[argparse.Namespace], None]:
    def execute(options: argparse.Namespace) -> None:
        sys.exit(run(command, options))

    return execute


def _arguments(command: Command) -> list[Any]:
    """Return the command's arguments in Airflow's words."""
    from airflow.cli.cli_config import Arg

    recorder = _Recorder()
    command.add_arguments(recorder)  # type: ignore[arg-type]
    add_common_arguments(recorder)  # type: ignore[arg-type]
    return [Arg(flags, **options) for flags, options in recorder.added]


class _Recorder:
    """Stands in for a parser and keeps what it is told."""

    def __init__(self) -> None:
        self.added: list[tuple[tuple[str, ...], dict[str, Any]]] = []

    def add_argument(self, *flags: str, **options: Any) -> None:
        self.added.append((flags, options))
