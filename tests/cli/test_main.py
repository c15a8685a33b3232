"""The command as a whole: help, errors, what is printed where, and Airflow's own command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_messaging import __version__
from airflow_provider_messaging.cli.main import COMMANDS
from tests.cli.commands import run

ROOT = Path(__file__).resolve().parents[2]


def test_help_names_every_command_and_its_exit_codes() -> None:
    done = run("--help")
    for command in COMMANDS:
        assert command.names[0] in done.out
    assert "Exit codes" in done.out


@pytest.mark.parametrize("command", COMMANDS, ids=lambda each: " ".join(each.names))
def test_every_command_has_help_and_takes_json(command: object) -> None:
    done = run(*command.names, "--help")  # type: ignore[attr-defined]
    assert "--json" in done.out


def test_the_version_is_that_of_the_package() -> None:
    assert run("--version").out.strip() == f"airflow-messaging {__version__}"


def test_help_loads_neither_airflow_nor_an_http_library() -> None:
    code = (
        "import sys\n"
        "from airflow_provider_messaging.cli.main import build_parser\n"
        "build_parser().format_help()\n"
        "print(sorted({'airflow', 'aiohttp', 'requests', 'pydantic', 'sqlalchemy', 'fastapi'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_missing_command_is_a_usage_error() -> None:
    run(code=2)


def test_an_error_is_told_without_a_traceback_and_with_the_setting() -> None:
    done = run("validate", "email", "/nowhere/messages.ndjson", code=2)
    assert "error: there is no file '/nowhere/messages.ndjson'" in done.err
    assert "to change: messages_path" in done.err
    assert done.out == ""


def test_an_error_for_machines_is_the_only_thing_on_standard_output() -> None:
    done = run("validate", "email", "/nowhere/messages.ndjson", "--json", code=2)
    assert done.json["error"]["type"] == "ConfigurationError"
    assert done.json["error"]["setting"] == "messages_path"


def test_traceback_shows_where_an_error_comes_from() -> None:
    command = [sys.executable, "-m", "airflow_provider_messaging.cli", "requeue", "/nowhere.ndjson", "--traceback"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110)
    assert "Traceback" in done.stderr


@pytest.mark.airflow32
def test_airflows_own_command_line_has_the_same_commands(tmp_path: Path) -> None:
    messages = tmp_path / "messages.ndjson"
    messages.write_text("not json\n")
    airflow = [sys.executable, "-m", "airflow", "messaging"]
    listed = subprocess.run([*airflow, "--help"], capture_output=True, text=True, timeout=110)
    assert listed.returncode == 0, listed.stderr
    for command in COMMANDS:
        assert command.names[0] in listed.stdout
    done = subprocess.run(
        [*airflow, "validate", "email", str(messages), "--json"], capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 1, done.stderr
    assert '"rejected": 1' in done.stdout
    nested = subprocess.run([*airflow, "ledger", "show", "--help"], capture_output=True, text=True, timeout=110)
    assert "--map-index" in nested.stdout


def test_every_command_is_documented_with_its_options() -> None:
    page = (ROOT / "docs" / "cli.md").read_text()
    for command in COMMANDS:
        assert f"## `{' '.join(command.names)}`" in page, command.names


def test_a_bar_is_drawn_on_a_terminal_only(tmp_path: Path) -> None:
    import pty

    messages = tmp_path / "messages.ndjson"
    messages.write_text("not json\n" * 3000)
    command = [sys.executable, "-m", "airflow_provider_messaging.cli", "validate", "email", str(messages), "--json"]
    master, slave = pty.openpty()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=slave, env={**os.environ, "TERM": "xterm"})
    os.close(slave)
    seen = b""
    try:
        while chunk := os.read(master, 4096):
            seen += chunk
    except OSError:
        # Linux says so when the last writer is gone.
        pass
    os.close(master)
    out, _ = child.communicate(timeout=110)
    assert child.returncode == 1
    assert out.count(b"\n") == 1
    assert b"rows" in seen
    assert b"\x1b[" in seen
    assert "\x1b[" not in run("validate", "email", messages, code=1).err
