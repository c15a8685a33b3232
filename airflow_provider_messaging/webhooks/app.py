"""The FastAPI application: four routes around a `Receiver`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from airflow_provider_messaging.webhooks.gate import Refused, discard, too_busy
from airflow_provider_messaging.webhooks.receiver import Receiver
from airflow_provider_messaging.webhooks.settings import read_settings

EVENTS = "/marigold"
_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    408: "Request Timeout",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    503: "Service Unavailable",
}


def create_app(receiver: Receiver, *, starts_itself: bool = True) -> FastAPI:
    """Return the application.

    :param starts_itself: the receiver starts and stops with the application; a mounted one is not told of either.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await receiver.start()
        yield
        await receiver.stop()

    # No pages that describe it to whoever asks.
    app = FastAPI(
        title="Webhooks", openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan if starts_itself else None
    )

    @app.exception_handler(Refused)
    async def refuse(request: Request, refused: Exception) -> Response:
        assert isinstance(refused, Refused)
        receiver.metrics.add("refused_total", refused.reason)
        headers = dict(refused.headers)
        if request.method == "POST":
            # What is still to come of the body is not read: the connection can't be used for another request.
            headers["Connection"] = "close"
            if refused.status not in {408, 503}:
                await discard(request)
        return problem(refused, headers)

    @app.post(EVENTS)
    async def receive(request: Request) -> Response:
        return JSONResponse(await receiver.receive(request))

    @app.options(EVENTS)
    async def consent(request: Request) -> Response:
        """Answer the handshake of the CloudEvents webhook specification: whoever knows the secret may post."""
        receiver.check_secret(request)
        origin = request.headers.get("webhook-request-origin")
        headers = {"Allow": "POST, OPTIONS"}
        if origin is not None:
            headers |= {"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"}
        return Response(status_code=200, headers=headers)

    @app.get("/health")
    async def health() -> Response:
        return JSONResponse(await receiver.health())

    @app.get("/metrics")
    async def metrics() -> Response:
        try:
            text = await asyncio.to_thread(receiver.metrics.text, receiver.inbox)
        except Exception:
            raise too_busy("database", "the inbox's database does not answer") from None
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    return app


def problem(refused: Refused, headers: dict[str, str] | None = None) -> Response:
    """Return the answer to a refused request (RFC 9457)."""
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": _TITLES.get(refused.status, "Error"),
        "status": refused.status,
        "detail": refused.detail,
    }
    return JSONResponse(content, refused.status, headers, media_type="application/problem+json")


def configured_app() -> FastAPI:
    """Return the application that Airflow's configuration describes.

    :raises ConfigurationError: naming the option that is missing or wrong.
    """
    return create_app(Receiver(read_settings()))
