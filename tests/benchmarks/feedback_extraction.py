"""Feedback extraction beside its peers: rows a second, peak memory, and the ratios that count.

``python -m tests.benchmarks.feedback_extraction [--rows 100000 1000000] [--latency 0 20] [--dlt PYTHON]``

They run one after the other against one server, which has a core of its own; each has another. Figures are medians.
dlt joins in where ``--dlt`` names the Python of an environment that has it (``pip install 'dlt[duckdb,parquet]'``).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.side_by_side import IMAGES, Verdicts, bars, cores, load, measured, medians, on, serving

CLIENTS = ("ceiling", "bare", "ours", "ours_parquet")
GOALS = {"dlt": 15.0, "bare": 0.8, "memory": 1.1}


@dataclass(frozen=True)
class Setting:
    rows: int
    latency: int
    """Milliseconds of each request."""

    def __str__(self) -> str:
        return f"{self.rows:,} rows, {self.latency} ms"


def feedback(setting: Setting, core: int | None) -> AbstractContextManager[str]:
    """Run the server and give its URL."""
    rows, latency = str(setting.rows), str(setting.latency / 1000)
    return serving("feedback_server", "--rows", rows, "--latency", latency, *on(core))


def measure(client: str, url: str, setting: Setting, arguments: argparse.Namespace, core: int | None) -> dict[str, Any]:
    """Run one client once."""
    with tempfile.TemporaryDirectory() as folder:
        common = ["--url", url, "--rows", str(setting.rows), "--to", folder, *on(core)]
        if client == "dlt":
            return measured("feedback_dlt", *common, python=arguments.dlt)
        return measured("feedback_clients", client, *common, "--in-flight", str(arguments.in_flight))


def compare(setting: Setting, arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return the medians of every client."""
    server_core, core = cores()
    names = [*arguments.clients]
    if arguments.dlt and setting.rows <= arguments.dlt_rows:
        names.append("dlt")
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    with feedback(setting, server_core) as url:
        for _ in range(arguments.repeat):
            for name in names:
                if name != "dlt" or not runs["dlt"]:
                    runs[name].append(measure(name, url, setting, arguments, core))
    print(f"\n{setting}, {arguments.in_flight} in flight, {arguments.repeat} times (dlt once), {load()}", flush=True)
    found: dict[str, dict[str, float]] = {}
    for name, results in runs.items():
        found[name] = medians(results, "seconds", "cpu", "peak_mb")
        seconds, cpu, peak = found[name].values()
        print(
            f"  {name:13}{seconds:8.2f} s {setting.rows / seconds:11,.0f} rows/s "
            f"{cpu / setting.rows * 1e6:7.2f} µs CPU/row {peak:7.1f} MB",
            flush=True,
        )
    return found


def judge(results: dict[Setting, dict[str, dict[str, float]]]) -> bool:
    """Print the ratios and tell whether all goals are met."""
    verdict = Verdicts()
    print("\nratios")
    for setting, clients in results.items():
        if "ours" not in clients:
            continue
        for peer in ("dlt", "bare"):
            if peer in clients:
                ratio = clients[peer]["seconds"] / clients["ours"]["seconds"]
                if setting.latency == 20:
                    verdict(f"speed, {setting}, against {peer}", ratio, GOALS[peer])
                else:
                    print(f"       speed, {setting}, against {peer}: {ratio:.2f}")
    for latency in {setting.latency for setting in results}:
        peaks = {s.rows: c["ours"]["peak_mb"] for s, c in results.items() if s.latency == latency and "ours" in c}
        if len(peaks) > 1:
            small, large = min(peaks), max(peaks)
            what = f"memory, {large:,} rows against {small:,}, {latency} ms"
            verdict(what, peaks[large] / peaks[small], GOALS["memory"], at_most=True)
    return verdict.met


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--latency", type=int, nargs="+", default=[0, 20], help="milliseconds of each request")
    parser.add_argument("--in-flight", type=int, default=16)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--clients", nargs="+", choices=CLIENTS, default=CLIENTS)
    parser.add_argument("--dlt", help="the Python of an environment with dlt")
    parser.add_argument("--dlt-rows", type=int, default=100_000, help="the most rows that dlt is asked for")
    parser.add_argument("--chart", action="store_true", help="write docs/images/feedback.svg")
    arguments = parser.parse_args()
    settings = [Setting(rows, latency) for latency in arguments.latency for rows in arguments.rows]
    results = {setting: compare(setting, arguments) for setting in settings}
    if arguments.chart:
        groups = {
            str(setting): {name: setting.rows / clients[name]["seconds"] for name in clients if name != "ceiling"}
            for setting, clients in results.items()
        }
        title = f"Reading feedback, {arguments.in_flight} requests in flight"
        bars(IMAGES / "feedback.svg", title, "rows a second", groups)
    return 0 if judge(results) else 1


if __name__ == "__main__":
    sys.exit(main())
