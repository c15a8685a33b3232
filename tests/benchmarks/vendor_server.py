"""A vendor that is faster than any client: it reads bodies, looks at nothing, and accepts everything.

``python -m tests.benchmarks.vendor_server --latency 0.02`` prints its port and serves until its input ends. A POST is
accepted without a body, a GET answered with an empty page, ``/oauth/token`` with a token, and ``/stats`` tells how many
connections, requests and bytes of bodies there were. With ``--certificate FILE`` (PEM, with its key) it speaks TLS.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import ssl
import sys
from functools import partial

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_TOKEN = b'{"access_token":"benchmark","token_type":"Bearer","expires_in":7200,"scope":"all"}'
_PAGE = b'{"value":[]}'
_BUFFER = 256 * 1024


class Stats:
    def __init__(self) -> None:
        self.connections = self.requests = self.bytes = 0


class Server(asyncio.BufferedProtocol):
    """One connection; requests on it come one after the other. A body is counted where it was received."""

    def __init__(self, stats: Stats, latency: float) -> None:
        self._stats = stats
        self._latency = latency
        self._buffer = bytearray(_BUFFER)
        self._head = b""
        self._body = 0
        """Bytes of the body that are still to come."""
        self._target = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._stats.connections += 1

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        at = 0
        while at < nbytes:
            if self._body:
                taken = min(self._body, nbytes - at)
                self._body -= taken
                at += taken
            else:
                self._head += bytes(memoryview(self._buffer)[at:nbytes])
                at = nbytes
                end = self._head.find(b"\r\n\r\n")
                if end < 0:
                    return
                at -= len(self._head) - end - 4
                head, self._head = self._head[:end], b""
                self._target = head[: head.index(b"\r\n")]
                length = _LENGTH.search(head)
                self._body = int(length[1]) if length else 0
                if self._target.startswith(b"POST"):
                    self._stats.bytes += self._body
            if not self._body:
                self._answer()

    def _answer(self) -> None:
        target = self._target
        if b"/oauth/token" in target:
            self._write(_TOKEN, b"200 OK")
        elif b"/stats" in target:
            self._write(json.dumps(vars(self._stats)).encode(), b"200 OK")
        else:
            self._stats.requests += 1
            answer = (b"", b"202 Accepted") if target.startswith(b"POST") else (_PAGE, b"200 OK")
            if self._latency:
                asyncio.get_running_loop().call_later(self._latency, self._write, *answer)
            else:
                self._write(*answer)

    def _write(self, body: bytes, status: bytes) -> None:
        if not self._transport.is_closing():
            head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
            self._transport.write(head + body)


async def serve(latency: float, certificate: str | None) -> None:
    loop = asyncio.get_running_loop()
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    server = await loop.create_server(partial(Server, Stats(), latency), "127.0.0.1", 0, backlog=8192, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds until an answer")
    parser.add_argument("--certificate")
    parser.add_argument("--core", type=int, help="the only core to run on")
    arguments = parser.parse_args()
    if arguments.core is not None:
        os.sched_setaffinity(0, {arguments.core})
    asyncio.run(serve(arguments.latency, arguments.certificate))


if __name__ == "__main__":
    main()
