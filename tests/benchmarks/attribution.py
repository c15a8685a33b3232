"""Time and peak memory of attributing feedback, from files to files: as many messages as events.

``python -m tests.benchmarks.attribution [--counts 100000 1000000]``
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
START = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 30


def write_manifest(path: Path, count: int) -> None:
    """One line a message, ten messages a recipient, all of them in no order."""
    numbers = list(range(count))
    random.Random(1).shuffle(numbers)
    with gzip.open(path, "wt", compresslevel=1) as stream:
        for number in numbers:
            line = {
                "reference": f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}",
                "recipient": f"user{number // 10}@Example.com",
                **{"profile": None, "tags": [], "dag_id": "mailing", "run_id": "manual__1", "task_id": "send"},
                **{"map_index": -1, "row": number, "outcome": "accepted", "at": START.isoformat()},
            }
            stream.write(json.dumps(line) + "\n")


def write_feedback(folder: Path, count: int) -> None:
    """Of the events a third are copies, and a tenth are of unknown messages; most bounces are soft."""
    rng = random.Random(2)
    paths = [folder / "kind=bounces" / f"date={(START + timedelta(days=day)).date()}" for day in range(DAYS)]
    for path in paths:
        path.mkdir(parents=True)
    with ExitStack() as stack:
        streams = [stack.enter_context(gzip.open(path / "b.ndjson.gz", "wt", compresslevel=1)) for path in paths]
        for number in range(count):
            write_event(streams, number, count, rng)


def write_event(streams: list[Any], number: int, count: int, rng: random.Random) -> None:
    of = rng.randrange(count) if rng.random() < 0.9 else number + count
    day = of % DAYS
    row = {
        "account_id": "account",
        "external_reference": f"{of * 0x9E3779B97F4A7C15 % 2**64:016x}",
        "timestamp": (START + timedelta(days=day, microseconds=of % 86_400_000_000)).isoformat(),
        "domain": "example.com",
        "mapping": "hard" if of % 50 == 0 else "soft",
        "mode": "direct",
        "finalize_reason": "tooManyRetries",
        "outcome": "452 4.2.2 The mailbox is full",
        "outcome_category": "mailboxFull",
    }
    streams[day].write(json.dumps(row) + "\n")


def attribute(folder: Path) -> dict[str, Any]:
    """Attribute what is in a folder; return counts and the peak of this process in megabytes."""
    from airflow_provider_messaging.operators.suppression import AttributeFeedbackOperator

    def peak() -> float:
        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)

    operator = AttributeFeedbackOperator(
        task_id="attribute",
        manifest_path=str(folder / "manifest.ndjson.gz"),
        source_path=str(folder / "feedback"),
        addresses_path=str(folder / "addresses.ndjson"),
        unattributed_path=str(folder / "unattributed.ndjson"),
        reached_path=str(folder / "reached.ndjson"),
    )
    before, began = peak(), time.monotonic()
    found = operator.attribute(None)
    seconds = round(time.monotonic() - began, 1)
    counted = {name: found[name] for name in ("messages", "events", "copies", "attributed", "addresses")}
    return {**counted, "seconds": seconds, "before_mb": before, "peak_mb": peak()}


def measured(count: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_manifest(folder / "manifest.ndjson.gz", count)
        write_feedback(folder / "feedback", count)
        command = [sys.executable, "-m", "tests.benchmarks.attribution", "--attribute", name]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[100_000, 1_000_000], help="messages, and events")
    parser.add_argument("--attribute", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.attribute:
        print(json.dumps(attribute(Path(arguments.attribute))))
        return
    results = [measured(count) for count in arguments.counts]
    for result in results:
        print(result)
    print(f"peak of the last to the first: {results[-1]['peak_mb'] / results[0]['peak_mb']:.2f}")


if __name__ == "__main__":
    main()
