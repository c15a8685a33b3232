"""Mounts the receiver into Airflow's API server, where ``[messaging] webhooks_enabled`` says so.

Every Airflow process loads this module: it imports nothing heavy, and nothing that is wrong here stops Airflow.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

from airflow_provider_messaging.webhooks.settings import is_enabled

if TYPE_CHECKING:
    from airflow_provider_messaging.webhooks.receiver import Receiver

log = logging.getLogger(__name__)

URL_PREFIX = "/messaging/webhooks"
_RETRY_SECONDS = 30.0
_PATIENCE_SECONDS = 5.0


class MountedReceiver:
    """An ASGI application that becomes the receiver when the API server starts, and answers 503 while it can't."""

    def __init__(self) -> None:
        self._app: Any = None
        self._receiver: Receiver | None = None
        self._starting: asyncio.Task[None] | None = None
        self._failed_at: float | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        # An API server that does not tell of its start, or a receiver that could not start then.
        if self._app is None and (starting := self.start()):
            await asyncio.wait([starting], timeout=_PATIENCE_SECONDS)
        if self._app is not None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await _unavailable(send)

    def start(self) -> asyncio.Task[None] | None:
        """Begin to start the receiver, at most once in half a minute; None while it is not to be tried again."""
        if self._starting is not None and not self._starting.done():
            return self._starting
        now = asyncio.get_running_loop().time()
        if self._app is not None or (self._failed_at is not None and now - self._failed_at < _RETRY_SECONDS):
            return None
        self._starting = asyncio.create_task(self._start())
        return self._starting

    async def _start(self) -> None:
        try:
            # Imports and a connection's look-up take a second, in which Airflow answers others.
            receiver, app = await asyncio.to_thread(_make)
            await receiver.start()
        except Exception as error:
            self._failed_at = asyncio.get_running_loop().time()
            log.error("Webhooks are not received, POSTs are answered with 503: %s", _described(error))
            return
        self._receiver = receiver
        self._app = app
        log.info("Webhooks are received below %s", URL_PREFIX)

    async def stop(self) -> None:
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        self._app = None
        if self._receiver is not None:
            await self._receiver.stop()


class Lifespan:
    """An ASGI middleware around the API server, only to know when it starts and stops: mounted applications do not."""

    def __init__(self, app: Any, mounted: MountedReceiver) -> None:
        self._app = app
        self._mounted = mounted

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return

        async def tell(message: Any) -> None:
            if message["type"] == "lifespan.startup.complete":
                # Not waited for: Airflow starts whether the inbox answers or not.
                self._mounted.start()
            elif message["type"] == "lifespan.shutdown.complete":
                await self._mounted.stop()
            await send(message)

        await self._app(scope, receive, tell)


class WebhooksPlugin(AirflowPlugin):
    """Off by default."""

    name = "messaging_webhooks"

    @classmethod
    def on_load(cls, *args: Any, **kwargs: Any) -> None:
        """Add the receiver to what the API server mounts."""
        try:
            if not is_enabled():
                return
        except Exception as error:
            log.error("[messaging] webhooks_enabled can't be read, webhooks stay off: %s", _described(error))
            return
        mounted = MountedReceiver()
        cls.fastapi_apps = [{"app": mounted, "url_prefix": URL_PREFIX, "name": "Messaging webhooks"}]
        cls.fastapi_root_middlewares = [
            {"middleware": Lifespan, "kwargs": {"mounted": mounted}, "name": "Messaging webhooks"}
        ]


def _make() -> tuple[Receiver, Any]:
    from airflow_provider_messaging.webhooks.app import create_app
    from airflow_provider_messaging.webhooks.receiver import Receiver
    from airflow_provider_messaging.webhooks.settings import read_settings

    receiver = Receiver(read_settings())
    return receiver, create_app(receiver, starts_itself=False)


async def _unavailable(send: Any) -> None:
    body = b'{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"webhooks are not received now"}'
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", b"30"),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _described(error: Exception) -> str:
    """Return an error of ours as it is, the kind of any other: its text may have a password in it."""
    from airflow_provider_messaging.core.errors import MessagingError

    return str(error) if isinstance(error, MessagingError) else type(error).__name__
