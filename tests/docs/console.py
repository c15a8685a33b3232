"""Whether the commands of a console block exist, with the options that they are shown with, without running them."""

from __future__ import annotations

import io
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
DISTRIBUTION = distribution("airflow-provider-messaging")
# Of the operating system: `bash -n` says whether they are written well, the rest is not ours.
COMMON = {
    "cat",
    "cd",
    "cp",
    "curl",
    "export",
    "grep",
    "head",
    "ls",
    "mkdir",
    "mv",
    "rm",
    "sed",
    "sqlite3",
    "tail",
    "createdb",
}
COMMON |= {"psql", "source", "kill", "python3", "jq", "echo", "head", "wc", "zcat"}


class WrongCommand(Exception):
    """A command that does not exist, or not like this; the message says what to do."""


def check(text: str) -> None:
    """Raise WrongCommand if a block shows a command that nobody could run."""
    parsed = subprocess.run(
        ["bash", "-n"], input="\n".join(commands(text)), capture_output=True, text=True, check=False
    )
    if parsed.returncode:
        raise WrongCommand(f"bash can't read it: {parsed.stderr.strip()}")
    for command in commands(text):
        if "<<" in command:
            continue
        for words in _simple(command):
            _check_words(words)


def commands(text: str) -> Iterator[str]:
    """The commands of a block: the lines after ``$``, or all of them where there is none."""
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    prompted = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    yield from prompted or [line for line in lines if line.strip()]


def _simple(command: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|&;")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word and set(word) <= set("|&;"):
            while words and re.fullmatch(r"\w+=.*", words[0], flags=re.DOTALL):
                del words[0]
            if words:
                yield words
            words = []
        else:
            words.append(word)


def _check_words(words: list[str]) -> None:
    name, rest = words[0], words[1:]
    scripts = {entry.name for entry in DISTRIBUTION.entry_points if entry.group == "console_scripts"}
    if name == "make":
        _check_make(rest)
    elif name == "airflow":
        _check_airflow(rest)
    elif name in {"python", "python3"} and rest[:1] == ["-m"]:
        _check_module(rest[1], rest[2:])
    elif name == "pip" and rest[:1] == ["install"]:
        _check_pip(rest[1:])
    elif name in scripts:
        script = str(Path(sys.executable).with_name(name))
        _check_help(name, tuple(_before_options(rest)), rest, lambda *args: (script, *args))
    elif name not in COMMON:
        raise WrongCommand(
            f"{name!r} is no target, module, script or common command that tests/docs/console.py knows: teach it, or "
            "put `<!-- not run: why -->` above the block"
        )


def _check_airflow(words: list[str]) -> None:
    """With Airflow's own parser."""
    from airflow.cli.cli_parser import get_parser

    said = io.StringIO()
    try:
        with redirect_stderr(said), redirect_stdout(said):
            get_parser().parse_args(words)
    except SystemExit as end:
        if end.code:
            raise WrongCommand(f"airflow {' '.join(words)}: {said.getvalue()[-2000:]}") from None


def _check_make(words: list[str]) -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for word in words:
        if "=" not in word and word not in targets:
            raise WrongCommand(f"the Makefile has no target {word!r}")


def _check_module(module: str, rest: list[str]) -> None:
    def command(*args: str) -> tuple[str, ...]:
        return (sys.executable, "-m", module, *args)

    if module == "venv":
        return
    if module == "http.server":
        _check_help(module, (), rest, command)
        return
    if not module.startswith(("airflow", "pip", "dev.", "tests.")):
        raise WrongCommand(f"python -m {module}: none of ours, and tests/docs/console.py does not know it")
    _check_help(module, tuple(_before_options(rest)), rest, command)


def _check_pip(words: list[str]) -> None:
    extras = set(DISTRIBUTION.metadata.get_all("Provides-Extra", []))
    for word in words:
        if word.startswith("-") or "/" in word or "$" in word or word.endswith((".txt", ".whl")):
            continue
        found = Requirement(word)
        if found.name == DISTRIBUTION.metadata["Name"] and not found.extras <= extras:
            raise WrongCommand(f"there is no extra {found.extras - extras}, only {sorted(extras)}")


def _check_help(
    name: str, subcommands: tuple[str, ...], words: list[str], command: Callable[..., tuple[str, ...]]
) -> None:
    text = _help(command(*_known(name, subcommands, command), "--help"))
    for word in words:
        option = word.partition("=")[0]
        if option.startswith("--") and not re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text):
            raise WrongCommand(f"{name} {' '.join(subcommands)} has no option {option}:\n{text[-2000:]}")


def _known(name: str, words: tuple[str, ...], command: Callable[..., tuple[str, ...]]) -> tuple[str, ...]:
    """The leading words that are subcommands; what follows are arguments."""
    known: tuple[str, ...] = ()
    for word in words:
        try:
            listed = _help(command(*known, "--help"))
        except WrongCommand:
            break
        if not re.search(rf"(?:^\s+|[{{,]){re.escape(word)}(?:[\s,}}]|$)", listed, flags=re.MULTILINE):
            if not known and re.search(r"\{\w[\w-]*,", listed):
                raise WrongCommand(f"{name} has no command {word!r}:\n{listed[:2000]}")
            break
        known = (*known, word)
    return known


def _before_options(words: list[str]) -> Iterator[str]:
    for word in words:
        if word.startswith("-"):
            return
        yield word


@cache
def _help(command: tuple[str, ...]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=300)
    if done.returncode:
        raise WrongCommand(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout
