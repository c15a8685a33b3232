"""A receiver as a process of its own, to be killed and started again, and what it has landed."""

from __future__ import annotations

import gzip
import json
import os
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psutil
from sqlalchemy import create_engine, text

from airflow_provider_messaging.vendors.marigold.segments import Segment
from dev.processes import Child, free_port, stop

SECRET = "a-secret-of-the-tests"
PREVIOUS = "the-secret-before-that"
HEADERS = {"X-Webhook-Secret": SECRET, "Content-Type": "application/json"}


def event(identifier: str, name: str = "com.sdc.deliveries.email.failed", **more: Any) -> dict[str, Any]:
    """An event as the vendor's page has it."""
    return {
        "id": identifier,
        "source": "/sdc",
        "type": name,
        "time": "2022-03-16T12:56:04.8111884Z",
        "specversion": "1.0",
        "datacontenttype": "application/json",
        "subject": identifier,
        "data": {
            "result": "undeliverable",
            "outcome": "5.1.1 no such user",
            "recipient": f"{identifier}@example.com",
            "external_reference": identifier,
            "timestamp": "2022-03-16T12:56:00.1260605",
            "outcome_category": "badUser",
            "finalize_reason": "hardBounce",
        },
        **more,
    }


@dataclass
class Running:
    """A receiver below `folder`, on a port that stays its own.

    :param inbox: its database's URL.
    """

    folder: Path
    inbox: str
    options: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    child: Child | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def root(self) -> Path:
        return self.folder / "segments"

    @property
    def log(self) -> str:
        return (self.folder / "receiver.log").read_text()

    def environment(self) -> dict[str, str]:
        settings = {
            "path": str(self.root),
            "inbox": self.inbox,
            "secret": SECRET,
            "secret_previous": PREVIOUS,
            "seal_seconds": "1",
            "seal_seconds_deliveries": "2",
            **self.options,
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW__MESSAGING")}
        return kept | {f"AIRFLOW__MESSAGING__WEBHOOKS_{name.upper()}": value for name, value in settings.items()}

    def start(self) -> Self:
        """Start it, and wait until it receives."""
        self.spawn()
        return self.wait()

    def spawn(self) -> None:
        """Start it. The thread that does so must live on: the process ends with it."""
        command = [sys.executable, "-m", "airflow_provider_messaging.webhooks", "--port", str(self.port)]
        self.child = Child("receiver", command, env=self.environment(), log=self.folder / "receiver.log")

    def wait(self) -> Self:
        """Wait until it receives."""
        assert self.child is not None
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            self.child.check()
            try:
                if json.loads(self.get("/health"))["status"] == "ok":
                    return self
            except OSError:
                time.sleep(0.1)
        raise AssertionError(f"the receiver does not answer. Its log ends:\n{self.child.log_tail()}")

    def kill(self) -> None:
        """End it with SIGKILL."""
        assert self.child is not None
        process = psutil.Process(self.child.pid)
        process.kill()
        stop([self.child])

    def stop(self) -> None:
        if self.child is not None:
            stop([self.child])

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return str(answer.read().decode())

    def figure(self, name: str) -> float:
        """One of the receiver's metrics, the sum of its labels."""
        lines = self.get("/metrics").splitlines()
        found = [line for line in lines if line.split("{")[0].split(" ")[0] == f"messaging_webhooks_{name}"]
        return sum(float(line.rpartition(" ")[2]) for line in found)

    def wait_until_landed(self, seconds: float = 120) -> None:
        """Wait until the inbox is empty."""
        deadline = time.monotonic() + seconds
        while self.figure("inbox_events"):
            assert time.monotonic() < deadline, f"not landed:\n{self.log[-3000:]}"
            time.sleep(0.2)

    def segments(self) -> list[Path]:
        """The files below the root; each of them is a segment."""
        return sorted(path for path in self.root.rglob("*") if path.is_file())

    def events(self) -> Iterator[tuple[Segment, dict[str, Any]]]:
        """All that is landed."""
        for path in self.segments():
            segment = Segment.parse(str(path))
            assert segment is not None, f"{path} is no segment"
            content = path.read_bytes()
            for line in (gzip.decompress(content) if segment.compressed else content).splitlines():
                yield segment, json.loads(line)

    def landed(self) -> Counter[tuple[str, str]]:
        """How often each event, by source and id, is landed."""
        return Counter((found["source"], found["id"]) for _, found in self.events())


@contextmanager
def running(folder: Path, inbox: str, **options: str) -> Iterator[Running]:
    """A started receiver, stopped at the end."""
    receiver = Running(folder, inbox, options)
    try:
        yield receiver.start()
    finally:
        receiver.stop()


@contextmanager
def fresh_schema(url: str, name: str) -> Iterator[str]:
    """A PostgreSQL URL whose tables go into a schema of their own, which is dropped at the end."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(f'DROP SCHEMA IF EXISTS "{name}" CASCADE'))
        connection.execute(text(f'CREATE SCHEMA "{name}"'))
    try:
        yield f"{url}?options=-csearch_path%3D{name}"
    finally:
        with engine.begin() as connection:
            connection.execute(text(f'DROP SCHEMA "{name}" CASCADE'))
        engine.dispose()


def used(pid: int) -> tuple[int, float]:
    """Bytes of memory that a process has, and seconds of processor time that it took."""
    process = psutil.Process(pid)
    times = process.cpu_times()
    return int(process.memory_info().rss), times.user + times.system
