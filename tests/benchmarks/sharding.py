"""Time and peak memory of cutting a file into shards, with and without references to look for repeats in.

``python -m tests.benchmarks.sharding [--counts 100000 1000000]``
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.side_by_side import Verdicts, load, measured


def write_rows(path: Path, count: int, references: bool) -> None:
    """Write rows of 500 bytes."""
    with path.open("w") as stream:
        for number in range(count):
            row = {"to": f"customer-{number}@example.com", "from": "orders@example.com", "subject": f"Order {number}"}
            reference = {"reference": f"order-{number}"} if references else {}
            stream.write(json.dumps({**row, **reference, "text": "x" * 380}) + "\n")


def shard(folder: Path) -> dict[str, float]:
    """Cut the rows of a folder."""
    from airflow_provider_messaging.operators.sharding import ShardMessagesOperator
    from tests.contexts import TaskInstance, task_context

    operator = ShardMessagesOperator(
        task_id="shard", source_path=str(folder / "rows.ndjson"), shards_path=str(folder / "shards")
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    wall, cpu = time.perf_counter(), time.process_time()
    shards = operator.execute(task_context(TaskInstance(task_id="shard")))
    return {
        "shards": len(shards),
        "seconds": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "before_mb": before,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--shard", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.shard:
        print(json.dumps(shard(arguments.shard)))
        return 0
    verdict = Verdicts()
    for references in (False, True):
        print(f"\n{'with' if references else 'without'} references, {load()}", flush=True)
        found: dict[int, dict[str, Any]] = {}
        for count in arguments.counts:
            with tempfile.TemporaryDirectory() as folder:
                write_rows(Path(folder) / "rows.ndjson", count, references)
                result = found[count] = measured("sharding", "--shard", folder)
            print(
                f"  {count:9,} rows in {result['shards']} shards {result['seconds']:7.2f} s "
                f"{result['cpu'] / count * 1e6:6.2f} µs CPU/row "
                f"{result['before_mb']:.0f} → {result['peak_mb']:.0f} MB",
                flush=True,
            )
        small, large = found[min(found)], found[max(found)]
        if not references:
            verdict(
                "memory of the most rows to that of the fewest", large["peak_mb"] / small["peak_mb"], 1.3, at_most=True
            )
    return 0 if verdict.met else 1


if __name__ == "__main__":
    sys.exit(main())
