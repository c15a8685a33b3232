"""A server of feedback pages that is faster than any client: every row is made before the first request comes.

``python -m tests.benchmarks.feedback_server --rows 100000 --latency 0.02`` prints its port and serves until its input
ends. It gives out a token, and the rows ``$skip`` to ``$skip + $top`` of one day for any other request.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
from functools import partial

_SKIP = re.compile(rb"[?&](?:\$|%24)skip=(\d+)")
_TOP = re.compile(rb"[?&](?:\$|%24)top=(\d+)")
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_ROW = (
    '{"account_id":"sandbox-account","mapping":"hard","mode":"direct","external_reference":"bench-%09d",'
    '"timestamp":"2026-03-10T%02d:%02d:%02d.%07dZ","domain":"mx%02d.example.com",'
    '"outcome":"550 5.1.1 The email account that you tried to reach does not exist","outcome_category":"badUser",'
    '"finalize_reason":"hardBounce","mailbox":"recipient-%09d@mx%02d.example.com"}'
)
_TOKEN = b'{"access_token":"benchmark","token_type":"Bearer","expires_in":7200,"scope":"all"}'


def row(number: int, of: int) -> str:
    """Return a row; all have the same length, and their times are spread over one day."""
    second, fraction = divmod(number * 86_400 * 10_000_000 // of, 10_000_000)
    moment = (second // 3600, second // 60 % 60, second % 60, fraction)
    domain = number * 7919 % 97
    return _ROW % (number, *moment, domain, number * 104_729 % 1_000_000_007, domain)


class Rows:
    """All rows in one piece of memory, from which a page is one slice."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._width = len(row(0, 1)) + 1
        data = bytearray(self._width * count)
        for number in range(count):
            data[number * self._width : (number + 1) * self._width] = (row(number, count) + ",").encode()
        self._data = bytes(data)

    def page(self, skip: int, top: int) -> bytes:
        end = min(skip + top, self.count) * self._width
        return b'{"value":[%b]}' % self._data[min(skip * self._width, end) : max(end - 1, 0)]


class Server(asyncio.Protocol):
    """One connection; requests on it come one after the other."""

    def __init__(self, rows: Rows, latency: float) -> None:
        self._rows = rows
        self._latency = latency
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._received) < whole:
                return
            self._received = self._received[whole:]
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        target = head[: head.index(b"\r\n")]
        if b"/oauth/token" in target:
            self._write(_TOKEN)
            return
        skip, top = _SKIP.search(target), _TOP.search(target)
        body = self._rows.page(int(skip[1]) if skip else 0, int(top[1]) if top else 100)
        if self._latency:
            asyncio.get_running_loop().call_later(self._latency, self._write, body)
        else:
            self._write(body)

    def _write(self, body: bytes) -> None:
        if not self._transport.is_closing():
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
            self._transport.write(head + body)


async def serve(rows: Rows, latency: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(partial(Server, rows, latency), "127.0.0.1", 0, backlog=256)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds until an answer begins")
    parser.add_argument("--core", type=int, help="the only core to run on")
    arguments = parser.parse_args()
    if arguments.core is not None:
        os.sched_setaffinity(0, {arguments.core})
    asyncio.run(serve(Rows(arguments.rows), arguments.latency))


if __name__ == "__main__":
    main()
