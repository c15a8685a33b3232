"""What benchmarks that run clients beside each other have in common: a server, clients, medians, verdicts, a chart."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs" / "images"


def cores() -> tuple[int | None, int | None]:
    """Return a core for the server and another for the clients, where there are two."""
    available = sorted(os.sched_getaffinity(0))
    return (available[0], available[1]) if len(available) > 1 else (None, None)


def on(core: int | None) -> list[str]:
    return [] if core is None else ["--core", str(core)]


@contextmanager
def serving(module: str, *arguments: str, scheme: str = "http") -> Iterator[str]:
    """Run a server of `tests.benchmarks` that prints its port, and give its URL."""
    command = [sys.executable, "-m", f"tests.benchmarks.{module}", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"{scheme}://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.terminate()


def measured(
    module: str, *arguments: str, env: Mapping[str, str] | None = None, python: str | None = None
) -> dict[str, Any]:
    """Run a client of `tests.benchmarks` once, in a process and an Airflow home of its own; return its last line.

    :param python: of the environment that it needs; default: ours.
    """
    with tempfile.TemporaryDirectory() as home:
        command = [python or sys.executable, "-m", f"tests.benchmarks.{module}", *arguments]
        own = {"AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "NO_PROXY": "127.0.0.1"}
        done = subprocess.run(
            command, cwd=ROOT, env={**os.environ, **own, **(env or {})}, capture_output=True, text=True
        )
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed: {done.stderr[-3000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def medians(results: Sequence[Mapping[str, float]], *names: str) -> dict[str, float]:
    return {name: statistics.median(result[name] for result in results) for name in names}


def load() -> str:
    """Say how busy the machine is, since figures of a busy one are worth little."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


class Verdicts:
    """Prints ratios and remembers whether all goals are met."""

    def __init__(self) -> None:
        self.met = True

    def __call__(self, what: str, ratio: float, goal: float, *, at_most: bool = False) -> None:
        good = ratio <= goal if at_most else ratio >= goal
        self.met = self.met and good
        print(
            f"  {'ok  ' if good else 'MISS'} {what}: {ratio:.2f} (goal {'≤' if at_most else '≥'} {goal:g})", flush=True
        )


def bars(path: Path, title: str, unit: str, groups: Mapping[str, Mapping[str, float]], *, ours: str = "ours") -> None:
    """Write horizontal bars as SVG, one block for each group, ours in another colour."""
    width, left, bar, gap = 760, 190, 18, 30
    rows: list[str] = []
    y = 54
    for group, values in groups.items():
        rows.append(f'<text x="12" y="{y}" font-weight="bold">{escape(group)}</text>')
        y += 10
        most = max(values.values())
        for name, value in values.items():
            length = max(1.0, (width - left - 110) * value / most)
            colour = "#1f6feb" if name.startswith(ours) else "#9aa4b1"
            rows += [
                f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>',
                f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{bar - 3}" fill="{colour}"/>',
                f'<text x="{left + length + 6:.1f}" y="{y + 13}">{value:,.{0 if most >= 100 else 1}f}</text>',
            ]
            y += bar
        y += gap
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" role="img" aria-label="{escape(title)}" '
        'font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="#ffffff"/><text x="12" y="22" font-size="15">{escape(title)}</text>'
        f'<text x="{width - 12}" y="22" text-anchor="end">{escape(unit)}</text>'
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([head, *rows, "</svg>"]) + "\n")
