"""Sending beside its peers: messages a second, CPU of a message, peak memory, and the ratios that count.

``python -m tests.benchmarks.sending [--counts 10000 100000] [--sizes 1000 20000] [--latency 0 20]``, and with
``--enqueue`` for contacts of Press'nXPress, each a request of its own.

They run one after the other against one server, which has a core of its own; each has another. Figures are medians.
``ceiling`` writes ready-made bodies to sockets: it shows that the server is faster than any client. ``bare`` is aiohttp
with as many requests in flight and no rule, ledger or manifest: the practical limit.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.sending_clients import CLIENTS
from tests.benchmarks.side_by_side import IMAGES, Verdicts, bars, cores, load, measured, medians, on, serving

FAST = ("ceiling", "bare", "ours", "ours_judged")
"""Those that are run with the largest numbers of messages as well, beside `hook` where it sends batches."""
GOALS = {
    "hook at 0 KB": 12.0,
    "hook at 1 KB": 12.0,
    "hook at 20 KB": 5.0,
    "bare": 0.7,
    "cpu": 40.0,
    "time": 10.5,
    "memory": 1.3,
}


@dataclass(frozen=True)
class Setting:
    count: int
    size: int
    """Bytes of a message, about."""
    latency: int
    """Milliseconds of each request."""

    def __str__(self) -> str:
        return f"{self.count:,} messages of {self.size / 1000:g} KB, {self.latency} ms"


def write_rows(path: Path, count: int, size: int) -> None:
    """Write rows in the short form, without references, of about `size` bytes of ordinary text."""
    words = "Your parcel has left our warehouse and is on its way to you. "
    text = (words * (size // len(words) + 1))[: max(1, size - 170)]
    with path.open("w") as stream:
        for number in range(count):
            row = {
                "to": f"customer-{number}@example.com",
                "from": "Example Shop <orders@example.com>",
                "subject": f"Your order {number} is on its way",
                "text": f"{number} {text}",
                "tags": ["orders"],
            }
            stream.write(json.dumps(row) + "\n")


def write_contacts(path: Path, count: int, size: int) -> None:
    with path.open("w") as stream:
        for number in range(count):
            contact = {"email": f"customer-{number}@example.com", "firstname": "Ada", "identifier": f"order-{number}"}
            stream.write(json.dumps(contact) + "\n")


def compare(setting: Setting, arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return the medians of every client."""
    server_core, core = cores()
    smallest = setting.count == min(arguments.counts)
    fast = FAST if arguments.enqueue else (*FAST, "hook")
    names = [name for name in arguments.clients if smallest or name in fast]
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "rows.ndjson"
        (write_contacts if arguments.enqueue else write_rows)(source, setting.count, setting.size)
        for _ in range(arguments.repeat):
            for name in names:
                with serving("vendor_server", "--latency", str(setting.latency / 1000), *on(server_core)) as url:
                    options = ["--url", url, "--from", str(source), "--in-flight", str(arguments.in_flight)]
                    options += ["--batch", "1" if arguments.enqueue else "100"]
                    result = measured("sending_clients", name, *options, "--to", folder, *on(core))
                if result["count"] != setting.count:
                    raise SystemExit(f"{name}: {result['count']} of {setting.count} messages")
                if not arguments.enqueue and result["server"]["bytes"] < source.stat().st_size - 2 * setting.count:
                    raise SystemExit(f"{name}: the server has got {result['server']}")
                runs[name].append(result)
    print(f"\n{setting}, {arguments.in_flight} in flight, {arguments.repeat} times, {load()}", flush=True)
    found = {}
    for name, results in runs.items():
        found[name] = medians(results, "seconds", "cpu", "peak_mb")
        seconds, cpu, peak = found[name].values()
        print(
            f"  {name:17}{seconds:8.2f} s {setting.count / seconds:11,.0f} messages/s "
            f"{cpu / setting.count * 1e6:8.2f} µs CPU/message {peak:7.1f} MB",
            flush=True,
        )
    return found


def judge(results: dict[Setting, dict[str, dict[str, float]]], in_flight: int) -> bool:
    """Print the ratios and tell whether all goals are met."""
    verdict = Verdicts()
    print("\nratios")
    for setting, clients in results.items():
        if "ours" not in clients:
            continue
        for peer in ("hook", "bare"):
            if peer not in clients:
                continue
            ratio = clients[peer]["seconds"] / clients["ours"]["seconds"]
            goal = GOALS["bare"] if peer == "bare" else GOALS.get(f"hook at {setting.size // 1000} KB")
            if setting.latency == 20 and goal is not None and (peer == "hook" or setting.size == 1000):
                verdict(f"speed, {setting}, against {peer}", ratio, goal)
            else:
                print(f"       speed, {setting}, against {peer}: {ratio:.2f}")
        if setting.size == 1000:
            cpu = clients["ours"]["cpu"] / setting.count * 1e6
            verdict(f"µs CPU of a message, {setting}", cpu, GOALS["cpu"], at_most=True)
    for setting, clients in results.items():
        larger = Setting(setting.count * 10, setting.size, setting.latency)
        if larger in results and "ours" in clients:
            ratios = {name: results[larger]["ours"][name] / clients["ours"][name] for name in ("seconds", "peak_mb")}
            verdict(f"time, {larger}, to a tenth of it", ratios["seconds"], GOALS["time"], at_most=True)
            verdict(f"memory, {larger}, to a tenth of it", ratios["peak_mb"], GOALS["memory"], at_most=True)
    return verdict.met


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 20_000], help="bytes of a message")
    parser.add_argument("--latency", type=int, nargs="+", default=[0, 20], help="milliseconds of each request")
    parser.add_argument("--in-flight", type=int, default=16)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--clients", nargs="+", choices=CLIENTS, default=list(CLIENTS))
    parser.add_argument("--enqueue", action="store_true", help="contacts for Press'nXPress, one a request")
    parser.add_argument("--chart", action="store_true", help="write docs/images/sending.svg, or enqueueing.svg")
    arguments = parser.parse_args()
    name = "enqueueing" if arguments.enqueue else "sending"
    if arguments.enqueue:
        arguments.sizes = [100]
        arguments.counts = [1_000, 10_000]
    settings = [
        Setting(count, size, latency)
        for size in arguments.sizes
        for latency in arguments.latency
        for count in sorted(arguments.counts)
    ]
    results = {setting: compare(setting, arguments) for setting in settings}
    if arguments.chart:
        groups = {
            str(setting): {name: setting.count / clients[name]["seconds"] for name in clients if name != "ceiling"}
            for setting, clients in results.items()
            if setting.count == min(arguments.counts)
        }
        bars(
            IMAGES / f"{name}.svg",
            f"{name.title()}, {arguments.in_flight} requests in flight",
            "messages a second",
            groups,
        )
    return 0 if judge(results, arguments.in_flight) else 1


if __name__ == "__main__":
    sys.exit(main())
