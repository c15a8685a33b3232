"""A large export, killed in the middle: the next one completes it and fetches next to nothing twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.archive.conftest import attachment, fetched, index, metadata, row

PROFILES, MESSAGES, WORKERS = 100, 2000, 8
EXPORT = """
import sys
from airflow_provider_messaging.operators.marigold import ExportArchiveOperator
from tests.contexts import task_context

profiles, target = sys.argv[1:]
operator = ExportArchiveOperator(task_id="e", profile_ids_path=profiles, export_path=target, max_concurrency=8)
print(operator.execute(task_context()))
"""


def start(profiles: Path, target: Path) -> subprocess.Popen[bytes]:
    root = Path(__file__).resolve().parents[2]
    return subprocess.Popen(
        [sys.executable, "-c", EXPORT, str(profiles), str(target)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def asked(sandbox: Sandbox) -> int:
    """Requests to the archive; counts only, since the whole log would keep the sandbox busy."""
    counts = sandbox.request_counts()
    return sum(int(each["count"]) for each in counts if str(each["operation"]).startswith("archive_"))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_export_that_is_killed_is_completed_by_the_next_one(
    hook: MarigoldHook, sandbox: Sandbox, target: Path, tmp_path: Path
) -> None:
    rows = [row(f"m-{n}", f"p-{n % PROFILES}", attachments=[attachment("../a.txt")]) for n in range(MESSAGES)]
    assert hook.send_email(rows) == MESSAGES
    profiles = tmp_path / "profiles.txt"
    profiles.write_text("".join(f"p-{n}\n" for n in range(PROFILES)))

    first = start(profiles, target)
    try:
        deadline = time.monotonic() + 120
        while asked(sandbox) < 3 * MESSAGES / 2:
            assert first.poll() is None, first.communicate()[0].decode()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.kill(first.pid, signal.SIGKILL)
    finally:
        first.kill()
        first.communicate()
    assert not (target / "index.ndjson").exists()
    complete = sorted(target.rglob("metadata.json"))
    assert 0 < len(complete) < MESSAGES
    stamps = {path: path.stat().st_mtime_ns for path in complete}

    second = start(profiles, target)
    output = second.communicate(timeout=200)[0].decode()
    assert second.returncode == 0, output

    lines = index(target / "index.ndjson")
    assert Counter(line["status"] for line in lines) == {
        "present": len(complete),
        "exported": MESSAGES - len(complete),
    }
    assert {(line["profile"], line["message_id"]) for line in lines} == {
        (f"p-{n % PROFILES}", f"m-{n}") for n in range(MESSAGES)
    }
    assert {path: path.stat().st_mtime_ns for path in complete} == stamps
    for line in lines:
        folder = target / line["folder"]
        document = metadata(folder)
        assert [file["path"] for file in document["files"]] == ["message.eml", "attachments/0001-a.txt"]
        assert (folder / "attachments" / "0001-a.txt").read_bytes() == b"hello"
        assert all((folder / file["path"]).stat().st_size == file["size"] for file in document["files"])

    assert not list(target.rglob("*.part-*"))
    times = Counter(fetched(sandbox))
    assert len(times) == 3 * MESSAGES
    twice = [path for path, count in times.items() if count > 1]
    # Only what the killed workers were at: three requests a message, a message a worker.
    assert len(twice) <= 3 * WORKERS
    assert max(times.values()) == 2
    print(json.dumps({"complete at the kill": len(complete), "fetched twice": len(twice)}))
