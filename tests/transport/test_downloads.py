"""Bodies that are streamed to a file, over both drivers: whole or not at all, and never in memory."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

import pytest

from airflow_provider_messaging.core.endpoint import Endpoint, Evidence, Safety
from airflow_provider_messaging.core.errors import MessagingError, VendorError
from airflow_provider_messaging.core.flow import Api, NoAuth, Problem
from airflow_provider_messaging.core.http import Failure, FailureKind, Reply, Request, Response
from tests.drivers import Drive
from tests.transport.servers import Answer, Stand, reply

MEGABYTE = 1_000_000
DATA = os.urandom(3 * MEGABYTE)


def download(url: str, path: Path, limit: int = 10 * MEGABYTE, method: str = "GET") -> Request:
    return Request(method=method, url=url, operation="vendor.file", download_to=str(path), max_response_bytes=limit)


def failure(answer: Reply) -> Failure:
    assert isinstance(answer, Failure), answer
    return answer


def response(answer: Reply) -> Response:
    assert isinstance(answer, Response), answer
    return answer


def test_the_body_of_a_success_goes_to_the_file(drive: Drive, stand: Stand, tmp_path: Path) -> None:
    answer = response(drive.send(download(stand(reply(200, DATA)).url, tmp_path / "a")))
    assert (answer.body, answer.downloaded) == (b"", len(DATA))
    assert (tmp_path / "a").read_bytes() == DATA
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


def test_an_empty_body_is_an_empty_file(drive: Drive, stand: Stand, tmp_path: Path) -> None:
    assert response(drive.send(download(stand(reply(204)).url, tmp_path / "a"))).downloaded == 0
    assert (tmp_path / "a").read_bytes() == b""


def test_a_file_that_was_there_is_replaced_as_a_whole(drive: Drive, stand: Stand, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 5 * MEGABYTE)
    drive.send(download(stand(reply(200, DATA)).url, tmp_path / "a"))
    assert (tmp_path / "a").read_bytes() == DATA


@pytest.mark.parametrize("status", [301, 404, 503])
def test_an_error_document_stays_in_memory(drive: Drive, stand: Stand, tmp_path: Path, status: int) -> None:
    answer = response(drive.send(download(stand(reply(status, b"{}")).url, tmp_path / "a")))
    assert (answer.body, answer.downloaded) == (b"{}", None)
    assert not list(tmp_path.iterdir())


def test_a_packed_body_is_unpacked(drive: Drive, stand: Stand, tmp_path: Path) -> None:
    # Far more than one piece: the decoder must give up its last bytes too.
    data = b"hello " * MEGABYTE
    server = stand(reply(200, gzip.compress(data), "Content-Encoding: gzip"))
    assert response(drive.send(download(server.url, tmp_path / "a"))).downloaded == len(data)
    assert (tmp_path / "a").read_bytes() == data


TRUNCATED = {
    "plain": Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n" + DATA, close=True),
    "reset": Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n" + DATA, reset=True, pause=0.2),
    "packed": reply(200, gzip.compress(DATA)[:-100], "Content-Encoding: gzip"),
    "damaged": reply(200, b"\x1f\x8b" + DATA, "Content-Encoding: gzip"),
}


@pytest.mark.parametrize("broken", TRUNCATED)
def test_a_body_that_breaks_off_leaves_nothing(drive: Drive, stand: Stand, tmp_path: Path, broken: str) -> None:
    (tmp_path / "before").write_bytes(b"as it was")
    for name in ("a", "before"):
        problem = failure(drive.send(download(stand(TRUNCATED[broken]).url, tmp_path / name)))
        assert (problem.kind, problem.status) == (FailureKind.BODY, 200)
    assert [each.name for each in tmp_path.iterdir()] == ["before"]
    assert (tmp_path / "before").read_bytes() == b"as it was"


@pytest.mark.parametrize("safety", [Safety.SAFE, Safety.IDEMPOTENT])
def test_a_download_that_breaks_off_is_repeated_from_its_start(
    drive: Drive, stand: Stand, tmp_path: Path, safety: Safety
) -> None:
    server = stand([TRUNCATED["plain"], TRUNCATED["packed"], reply(200, DATA)])
    endpoint = Endpoint(
        vendor="vendor", name="file", method="GET", path="/f", safety=safety, evidence=Evidence.SPECIFIED
    )
    api = Api(vendor="vendor", connection="c", base_url=server.url, auth=NoAuth(), read_problem=lambda _: Problem())
    answer = drive.run(api.call(endpoint, download_to=str(tmp_path / "a")))
    assert answer.downloaded == len(DATA)
    assert (tmp_path / "a").read_bytes() == DATA
    assert len(server.requests) == 3


OVERLONG = {
    "announced": reply(200, DATA),
    "not announced": Answer(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + DATA, close=True),
    "packed": reply(200, gzip.compress(b"\0" * 50 * MEGABYTE), "Content-Encoding: gzip"),
}


@pytest.mark.parametrize("answer", OVERLONG)
def test_the_cap_is_obeyed_and_leaves_nothing(drive: Drive, stand: Stand, tmp_path: Path, answer: str) -> None:
    problem = failure(drive.send(download(stand(OVERLONG[answer]).url, tmp_path / "a", limit=2 * MEGABYTE)))
    assert (problem.kind, problem.status) == (FailureKind.TOO_LARGE, 200)
    assert not list(tmp_path.iterdir())


def test_a_body_of_exactly_the_cap_is_taken(drive: Drive, stand: Stand, tmp_path: Path) -> None:
    for body in (reply(200, DATA), reply(200, gzip.compress(DATA), "Content-Encoding: gzip")):
        assert response(drive.send(download(stand(body).url, tmp_path / "a", limit=len(DATA)))).downloaded == len(DATA)


def test_an_answer_too_large_is_no_matter_for_a_retry(drive: Drive, stand: Stand, tmp_path: Path) -> None:
    server = stand(reply(200, DATA))
    endpoint = Endpoint(
        vendor="vendor", name="file", method="GET", path="/f", safety=Safety.SAFE, evidence=Evidence.SPECIFIED
    )
    api = Api(vendor="vendor", connection="c", base_url=server.url, auth=NoAuth(), read_problem=lambda _: Problem())
    with pytest.raises(VendorError, match="larger than allowed"):
        drive.run(api.call(endpoint, download_to=str(tmp_path / "a"), max_response_bytes=10))
    assert len(server.requests) == 1


def test_a_disk_that_can_not_be_written_is_an_error_of_ours(drive: Drive, stand: Stand, tmp_path: Path) -> None:
    with pytest.raises(MessagingError, match="ENOENT") as caught:
        drive.send(download(stand(reply(200, DATA)).url, tmp_path / "missing" / "a"))
    assert caught.value.retryable
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_is_an_error_of_ours(
    drive: Drive, stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, *_: object, **__: object) -> IO[bytes]:
        os.close(descriptor)
        return Path("/dev/full").open("wb")

    monkeypatch.setattr(os, "fdopen", full)
    with pytest.raises(MessagingError, match="ENOSPC"):
        drive.send(download(stand(reply(200, DATA)).url, tmp_path / "a"))
    assert not list(tmp_path.iterdir())


PEAK = """
import asyncio, resource, sys
from airflow_provider_messaging.core.http import Request, Response
from airflow_provider_messaging.transport.aio import AsyncTransport
from airflow_provider_messaging.transport.sync import SyncTransport

kind, url, path = sys.argv[1:]

def get(name, to):
    return Request(method="GET", url=url + name, operation="v.f", download_to=to, max_response_bytes=300_000_000)

async def amain(names):
    async with AsyncTransport() as transport:
        return [await transport.send(get(name, path)) for name in names]

def main(names):
    if kind == "async":
        return asyncio.run(amain(names))
    with SyncTransport() as transport:
        return [transport.send(get(name, path)) for name in names]

main(["/small"])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
(reply,) = main(["/large"])
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert isinstance(reply, Response), reply
print(reply.downloaded, (after - before) // 1024)
"""


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
def test_memory_stays_flat_for_two_hundred_megabytes(kind: str, packed: bool, tmp_path: Path) -> None:
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    block = bytes(MEGABYTE)
    large = gzip.compress(block, 6, mtime=0) * 200 if packed else b""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            count = 200 if self.path == "/large" else 1
            self.send_response(200)
            if packed:
                body = large if count == 200 else gzip.compress(block)
                self.send_header("Content-Encoding", "gzip")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                return
            self.send_header("Content-Length", str(count * MEGABYTE))
            self.end_headers()
            for _ in range(count):
                self.wfile.write(block)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        command = [sys.executable, "-c", PEAK, kind, url, str(tmp_path / "a")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert done.returncode == 0, done.stderr
    size, grown = map(int, done.stdout.split())
    assert size == (tmp_path / "a").stat().st_size == 200 * MEGABYTE
    assert grown < 8, f"{grown} MiB more"
