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
from itertools import islice
from pathlib import Path
from typing import Any

BATCH = 100
PATH = "/api/send/v1/email"
HEADERS = {"Authorization": "Bearer benchmark", "Content-Type": "application/json"}


def batches(source: Path) -> Iterator[list[Any]]:
    """Yield the rows of a file as values, a hundred at a time: what a user would do."""
    with source.open("rb") as lines:
        while batch := list(map(json.loads, islice(lines, BATCH))):
            yield batch


def bodies(source: Path) -> Iterator[tuple[int, bytes]]:
    """Yield bodies made of the lines as they are: what can't be done with less."""
    with source.open("rb") as lines:
        while batch := [line.rstrip() for line in islice(lines, BATCH)]:
            yield len(batch), b"[" + b",".join(batch) + b"]"


def ceiling(url: str, source: Path, in_flight: int, folder: Path) -> int:
    """Write bodies that are made before, and look at no answer but for its end: what the server takes at most."""
    requests = deque(
        (count, b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (PATH.encode(), len(body)) + body)
        for count, body in bodies(source)
    )
    taken = 0

    async def work() -> None:
        nonlocal taken
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        while requests:
            count, request = requests.popleft()
            writer.write(request)
            await reader.readuntil(b"\r\n\r\n")
            taken += count
        writer.close()

    async def main() -> None:
        await asyncio.gather(*(work() for _ in range(in_flight)))

    restart_clocks()
    asyncio.run(main())
    return taken


def bare(url: str, source: Path, in_flight: int, folder: Path) -> int:
    """aiohttp and nothing else: the lines as they are, so many requests in flight."""
    import aiohttp

    taken = 0

    async def work(session: aiohttp.ClientSession, ahead: Iterator[tuple[int, bytes]]) -> None:
        nonlocal taken
        for count, body in ahead:
            async with session.post(url + PATH, data=body, headers=HEADERS) as answer:
                answer.raise_for_status()
                await answer.read()
                taken += count

    async def main() -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=in_flight)) as session:
            ahead = bodies(source)
            await asyncio.gather(*(work(session, ahead) for _ in range(in_flight)))

    asyncio.run(main())
    return taken


def hook(url: str, source: Path, in_flight: int, folder: Path) -> int:
    """The HTTP provider's hook in a loop."""
    from airflow.providers.http.hooks.http import HttpHook

    http = HttpHook(method="POST", http_conn_id="bench")
    taken = 0
    for batch in batches(source):
        http.run(PATH, json=batch, headers=HEADERS)
        taken += len(batch)
    return taken


def requests_loop(url: str, source: Path, in_flight: int, folder: Path) -> int:
    """A requests.Session in a loop."""
    import requests

    taken = 0
    with requests.Session() as session:
        for batch in batches(source):
            session.post(url + PATH, json=batch, headers=HEADERS).raise_for_status()
            taken += len(batch)
    return taken


def requests_threads(url: str, source: Path, in_flight: int, folder: Path) -> int:
    """The same in as many threads as there may be requests in flight."""
    import requests
    from requests.adapters import HTTPAdapter

    session = requests.Session()
    session.mount("http://", HTTPAdapter(pool_maxsize=in_flight))

    def post(batch: list[Any]) -> int:
        session.post(url + PATH, json=batch, headers=HEADERS).raise_for_status()
        return len(batch)

    with session, ThreadPoolExecutor(in_flight) as threads:
        return sum(threads.map(post, batches(source)))


def ours(url: str, source: Path, in_flight: int, folder: Path, on_rejected: Any = "continue") -> int:
    """The operator, as a task runs it: rules, ledger, manifest, rejects, progress."""
    from airflow_provider_messaging.operators.marigold import SendEmailBatchOperator
    from tests.contexts import StateStore, task_context

    operator = SendEmailBatchOperator(
        task_id="send",
        messages_path=str(source),
        manifest_path=str(folder / "manifest.ndjson"),
        rejects_path=str(folder / "rejects.ndjson"),
        on_rejected=on_rejected,
        max_concurrency=in_flight,
    )
    result = operator.execute(task_context(store=StateStore(), task=operator))
    count: int = result["accepted"]
    with (folder / "manifest.ndjson").open() as lines:
        if sum(1 for _ in lines) != count:
            raise SystemExit("the manifest is not complete")
    return count


def ours_judged(url: str, source: Path, in_flight: int, folder: Path) -> int:
    """The same with `on_rejected="fail"`, the default: all rows are judged before the first is sent."""
    return ours(url, source, in_flight, folder, "fail")


CLIENTS: dict[str, Callable[[str, Path, int, Path], int]] = {
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
        # A task is a fork of the supervisor, and its DAG file is parsed before it executes anything.
        from airflow.sdk.execution_time import supervisor, task_runner  # noqa: F401

        from airflow_provider_messaging.operators import marigold  # noqa: F401

        logging.getLogger("airflow_provider_messaging").setLevel(logging.WARNING)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("client", choices=CLIENTS)
    parser.add_argument("--url", required=True)
    parser.add_argument("--from", dest="source", type=Path, required=True)
    parser.add_argument("--in-flight", type=int, required=True)
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--core", type=int)
    arguments = parser.parse_args()
    if arguments.core is not None:
        os.sched_setaffinity(0, {arguments.core})
    prepared(arguments.client, arguments.url)
    restart_clocks()
    count = CLIENTS[arguments.client](arguments.url, arguments.source, arguments.in_flight, arguments.to)
    seconds, used = time.perf_counter() - _began[0], time.process_time() - _began[1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with urllib.request.urlopen(f"{arguments.url}/stats") as answer:
        stats = json.load(answer)
    print(json.dumps({"count": count, "seconds": seconds, "cpu": used, "peak_mb": peak, "server": stats}))


if __name__ == "__main__":
    main()
