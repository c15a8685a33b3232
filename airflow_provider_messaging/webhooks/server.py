"""The receiver as a process of its own, where Airflow must not be reached from outside."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from airflow_provider_messaging.webhooks.settings import read_settings

if TYPE_CHECKING:
    from uvicorn.protocols.http.h11_impl import H11Protocol as HttpProtocol
else:
    HttpProtocol = AutoHTTPProtocol

_CONNECTIONS_PER_REQUEST = 4


class PatientProtocol(HttpProtocol):
    """Hangs up on a connection whose next request is not there after twice its keep-alive timeout, or earlier.

    uvicorn by itself waits forever for headers that are slow in coming.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch = self._look_later(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch.cancel()
        super().connection_lost(exc)

    def _hang_up_if_idle(self, last: Any) -> None:
        cycle: Any = self.cycle
        is_idle = cycle is None or cycle.response_complete
        if is_idle and cycle is last:
            self.transport.close()
            return
        # The next look is at a request that is under way, or at one that came since.
        self._watch = self._look_later(cycle)

    def _look_later(self, last: Any) -> asyncio.TimerHandle:
        return self.loop.call_later(self.timeout_keep_alive, self._hang_up_if_idle, last)


def serve(host: str = "127.0.0.1", port: int = 8585, *, workers: int = 1, log_level: str = "info") -> None:
    """Receive until SIGINT or SIGTERM, as Airflow's configuration says.

    :param workers: processes; they share the inbox.
    :raises ConfigurationError: naming the option that is missing or wrong.
    """
    settings = read_settings()
    uvicorn.run(
        "airflow_provider_messaging.webhooks.app:configured_app",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        log_level=log_level,
        loop="uvloop" if find_spec("uvloop") else "asyncio",
        http=PatientProtocol,
        ws="none",
        access_log=False,
        server_header=False,
        limit_concurrency=settings.max_requests * _CONNECTIONS_PER_REQUEST,
        timeout_keep_alive=max(1, round(2 * settings.read_timeout)),
        timeout_graceful_shutdown=30,
    )
