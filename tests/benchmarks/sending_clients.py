"""The clients that `sending` compares, each run in a process of its own; the last line is their result.

``python -m tests.benchmarks.sending_clients bare --url http://127.0.0.1:PORT --from rows.ndjson --in-flight 16``
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import resource
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

EMAIL = "/api/send/v1/email"
ENQUEUE = "/channel/mail/benchmark/enqueue"
HEADERS = {"Authorization": "Bearer benchmark", "Content-Type": "application/json"}


@dataclass(frozen=True, kw_only=True)
class Job:
    """:param batch: messages of a request; 1 means one object, not a list of one."""

    url: str
    source: Path
    in_flight: int
    folder: Path
    batch: int

    @property
    def path(self) -> str:
        return EMAIL if self.batch > 1 else ENQUEUE

    def values(self) -> Iterator[tuple[int, Any]]:
        """Yield the bodies of requests as values, and how many messages each has: what a user would do."""
        with self.source.open("rb") as lines:
            while rows := list(map(json.loads, islice(lines, self.batch))):
                yield len(rows), rows if self.batch > 1 else rows[0]

    def bodies(self) -> Iterator[tuple[int, bytes]]:
        """The same, made of the lines as they are: what can't be done with less."""
        with self.source.open("rb") as lines:
            while rows := [line.rstrip() for line in islice(lines, self.batch)]:
                yield len(rows), b"[" + b",".join(rows) + b"]" if self.batch > 1 else rows[0]


def ceiling(job: Job) -> int:
    """Write bodies that are made before, and look at no answer but for its end: what the server takes at most."""
    requests = deque(
        (count, b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (job.path.encode(), len(body)) + body)
        for count, body in job.bodies()
    )
    taken = 0

    async def work() -> None:
        nonlocal taken
        reader, writer = await asyncio.open_connection("127.0.0.1", int(job.url.rpartition(":")[2]))
        while requests:
            count, request = requests.popleft()
            writer.write(request)
            await reader.readuntil(b"\r\n\r\n")
            taken += count
        writer.close()

    async def main() -> None:
        await asyncio.gather(*(work() for _ in range(job.in_flight)))

    restart_clocks()
    asyncio.run(main())
    return taken


def bare(job: Job) -> int:
    """aiohttp and nothing else: the lines as they are, so many requests in flight."""
    import aiohttp

    taken = 0

    async def work(session: aiohttp.ClientSession, ahead: Iterator[tuple[int, bytes]]) -> None:
        nonlocal taken
        for count, body in ahead:
            async with session.post(job.url + job.path, data=body, headers=HEADERS) as answer:
                answer.raise_for_status()
                await answer.read()
                taken += count

    async def main() -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=job.in_flight)) as session:
            ahead = job.bodies()
            await asyncio.gather(*(work(session, ahead) for _ in range(job.in_flight)))

    asyncio.run(main())
    return taken


def hook(job: Job) -> int:
    """The HTTP provider's hook in a loop."""
    from airflow.providers.http.hooks.http import HttpHook

    http = HttpHook(method="POST", http_conn_id="bench")
    taken = 0
    for count, body in job.values():
        http.run(job.path, json=body, headers=HEADERS)
        taken += count
    return taken


def requests_loop(job: Job) -> int:
    """A requests.Session in a loop."""
    import requests

    taken = 0
    with requests.Session() as session:
        for count, body in job.values():
            session.post(job.url + job.path, json=body, headers=HEADERS).raise_for_status()
            taken += count
    return taken


def requests_threads(job: Job) -> int:
    """The same in as many threads as there may be requests in flight."""
    import requests
    from requests.adapters import HTTPAdapter

    session = requests.Session()
    session.mount("http://", HTTPAdapter(pool_maxsize=job.in_flight))

    def post(request: tuple[int, Any]) -> int:
        count, body = request
        session.post(job.url + job.path, json=body, headers=HEADERS).raise_for_status()
        return count

    with session, ThreadPoolExecutor(job.in_flight) as threads:
        return sum(threads.map(post, job.values()))


def ours(job: Job, on_rejected: Any = "continue") -> int:
    """The operator, as a task runs it: rules, ledger, manifest, rejects, progress."""
    # `prepared` has imported all of it before.
    from airflow_provider_messaging.operators.marigold import SendEmailBatchOperator
    from airflow_provider_messaging.operators.pressnxpress import EnqueueFeedbackOperator
    from tests.contexts import StateStore, task_context

    operator_class, rows = (
        (SendEmailBatchOperator, "messages_path") if job.batch > 1 else (EnqueueFeedbackOperator, "contacts_path")
    )
    operator = operator_class(
        task_id="send",
        manifest_path=str(job.folder / "manifest.ndjson"),
        rejects_path=str(job.folder / "rejects.ndjson"),
        on_rejected=on_rejected,
        max_concurrency=job.in_flight,
        **{rows: str(job.source)},
    )
    result = operator.execute(task_context(store=StateStore(), task=operator))
    accepted: int = result["accepted"]
    return accepted


def ours_judged(job: Job) -> int:
    """The same with `on_rejected="fail"`, the default: all rows are judged before the first is sent."""
    return ours(job, "fail")


CLIENTS: dict[str, Callable[[Job], int]] = {
    "ceiling": ceiling,
    "bare": bare,
    "ours": ours,
    "ours_judged": ours_judged,
    "hook": hook,
    "requests_loop": requests_loop,
    "requests_threads": requests_threads,
}

_began = [0.0, 0.0]


def restart_clocks() -> None:
    _began[:] = time.perf_counter(), time.process_time()


def prepared(client: str, url: str) -> None:
    """Import what every task has imported already, and tell where the server is."""
    if client == "hook":
        host, _, port = url.removeprefix("http://").partition(":")
        os.environ["AIRFLOW_CONN_BENCH"] = json.dumps(
            {"conn_type": "http", "host": host, "port": int(port), "schema": "http"}
        )
        from airflow.providers.http.hooks import http  # noqa: F401
    if client.startswith("ours"):
        connection = {"conn_type": "marigold", "host": url, "login": "id", "password": "benchmark-secret"}
        os.environ["AIRFLOW_CONN_MARIGOLD_DEFAULT"] = json.dumps({**connection, "extra": {"account_id": "account"}})
        connection = {"conn_type": "pressnxpress", "host": url, "password": "benchmark-key"}
        extra = {"touchpoint_token": "benchmark-token", "content_type": "json"}
        os.environ["AIRFLOW_CONN_PRESSNXPRESS_DEFAULT"] = json.dumps({**connection, "extra": extra})
        # A task is a fork of the supervisor, and its DAG file is parsed before it executes anything.
        from airflow.sdk.execution_time import supervisor, task_runner  # noqa: F401

        from airflow_provider_messaging.operators import marigold, pressnxpress  # noqa: F401
        from tests import contexts  # noqa: F401

        logging.getLogger("airflow_provider_messaging").setLevel(logging.WARNING)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("client", choices=CLIENTS)
    parser.add_argument("--url", required=True)
    parser.add_argument("--from", dest="source", type=Path, required=True)
    parser.add_argument("--in-flight", type=int, required=True)
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--batch", type=int, default=100, help="messages of a request; 1: contacts to enqueue")
    parser.add_argument("--core", type=int)
    arguments = parser.parse_args()
    if arguments.core is not None:
        os.sched_setaffinity(0, {arguments.core})
    prepared(arguments.client, arguments.url)
    job = Job(
        url=arguments.url,
        source=arguments.source,
        in_flight=arguments.in_flight,
        folder=arguments.to,
        batch=arguments.batch,
    )
    restart_clocks()
    count = CLIENTS[arguments.client](job)
    seconds, used = time.perf_counter() - _began[0], time.process_time() - _began[1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if arguments.client.startswith("ours"):
        with (job.folder / "manifest.ndjson").open("rb") as lines:
            if sum(1 for _ in lines) != count:
                raise SystemExit("the manifest is not complete")
    with urllib.request.urlopen(f"{arguments.url}/stats") as answer:
        stats = json.load(answer)
    print(json.dumps({"count": count, "seconds": seconds, "cpu": used, "peak_mb": peak, "server": stats}))


if __name__ == "__main__":
    main()
