"""Runs the real command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND = str(Path(sys.executable).parent / "airflow-messaging")


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What a command printed for machines: exactly one line."""
        (line,) = self.out.splitlines()
        return json.loads(line)


def run(*arguments: str | Path, env: Mapping[str, str] | None = None, given: str = "", code: int = 0) -> Done:
    """Run ``airflow-messaging`` and check its exit code."""
    done = subprocess.run(
        [COMMAND, *map(str, arguments)],
        env={**os.environ, **(env or {})},
        input=given,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


def write(path: Path, *rows: Any) -> Path:
    """Write NDJSON; text is written as it is."""
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def read(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]
