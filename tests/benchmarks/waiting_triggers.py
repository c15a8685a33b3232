"""One triggerer's event loop with thousands of waiting triggers: CPU, memory, requests and connections.

``python -m tests.benchmarks.waiting_triggers [--counts 1000 5000] [--seconds 30] [--poll 30] [--tls]``

``same``: `BounceTrigger`, all with one question. ``each``: the same, each with a question of its own. ``http``: the
HTTP provider's `HttpEventTrigger`, which opens a session for each poll. Each is run for itself, on a core of its own,
against a server on another, whose counts say how many connections and requests there were. The first poll of each
trigger is not measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import resource
import ssl
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benchmarks.side_by_side import IMAGES, Verdicts, bars, cores, load, measured, medians, on, serving

CLIENTS = ("same", "each", "http")
START = "2026-03-10T00:00:00Z"


def trigger_of(client: str, poll: float) -> Callable[[int], Any]:
    if client == "http":
        from airflow.providers.http.triggers.http import HttpEventTrigger

        return lambda _: HttpEventTrigger(
            response_check_path="tests.benchmarks.not_yet.check",
            http_conn_id="bench",
            endpoint="/api/bounces/v1/bounces",
            poll_interval=poll,
        )
    from airflow_provider_messaging.triggers.marigold import BounceTrigger

    def make(number: int) -> BounceTrigger:
        return BounceTrigger(
            marigold_conn_id="marigold_default",
            start=START,
            references=[f"message-{number}"] if client == "each" else [],
            poll_interval=poll,
        )

    return make


async def waiting(client: str, count: int, poll: float, seconds: float, url: str) -> dict[str, Any]:
    """Let so many triggers wait, and measure behind their first poll."""
    make = trigger_of(client, poll)
    fired: list[Any] = []

    async def run(number: int) -> None:
        # A triggerer starts them one after the other as well; at once, all would poll in the same moment for ever.
        await asyncio.sleep(poll * number / count)
        async for event in make(number).run():
            fired.append(event.payload)

    lags: list[float] = []

    async def watch() -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.1)
            lags.append(time.monotonic() - began - 0.1)

    tasks = [asyncio.create_task(run(number)) for number in range(count)]
    await asyncio.sleep(poll * 1.2)
    before = await asyncio.to_thread(stats, url)
    watcher = asyncio.create_task(watch())
    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.sleep(seconds)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    after = await asyncio.to_thread(stats, url)
    for task in [*tasks, watcher]:
        task.cancel()
    await asyncio.gather(*tasks, watcher, return_exceptions=True)
    if fired:
        raise SystemExit(f"{client}: {len(fired)} triggers fired: {fired[0]}")
    lags.sort()
    return {
        "cpu_percent": cpu / wall * 100,
        "requests_a_minute": (after["requests"] - before["requests"]) / wall * 60,
        "connections": after["connections"] - before["connections"],
        "lag_ms": lags[len(lags) * 99 // 100] * 1000,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def stats(url: str) -> dict[str, int]:
    context = ssl._create_unverified_context() if url.startswith("https") else None
    with urllib.request.urlopen(f"{url}/stats", context=context) as answer:
        found: dict[str, int] = json.load(answer)
    return found


def prepared(url: str) -> None:
    scheme, _, rest = url.partition("://")
    host, _, port = rest.partition(":")
    os.environ["AIRFLOW_CONN_BENCH"] = json.dumps(
        {"conn_type": "http", "host": host, "port": int(port), "schema": scheme}
    )
    os.environ["AIRFLOW_CONN_MARIGOLD_DEFAULT"] = json.dumps(
        {
            "conn_type": "marigold",
            "host": url,
            "login": "id",
            "password": "benchmark-secret",
            "extra": {"account_id": "account"},
        }
    )
    logging.disable(logging.WARNING)
    logging.getLogger("airflow_provider_messaging").setLevel(logging.ERROR)


def certificate(folder: Path) -> str:
    """Write a certificate for 127.0.0.1 with its key, and return the file."""
    from datetime import UTC, datetime, timedelta
    from ipaddress import IPv4Address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + made.public_bytes(pem))
    return str(path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[1_000, 5_000], help="waiting triggers")
    parser.add_argument("--seconds", type=float, default=30, help="how long to measure")
    parser.add_argument("--repeat", type=int, default=3, help="how often to measure each, for the medians")
    parser.add_argument("--poll", type=float, default=30, help="seconds between two polls of a trigger")
    parser.add_argument("--tls", action="store_true", help="over TLS, as with the vendor")
    parser.add_argument("--clients", nargs="+", choices=CLIENTS, default=CLIENTS)
    parser.add_argument("--chart", action="store_true", help="write docs/images/triggers.svg")
    parser.add_argument("--run", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--core", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        client, count, url = arguments.run
        if arguments.core is not None:
            os.sched_setaffinity(0, {arguments.core})
        prepared(url)
        print(json.dumps(asyncio.run(waiting(client, int(count), arguments.poll, arguments.seconds, url))))
        return 0
    server_core, core = cores()
    found: dict[tuple[str, int], dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        trusted = certificate(Path(folder))
        tls = ["--certificate", trusted] if arguments.tls else []
        for count in arguments.counts:
            print(f"\n{count:,} triggers, a poll every {arguments.poll:g} s, {load()}", flush=True)
            runs: dict[str, list[dict[str, Any]]] = {client: [] for client in arguments.clients}
            for client in [*arguments.clients] * arguments.repeat:
                with serving("vendor_server", *tls, *on(server_core), scheme="https" if tls else "http") as url:
                    options = ["--run", client, str(count), url, *on(core)]
                    options += ["--poll", str(arguments.poll), "--seconds", str(arguments.seconds)]
                    trust = {"SSL_CERT_FILE": trusted, "REQUESTS_CA_BUNDLE": trusted}
                    runs[client].append(measured("waiting_triggers", *options, env=trust))
            for client, results in runs.items():
                result = found[client, count] = medians(results, *results[0])
                print(
                    f"  {client:6}{result['cpu_percent']:7.1f} % CPU {result['requests_a_minute']:9,.0f} requests/min "
                    f"{result['connections']:7,.0f} new connections {result['lag_ms']:7.1f} ms lag (99 %) "
                    f"{result['peak_mb']:7.1f} MB",
                    flush=True,
                )
    verdict = Verdicts()
    print("\nratios")
    for count in arguments.counts:
        if {("each", count), ("http", count)} <= found.keys():
            # Of a poll: on a busy machine not all of them keep up.
            each, http = (
                found[c, count]["cpu_percent"] / found[c, count]["requests_a_minute"] for c in ("each", "http")
            )
            verdict(f"CPU of a poll, {count:,} questions, against HttpEventTrigger", each / http, 1 / 3, at_most=True)
        if ("same", count) in found:
            polls = found["same", count]["requests_a_minute"] * arguments.poll / 60
            verdict(f"polls an interval, {count:,} with one question", polls, 1.2, at_most=True)
    if arguments.chart:
        names = {"same": "ours, one question", "each": "ours, each its own", "http": "HttpEventTrigger"}
        groups = {
            f"{count:,} waiting triggers": {names[c]: found[c, count]["cpu_percent"] for c in arguments.clients}
            for count in arguments.counts
        }
        bars(IMAGES / "triggers.svg", f"Triggers that poll every {arguments.poll:g} s", "% of one core", groups)
    return 0 if verdict.met else 1


if __name__ == "__main__":
    sys.exit(main())
