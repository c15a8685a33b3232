"""Posts events with the CloudEvents SDK while the receiver is killed again and again, and accounts for every one.

``python -m tests.webhooks.kills --events 100000 --kills 3``
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import random
import statistics
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from tests.webhooks.running import SECRET, Running, event, fresh_schema, running, used

TYPES = (
    ("com.sdc.deliveries.email.sent", 60),
    ("com.sdc.deliveries.email.failed", 20),
    ("com.sdc.bounces.email.bounced", 10),
    ("sdc.bounces.email.complaintfiled", 4),
    ("com.sdc.bounces.email.listunsubscribed", 5),
    ("com.sdc.archive.email.archived", 1),
)
REPEATED = 0.05
"""Share of events that are posted once more after they were acknowledged."""
BINARY = 0.1
"""Share of events that are posted in binary mode."""


@dataclass(kw_only=True)
class Account:
    """What became of the events."""

    database: str
    posted: set[tuple[str, str]]
    acknowledged: Counter[tuple[str, str]]
    landed: Counter[tuple[str, str]]
    kills: int
    requests: int
    unanswered: int
    answers: Counter[int]
    seconds: float
    down: float
    latencies: list[float]
    segments: int
    changed: list[str]
    processor: list[float]
    memory: list[list[int]] = field(default_factory=list)

    def check(self) -> None:
        """:raises AssertionError: if an acknowledged event is not landed, or one is landed twice."""
        assert self.acknowledged.keys() == self.posted
        lost = self.acknowledged.keys() - self.landed.keys()
        assert not lost, f"acknowledged and not landed: {sorted(lost)[:5]}"
        twice = [key for key, times in self.landed.items() if times > 1]
        assert not twice, f"landed more than once: {twice[:5]}"
        assert self.landed.keys() == self.posted
        assert not self.changed, f"segments that changed after they were seen: {self.changed[:5]}"
        assert self.answers.keys() <= {200, 503}, self.answers

    def __str__(self) -> str:
        in_order = sorted(self.latencies)
        median, *_ = statistics.quantiles(in_order, n=2)
        cuts = statistics.quantiles(in_order, n=1000)
        lines = [
            f"{self.database}: {len(self.posted)} events, {self.kills} kills, {self.requests} requests in "
            f"{self.seconds:.0f} s, {self.down:.0f} s of them without a receiver",
            f"  answers: {dict(sorted(self.answers.items()))}, requests that a kill left unanswered or refused: "
            f"{self.unanswered}",
            f"  acknowledged: {len(self.acknowledged)}; landed: {len(self.landed)}, each once: "
            f"{all(times == 1 for times in self.landed.values())}; segments: {self.segments}, changed later: "
            f"{len(self.changed)}",
            f"  acknowledgement: median {median * 1000:.0f} ms, 95 % {cuts[949] * 1000:.0f} ms, 99 % "
            f"{cuts[989] * 1000:.0f} ms, longest {in_order[-1] * 1000:.0f} ms; "
            f"{self.answers[200] / max(self.seconds - self.down, 0.001):.0f} a second while it ran",
            f"  processor time of the receiver, its starts included: "
            f"{sum(self.processor) / self.answers[200] * 1000:.2f} ms an acknowledgement",
        ]
        for number, samples in enumerate(self.memory, 1):
            marks = [samples[round(part * (len(samples) - 1) / 4)] // 1_000_000 for part in range(5)]
            lines.append(f"  memory of process {number}, from its first sample to its last: {marks} MB")
        return "\n".join(lines)


class Client:
    """Posts each event until it is acknowledged, as the vendor does, in less time."""

    def __init__(self, receiver: Running, count: int, kills: int, *, concurrency: int, seed: int) -> None:
        self._receiver = receiver
        self._random = random.Random(seed)
        names = self._random.choices([name for name, _ in TYPES], [weight for _, weight in TYPES], k=count)
        self._waiting = [event(f"{number:08}", name) for number, name in enumerate(names)]
        self._random.shuffle(self._waiting)
        self.posted = {(each["source"], each["id"]) for each in self._waiting}
        self._kill_at = [round(count * (kill + self._random.uniform(0.7, 1.0)) / (kills + 1)) for kill in range(kills)]
        self._concurrency = concurrency
        self.acknowledged: Counter[tuple[str, str]] = Counter()
        self.latencies: list[float] = []
        self.answers: Counter[int] = Counter()
        self.requests = self.unanswered = self.kills = 0
        self.down = 0.0
        self.memory: list[list[int]] = [[]]
        self.processor: list[float] = [0.0]
        self._is_over = False

    async def run(self) -> None:
        connector = aiohttp.TCPConnector(limit=self._concurrency)
        timeout = aiohttp.ClientTimeout(total=60)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            asyncio.TaskGroup() as others,
        ):
            others.create_task(self._kill())
            others.create_task(self._measure())
            async with asyncio.TaskGroup() as posts:
                for _ in range(self._concurrency):
                    posts.create_task(self._post_all(session))
            self._is_over = True

    async def _post_all(self, session: aiohttp.ClientSession) -> None:
        while self._waiting:
            each = self._waiting.pop()
            message = self._message(each)
            while not await self._post(session, each, message):
                await asyncio.sleep(self._random.uniform(0.05, 0.3))
            if self._random.random() < REPEATED:
                while not await self._post(session, each, message):
                    await asyncio.sleep(self._random.uniform(0.05, 0.3))

    def _message(self, each: dict[str, Any]) -> Any:
        attributes = {name: value for name, value in each.items() if name not in {"data", "time"}}
        made = CloudEvent(attributes, each["data"])
        return to_binary_event(made) if self._random.random() < BINARY else to_structured_event(made)

    async def _post(self, session: aiohttp.ClientSession, each: dict[str, Any], message: Any) -> bool:
        began = time.perf_counter()
        self.requests += 1
        headers = {**message.headers, "X-Webhook-Secret": SECRET}
        try:
            async with session.post(f"{self._receiver.url}/marigold", data=message.body, headers=headers) as answer:
                await answer.read()
        except (aiohttp.ClientError, TimeoutError):
            self.unanswered += 1
            return False
        self.answers[answer.status] += 1
        if answer.status != 200:
            return False
        self.latencies.append(time.perf_counter() - began)
        self.acknowledged[each["source"], each["id"]] += 1
        return True

    async def _kill(self) -> None:
        for mark in self._kill_at:
            while len(self.acknowledged) < mark and not self._is_over:
                await asyncio.sleep(0.01)
            began = time.monotonic()
            self._receiver.kill()
            self.kills += 1
            self.memory.append([])
            self.processor.append(0.0)
            self._receiver.spawn()
            await asyncio.to_thread(self._receiver.wait)
            self.down += time.monotonic() - began

    async def _measure(self) -> None:
        while not self._is_over:
            try:
                if self._receiver.child is not None:
                    memory, self.processor[-1] = used(self._receiver.child.pid)
                    self.memory[-1].append(memory)
            except psutil.NoSuchProcess:
                # Between a kill and the next start.
                pass
            await asyncio.sleep(0.25)


class Watch:
    """Remembers each segment as it was when it was seen first."""

    def __init__(self, receiver: Running) -> None:
        self._receiver = receiver
        self._seen: dict[Path, str] = {}

    async def run(self) -> None:
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(0.5)

    def look(self) -> None:
        for path in self._receiver.root.rglob("segment-*"):
            if ".part-" not in path.name and path not in self._seen:
                self._seen[path] = _digest(path)

    def changed(self) -> list[str]:
        return [path.name for path, digest in self._seen.items() if not path.exists() or _digest(path) != digest]


def _digest(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes()).hexdigest()


def prove(receiver: Running, count: int, kills: int, *, concurrency: int = 64, seed: int = 1) -> Account:
    """Post the events, and return the account once all that was stored is landed."""
    client = Client(receiver, count, kills, concurrency=concurrency, seed=seed)
    watch = Watch(receiver)

    async def run() -> float:
        began = time.monotonic()
        watching = asyncio.create_task(watch.run())
        try:
            await client.run()
        finally:
            watching.cancel()
        return time.monotonic() - began

    seconds = asyncio.run(run())
    receiver.wait_until_landed()
    return Account(
        database=receiver.inbox.partition(":")[0],
        posted=client.posted,
        acknowledged=client.acknowledged,
        landed=receiver.landed(),
        kills=client.kills,
        requests=client.requests,
        unanswered=client.unanswered,
        answers=client.answers,
        seconds=seconds,
        down=client.down,
        latencies=client.latencies,
        segments=len(receiver.segments()),
        changed=watch.changed(),
        processor=client.processor,
        memory=[samples for samples in client.memory if len(samples) > 4],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--database", choices=("postgresql", "sqlite"), action="append")
    arguments = parser.parse_args()
    url = os.environ.get("MESSAGING_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/test")
    for database in arguments.database or ("postgresql", "sqlite"):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            os.environ["AIRFLOW_HOME"] = name
            options = {"seal_seconds": "5", "seal_seconds_deliveries": "15"}
            if database == "sqlite":
                with running(folder, f"sqlite:///{folder}/inbox.db", **options) as receiver:
                    account = _proof(receiver, arguments)
            else:
                with (
                    fresh_schema(url, f"webhooks_kills_{os.getpid()}") as inbox,
                    running(folder, inbox, **options) as receiver,
                ):
                    account = _proof(receiver, arguments)
        print(account, flush=True)
        account.check()


def _proof(receiver: Running, arguments: argparse.Namespace) -> Account:
    print(f"seed {arguments.seed}", flush=True)
    return prove(receiver, arguments.events, arguments.kills, concurrency=arguments.concurrency, seed=arguments.seed)


if __name__ == "__main__":
    main()
