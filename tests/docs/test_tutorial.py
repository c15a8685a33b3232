"""docs/tutorial.md, gone through from top to bottom as it stands, in a folder and an Airflow of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from dev.processes import free_port
from tests.docs.blocks import ROOT, Block, blocks
from tests.docs.console import commands

PAGE = ROOT / "docs" / "tutorial.md"
PORT = "8765"
SECOND_TERMINAL = "<!-- second terminal -->"
_SAVED = re.compile(r"Save as `(?P<path>[\w./-]+)`:\s*\Z")

pytestmark = [pytest.mark.airflow33, pytest.mark.slow, pytest.mark.timeout(900)]


def before(block: Block) -> str:
    """The page above a block."""
    return "".join(PAGE.read_text().splitlines(keepends=True)[: block.line - 1])


def to_do() -> list[Block]:
    return [each for each in blocks(PAGE) if not each.not_run]


def shown(block: Block) -> list[tuple[str, list[str]]]:
    """The commands of a block, each with the lines that it is shown to print."""
    text = re.sub(r"\\\n\s*", "", block.text)
    steps: list[tuple[str, list[str]]] = []
    if not text.startswith("$ "):
        return [(line, []) for line in text.splitlines()]
    for line in text.splitlines():
        if line.startswith("$ "):
            steps.append((line.removeprefix("$ "), []))
        else:
            steps[-1][1].append(line)
    return steps


def pattern(lines: list[str]) -> re.Pattern[str]:
    """What is shown, where ``…`` stands for any text within a line, or for any lines if it is alone."""
    parts = []
    for number, line in enumerate(lines):
        if line == "…":
            parts.append(r"(?:.*\n)*?")
        else:
            last = number == len(lines) - 1
            parts.append(r".*".join(map(re.escape, line.split("…"))) + ("\n?" if last else "\n"))
    return re.compile("".join(parts))


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "PYTHON"))}
    return kept | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), kept["PATH"]]), "COLUMNS": "200"}


class Shell:
    """The reader's terminal: what one command sets, the next one sees."""

    def __init__(self, folder: Path) -> None:
        self._end = "--- done: "
        self._bash = subprocess.Popen(
            ["bash", "--norc"],
            cwd=folder,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, command: str) -> tuple[int, str]:
        """The exit code of a command, and what it printed."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write(f"set -o pipefail\n{command}\necho; echo '{self._end}'$?\n")
        self._bash.stdin.flush()
        printed = ""
        for line in self._bash.stdout:
            if line.startswith(self._end):
                return int(line.removeprefix(self._end)), printed.rstrip() + "\n" * bool(printed.strip())
            printed += line
        raise AssertionError(f"the shell ended: {printed}")

    def close(self) -> None:
        self._bash.kill()
        self._bash.communicate()


@contextmanager
def second_terminal(command: str, folder: Path, until: str) -> Iterator[str]:
    """Run a command until the block ends; what it has printed up to that line."""
    process = subprocess.Popen(
        ["bash", "--norc", "-c", f"exec {command}"], cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        printed = ""
        for line in process.stdout:
            printed += line
            if line.rstrip() == until:
                break
        yield printed
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    """Every command is run and every file saved, in order, and what is shown is what is printed."""
    port = str(free_port())
    ran = saved = 0
    with ExitStack() as stack:
        shell = Shell(tmp_path)
        stack.callback(shell.close)
        for block in to_do():
            block = replace(block, text=block.text.replace(PORT, port))
            above = before(block)
            if block.language != "console":
                target = _SAVED.search(above)
                assert target, f"{block}: where is it to be saved? Say: Save as `path`:"
                (tmp_path / target["path"]).write_text(block.text)
                saved += 1
                continue
            for command, lines in shown(block):
                if above.rstrip().endswith(SECOND_TERMINAL):
                    code, printed = 0, stack.enter_context(second_terminal(command, tmp_path, lines[-1]))
                else:
                    code, printed = shell.run(command)
                assert code == 0, f"{block}: {command} ended with {code}:\n{printed[-6000:]}"
                assert pattern(lines).fullmatch(printed), (
                    f"{block}: {command}\n\nprinted\n\n{printed[-6000:]}\nand the page shows\n\n" + "\n".join(lines)
                )
                ran += 1
    assert ran == sum(len(list(commands(each.text))) for each in to_do() if each.language == "console")
    assert saved == sum(each.language != "console" for each in to_do())
