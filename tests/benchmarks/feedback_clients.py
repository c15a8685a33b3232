"""The clients that `feedback_extraction` compares, each run in a process of its own; the last line is their result.

``python -m tests.benchmarks.feedback_clients bare --url http://127.0.0.1:PORT --rows 100000 --in-flight 16 --to /tmp``
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import logging
import os
import resource
import time
import zlib
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

PAGE = 100
GZIP_LEVEL = 3


def ceiling(url: str, rows: int, in_flight: int, folder: Path) -> int:
    """Take the pages from sockets and look at nothing: what the server gives at most."""

    async def fetch(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, page: int) -> None:
        writer.write(b"GET /x?$top=%d&$skip=%d HTTP/1.1\r\nHost: x\r\n\r\n" % (PAGE, page * PAGE))
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.rpartition(b": ")[2]))

    async def work(pages: deque[int]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        while pages:
            await fetch(reader, writer, pages.popleft())
        writer.close()

    async def main() -> None:
        pages = deque(range(rows // PAGE))
        await asyncio.gather(*(work(pages) for _ in range(in_flight)))

    asyncio.run(main())
    return rows


class Envelope(msgspec.Struct):
    """A page, its rows left as they are."""

    value: list[msgspec.Raw]


def bare(url: str, rows: int, in_flight: int, folder: Path) -> int:
    """aiohttp and nothing else: raw slices of the pages, in order, to NDJSON, compressed in a thread."""
    import aiohttp

    decode = msgspec.json.Decoder(Envelope).decode

    async def main() -> int:
        pack = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, 31)
        count = 0
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=in_flight)) as session:

            async def page(number: int) -> list[msgspec.Raw]:
                query = f"/api/bounces/v1/bounces?start=2026-03-10&end=2026-03-10&$top={PAGE}&$skip={number * PAGE}"
                async with session.get(url + query, headers={"Authorization": "Bearer benchmark"}) as answer:
                    answer.raise_for_status()
                    return decode(await answer.read()).value

            with (folder / "bare.ndjson.gz").open("wb") as stream:
                ahead = deque(asyncio.create_task(page(number)) for number in range(in_flight))
                following = in_flight
                writing: asyncio.Future[int] | None = None

                def write(found: list[msgspec.Raw]) -> int:
                    return stream.write(pack.compress(b"\n".join(found) + b"\n"))

                while found := await ahead.popleft():
                    ahead.append(asyncio.create_task(page(following)))
                    following += 1
                    count += len(found)
                    if writing is not None:
                        await writing
                    writing = asyncio.get_running_loop().run_in_executor(None, write, found)
                if writing is not None:
                    await writing
                stream.write(pack.flush())
                await asyncio.gather(*ahead)
        return count

    return asyncio.run(main())


def ours(url: str, rows: int, in_flight: int, folder: Path, suffix: str = "ndjson.gz") -> int:
    """The operator, as a task runs it."""
    from airflow_provider_messaging.transfers.marigold import FeedbackToObjectStorageOperator

    operator = FeedbackToObjectStorageOperator(
        task_id="land",
        path=str(folder / f"ours.{suffix}"),
        kinds=["bounces"],
        start="2026-03-10",
        end="2026-03-11",
        page_size=PAGE,
        max_concurrency=in_flight,
    )
    count: int = operator.execute({})["rows"]["bounces"]
    return count


def ours_parquet(url: str, rows: int, in_flight: int, folder: Path) -> int:
    """The same, with Parquet of normalised events."""
    return ours(url, rows, in_flight, folder, "parquet")


CLIENTS: dict[str, Callable[[str, int, int, Path], int]] = {
    "ceiling": ceiling,
    "bare": bare,
    "ours": ours,
    "ours_parquet": ours_parquet,
}


def prepared(client: str, url: str) -> None:
    """Import what every task has imported already, and tell where the server is."""
    if not client.startswith("ours"):
        return
    connection: dict[str, Any] = {"conn_type": "marigold", "host": url, "login": "id", "password": "benchmark-secret"}
    os.environ["AIRFLOW_CONN_MARIGOLD_DEFAULT"] = json.dumps({**connection, "extra": {"account_id": "account"}})
    # A task is a fork of the supervisor, and tells its listeners that it runs before it executes anything.
    from airflow.sdk.execution_time import supervisor, task_runner  # noqa: F401
    from airflow.sdk.listener import get_listener_manager

    from airflow_provider_messaging.transfers import marigold  # noqa: F401

    get_listener_manager()
    logging.getLogger("airflow_provider_messaging").setLevel(logging.WARNING)


def check(folder: Path, client: str, rows: int) -> None:
    """Every row must be in the file, once."""
    for path in folder.glob("*.ndjson.gz"):
        with gzip.open(path) as lines:
            references = {json.loads(line)["external_reference"] for line in lines}
        if len(references) != rows:
            raise SystemExit(f"{client}: {len(references)} of {rows} rows are in the file")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("client", choices=CLIENTS)
    parser.add_argument("--url", required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--in-flight", type=int, required=True)
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--core", type=int)
    arguments = parser.parse_args()
    if arguments.core is not None:
        os.sched_setaffinity(0, {arguments.core})
    prepared(arguments.client, arguments.url)
    wall, cpu = time.perf_counter(), time.process_time()
    count = CLIENTS[arguments.client](arguments.url, arguments.rows, arguments.in_flight, arguments.to)
    seconds, used = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if count != arguments.rows:
        raise SystemExit(f"{arguments.client}: {count} of {arguments.rows} rows")
    check(arguments.to, arguments.client, arguments.rows)
    print(json.dumps({"rows": count, "seconds": seconds, "cpu": used, "peak_mb": peak}))


if __name__ == "__main__":
    main()
