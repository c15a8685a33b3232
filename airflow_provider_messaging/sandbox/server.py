"""The server process: bind, announce, serve, stop at once."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Generator, Mapping
from importlib.util import find_spec
from types import FrameType
from typing import Any

import uvicorn

from airflow_provider_messaging.sandbox.app import SandboxApp
from airflow_provider_messaging.sandbox.registry import VENDORS


class Server(uvicorn.Server):
    """Calls ``announce`` when it listens, and ends with exit code 0 on SIGINT and SIGTERM."""

    def __init__(self, config: uvicorn.Config, app: SandboxApp, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._app = app
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.closing.set()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        previous = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.should_exit = True


def serve(
    host: str,
    port: int,
    *,
    announce: Callable[[str], None],
    log_level: str,
    stop_on_eof: bool = False,
) -> None:
    """Serve until SIGINT or SIGTERM.

    :param port: 0 takes a free one.
    :param announce: is given the base URL once connections are taken.
    :param stop_on_eof: stop as well when standard input ends, as it does when the parent process dies.
    """
    gc.set_threshold(100_000, 20, 20)  # a batch of messages makes a thousand short-lived containers
    app = SandboxApp(vendor() for vendor in VENDORS)
    config = uvicorn.Config(
        app,
        loop="uvloop" if find_spec("uvloop") else "asyncio",
        http="httptools" if find_spec("httptools") else "h11",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_level=log_level,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=2,
    )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family, backlog=2048) as listener:
        url = base_url(host, listener.getsockname()[1])
        server = Server(config, app, lambda: announce(url))
        if stop_on_eof:
            threading.Thread(target=_wait_for_eof, args=(server,), daemon=True).start()
        server.run(sockets=[listener])


def _wait_for_eof(server: Server) -> None:
    while os.read(sys.stdin.fileno(), 4096):  # a buffered read would hold a lock that the exit needs
        pass
    server.should_exit = True


def base_url(host: str, port: int) -> str:
    """Where this machine reaches the sandbox."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def connections(url: str) -> Mapping[str, str]:
    """Environment variables that make every vendor's connections known to Airflow."""
    made: dict[str, str] = {}
    for vendor in VENDORS:
        offered: Mapping[str, Mapping[str, Any]] = vendor().connections(f"{url}/{vendor.name}")
        for connection_id, connection in offered.items():
            made[f"AIRFLOW_CONN_{connection_id.upper()}"] = json.dumps(connection)
    return made
