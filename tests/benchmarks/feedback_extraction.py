"""Feedback extraction beside its peers: rows a second, peak memory, and the ratios that count.

``python -m tests.benchmarks.feedback_extraction [--rows 100000 1000000] [--latency 0 20] [--dlt PYTHON]``

They run one after the other against one server, which has a core of its own; each has another. Figures are medians.
dlt joins in where ``--dlt`` names the Python of an environment that has it (``pip install 'dlt[duckdb,parquet]'``).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
CLIENTS = ("ceiling", "bare", "ours", "ours_parquet")
GOALS = {"dlt": 15.0, "bare": 0.8, "memory": 1.1}


@dataclass(frozen=True)
class Setting:
    rows: int
    latency: int
    """Milliseconds of each request."""

    def __str__(self) -> str:
        return f"{self.rows:,} rows, {self.latency} ms"


@contextmanager
def serving(setting: Setting, core: int | None) -> Iterator[str]:
    """Run the server and give its URL."""
    command = [sys.executable, "-m", "tests.benchmarks.feedback_server", "--rows", str(setting.rows)]
    command += ["--latency", str(setting.latency / 1000), *_on(core)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.terminate()


def measure(client: str, url: str, setting: Setting, arguments: argparse.Namespace, core: int | None) -> dict[str, Any]:
    """Run one client once."""
    with tempfile.TemporaryDirectory() as folder:
        common = ["--url", url, "--rows", str(setting.rows), "--to", folder, *_on(core)]
        if client == "dlt":
            command = [arguments.dlt, str(ROOT / "tests/benchmarks/feedback_dlt.py"), *common]
        else:
            command = [sys.executable, "-m", "tests.benchmarks.feedback_clients", client, *common]
            command += ["--in-flight", str(arguments.in_flight)]
        env = {**os.environ, "AIRFLOW_HOME": folder, "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{client} failed: {done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def compare(setting: Setting, arguments: argparse.Namespace, cores: Sequence[int | None]) -> dict[str, dict[str, Any]]:
    """Return the medians of every client."""
    names = [*arguments.clients]
    if arguments.dlt and setting.rows <= arguments.dlt_rows:
        names.append("dlt")
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    with serving(setting, cores[0]) as url:
        for _ in range(arguments.repeat):
            for name in names:
                if name != "dlt" or not runs["dlt"]:
                    runs[name].append(measure(name, url, setting, arguments, cores[1]))
    print(f"\n{setting}, {arguments.in_flight} in flight, {arguments.repeat} times (dlt once)", flush=True)
    medians: dict[str, dict[str, Any]] = {}
    for name, results in runs.items():
        medians[name] = {key: statistics.median(result[key] for result in results) for key in ("seconds", "peak_mb")}
        medians[name]["cpu"] = statistics.median(result["cpu"] for result in results)
        seconds, cpu, peak = (medians[name][key] for key in ("seconds", "cpu", "peak_mb"))
        rate = setting.rows / seconds
        print(
            f"  {name:13}{seconds:8.2f} s {rate:11,.0f} rows/s {cpu / setting.rows * 1e6:7.2f} µs CPU/row "
            f"{peak:7.1f} MB",
            flush=True,
        )
    return medians


def judge(results: dict[Setting, dict[str, dict[str, Any]]]) -> bool:
    """Print the ratios and tell whether all goals are met."""
    met = True

    def line(what: str, ratio: float, goal: float, *, at_most: bool = False) -> None:
        nonlocal met
        good = ratio <= goal if at_most else ratio >= goal
        met = met and good
        print(f"  {'ok  ' if good else 'MISS'} {what}: {ratio:.2f} (goal {'≤' if at_most else '≥'} {goal})")

    print("\nratios")
    for setting, clients in results.items():
        if "ours" not in clients:
            continue
        for peer in ("dlt", "bare"):
            if peer in clients:
                ratio = clients[peer]["seconds"] / clients["ours"]["seconds"]
                if setting.latency == 20:
                    line(f"speed, {setting}, against {peer}", ratio, GOALS[peer])
                else:
                    print(f"       speed, {setting}, against {peer}: {ratio:.2f}")
    for latency in {setting.latency for setting in results}:
        peaks = {s.rows: c["ours"]["peak_mb"] for s, c in results.items() if s.latency == latency and "ours" in c}
        if len(peaks) > 1:
            small, large = min(peaks), max(peaks)
            what = f"memory, {large:,} rows against {small:,}, {latency} ms"
            line(what, peaks[large] / peaks[small], GOALS["memory"], at_most=True)
    return met


def _on(core: int | None) -> list[str]:
    return [] if core is None else ["--core", str(core)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--latency", type=int, nargs="+", default=[0, 20], help="milliseconds of each request")
    parser.add_argument("--in-flight", type=int, default=16)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--clients", nargs="+", choices=CLIENTS, default=CLIENTS)
    parser.add_argument("--dlt", help="the Python of an environment with dlt")
    parser.add_argument("--dlt-rows", type=int, default=100_000, help="the most rows that dlt is asked for")
    arguments = parser.parse_args()
    available = sorted(os.sched_getaffinity(0))
    cores: list[int | None] = [available[0], available[1]] if len(available) > 1 else [None, None]
    settings = [Setting(rows, latency) for latency in arguments.latency for rows in arguments.rows]
    results = {setting: compare(setting, arguments, cores) for setting in settings}
    return 0 if judge(results) else 1


if __name__ == "__main__":
    sys.exit(main())
