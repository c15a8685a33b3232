"""Peak memory of sends of different lengths, from NDJSON, with ledger, manifest and rejects.

``python -m tests.benchmarks.send_memory [--counts 10000 1000000] [--size 1000] [--airflow] [--rejected 0.01]``
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from airflow_provider_messaging.delivery.engine import Delivery
from airflow_provider_messaging.delivery.options import Options
from airflow_provider_messaging.delivery.outputs import LineFile, Outputs, copy_to
from airflow_provider_messaging.delivery.source import read_lines
from airflow_provider_messaging.sandbox.process import Sandbox, running_sandbox
from airflow_provider_messaging.transport.aio import AsyncTransport
from tests.delivery.sending import IDENTITY, ROOT, TRANSPORT, FileStore, channel, row


def write_rows(path: Path, count: int, size: int, rejected: float) -> None:
    """Write rows of about `size` bytes, a share of them without a valid address."""
    rng = random.Random(1)
    with path.open("w") as stream:
        for number in range(count):
            bad = {"to": "nobody"} if rng.random() < rejected else {}
            stream.write(json.dumps(row(number, max(1, size - 170), **bad)) + "\n")


async def send(url: str, folder: Path) -> dict[str, Any]:
    """Send the rows of a folder; return counts and the peak of this process in megabytes."""

    def rows() -> Any:
        with (folder / "rows.ndjson").open("rb") as stream:
            yield from read_lines(stream)

    outputs = Outputs(
        manifest=LineFile(copy_to(str(folder / "manifest.ndjson")), compressed=False),
        rejects=LineFile(copy_to(str(folder / "rejects.ndjson")), compressed=False),
        origin={},
    )
    began = time.monotonic()
    with outputs:
        async with AsyncTransport(TRANSPORT) as runner:
            delivery = Delivery(
                rows=rows,
                channel=channel(url),
                runner=runner,
                store=FileStore(folder / "ledger.json"),
                outputs=outputs,
                reference_of=IDENTITY.reference,
                options=Options(),
            )
            report = await delivery.run()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {**report.counts(), "seconds": round(time.monotonic() - began, 1), "peak_mb": round(peak, 1)}


def measured(sandbox: Sandbox, count: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Send that many rows in a process of its own."""
    sandbox.reset()
    sandbox.settings(check_rules=False)
    with tempfile.TemporaryDirectory() as name:
        write_rows(Path(name) / "rows.ndjson", count, arguments.size, arguments.rejected)
        command = [sys.executable, "-m", "tests.benchmarks.send_memory", "--send", sandbox.url, name]
        if arguments.airflow:
            command.append("--airflow")
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True)
        ledger = (Path(name) / "ledger.json").stat().st_size
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**result, "ledger_bytes": ledger}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 1_000_000], help="messages of each send")
    parser.add_argument("--size", type=int, default=1_000, help="bytes of a row, about")
    parser.add_argument("--rejected", type=float, default=0.0, help="share of rows that break a rule")
    parser.add_argument("--airflow", action="store_true", help="with airflow.sdk imported, as in a task")
    parser.add_argument("--send", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.airflow:
        import airflow.sdk  # noqa: F401
    if arguments.send:
        print(json.dumps(asyncio.run(send(arguments.send[0], Path(arguments.send[1])))))
        return
    with running_sandbox() as sandbox:
        results = [measured(sandbox, count, arguments) for count in arguments.counts]
    for result in results:
        print(result)
    print(f"peak of the last to the first: {results[-1]['peak_mb'] / results[0]['peak_mb']:.2f}")


if __name__ == "__main__":
    main()
