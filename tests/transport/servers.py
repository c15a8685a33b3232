"""Servers on plain sockets that answer exactly what a test tells them to, however broken."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.drivers import eventually

_PATIENCE = 30.0


@dataclass(frozen=True)
class Seen:
    """A request as it came over the wire."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    connection: int
    whole: bool = True
    """The body had its end."""

    def header(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) < 2, f"{name} was sent {len(values)} times"
        return values[0] if values else None


@dataclass(frozen=True)
class Answer:
    """Bytes to send, and what becomes of the connection afterwards."""

    data: bytes = b""
    close: bool = False
    reset: bool = False
    stall: bool = False
    pause: float = 0.0
    """Seconds between the answer and what becomes of the connection."""


Script = Callable[[Seen], Answer]


def reply(status: int = 200, body: bytes = b"", *headers: str, close: bool = False) -> Answer:
    """Return a well-formed answer."""
    head = [f"HTTP/1.1 {status} Whatever", *headers]
    if status != 204:
        head.append(f"Content-Length: {len(body)}")
    return Answer("\r\n".join([*head, "", ""]).encode("latin-1") + body, close=close)


class Whole:
    """Keeps a body."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def add(self, piece: bytes) -> None:
        self._pieces.append(piece)

    def body(self) -> bytes:
        return b"".join(self._pieces)


class Digest:
    """Keeps the SHA-256 of a body."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, piece: bytes) -> None:
        self._hash.update(piece)

    def body(self) -> bytes:
        return self._hash.digest()


class Server:
    """Answers each request by `script`, or by a list of answers whose last one is repeated."""

    collector: type[Whole] | type[Digest] = Whole

    def __init__(self, script: Script | Answer | list[Answer], tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Seen] = []
        self.connections = 0
        self.open = 0
        self.tls_errors: list[str] = []
        self._script = script if callable(script) else _in_order([script] if isinstance(script, Answer) else script)
        self._tls = tls
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def idle(self) -> bool:
        """Wait until all connections are closed."""
        return eventually(lambda: self.open == 0)

    def stop(self) -> None:
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._sockets:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(_PATIENCE)

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(_PATIENCE)
            with self._lock:
                self.connections += 1
                self.open += 1
                self._sockets.add(connection)
                number = self.connections
            self._start(self._handle, connection, number)

    def _handle(self, connection: socket.socket, number: int) -> None:
        plain = connection
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
                with self._lock:
                    self._sockets.discard(plain)
                    self._sockets.add(connection)
                self._shake_hands(connection)
            with connection.makefile("rb") as stream:
                while (seen := _read(stream, number, self.collector())) is not None:
                    self.requests.append(seen)
                    if not seen.whole or not self.answer(seen, connection):
                        return
        except ssl.SSLError as error:
            self.tls_errors.append(error.reason or "")
        except OSError:
            pass
        finally:
            with self._lock:
                self._sockets.discard(connection)
                self._sockets.discard(plain)
            connection.close()
            plain.close()
            with self._lock:
                self.open -= 1

    def _shake_hands(self, connection: ssl.SSLSocket) -> None:
        try:
            connection.do_handshake()
        except ssl.SSLError:
            # Closing with data unread would overtake the alert.
            while socket.socket.recv(connection, 65536):
                pass
            raise

    def answer(self, seen: Seen, connection: socket.socket) -> bool:
        """Answer; tell whether the connection goes on."""
        answer = self._script(seen)
        connection.sendall(answer.data)
        time.sleep(answer.pause)
        if answer.stall:
            connection.recv(1)  # until the client or the test gives up
        if answer.reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return not (answer.close or answer.reset or answer.stall)


class Digester(Server):
    """Sees the SHA-256 of a body instead of the body."""

    collector = Digest


class Babbler(Server):
    """Talks plain text as soon as somebody connects."""

    def _handle(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError):
            connection.sendall(b"220 mail.example ESMTP\r\n")
        super()._handle(connection, number)


TUNNEL = Answer()


class Proxy(Server):
    """Tunnels a ``CONNECT`` where its script says `TUNNEL`; answers the rest as if it had forwarded it."""

    def answer(self, seen: Seen, connection: socket.socket) -> bool:
        if seen.method != "CONNECT" or self._script(seen) != TUNNEL:
            return super().answer(seen, connection)
        host, _, port = seen.target.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=_PATIENCE) as target:
            connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            with self._lock:
                self._sockets.add(target)
            self._start(_pump, target, connection)
            _pump(connection, target)
            with self._lock:
                self._sockets.discard(target)
        return False


class Stand:
    """Starts servers of one test."""

    def __init__(self, servers: list[Server]) -> None:
        self._servers = servers

    def __call__(
        self, script: Script | Answer | list[Answer] | None = None, tls: ssl.SSLContext | None = None
    ) -> Server:
        return self.add(Server(reply() if script is None else script, tls))

    def proxy(self, script: Script | Answer | list[Answer] | None = None) -> Server:
        return self.add(Proxy(_forward if script is None else script))

    def add(self, server: Server) -> Server:
        self._servers.append(server)
        return server


@dataclass(frozen=True)
class Certificates:
    """Paths of PEM files: an authority, and certificates of it for loopback, another server and a client."""

    folder: Path

    def __getattr__(self, name: str) -> str:
        return str(self.folder / name.replace("_", "."))

    def server_context(self, name: str = "server", *, ask_client: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        if ask_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ca_crt)
        return context


def _forward(seen: Seen) -> Answer:
    return TUNNEL if seen.method == "CONNECT" else reply()


def _in_order(answers: list[Answer]) -> Script:
    rest = iter(answers)
    return lambda seen: next(rest, answers[-1])


def _read(stream: Any, number: int, collector: Whole | Digest) -> Seen | None:
    start = stream.readline().decode("latin-1").rstrip("\r\n")
    if start.count(" ") != 2:
        return None
    method, target, _ = start.split(" ")
    headers = []
    while line := stream.readline().decode("latin-1").rstrip("\r\n"):
        name, _, value = line.partition(":")
        headers.append((name, value.strip()))
    seen = Seen(method, target, tuple(headers), b"", number)
    if seen.header("Transfer-Encoding") is None:
        whole = _take(stream, int(seen.header("Content-Length") or 0), collector)
    else:
        assert seen.header("Transfer-Encoding") == "chunked"
        assert seen.header("Content-Length") is None
        whole = _take_chunks(stream, collector)
    return replace(seen, body=collector.body(), whole=whole)


def _take(stream: Any, size: int, collector: Whole | Digest) -> bool:
    while size and (piece := stream.read(min(size, 65536))):
        collector.add(piece)
        size -= len(piece)
    return size == 0


def _take_chunks(stream: Any, collector: Whole | Digest) -> bool:
    while (line := stream.readline()).endswith(b"\r\n"):
        size = int(line, 16)
        if not _take(stream, size, collector) or stream.read(2) != b"\r\n":
            return False
        if not size:
            return True
    return False


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
