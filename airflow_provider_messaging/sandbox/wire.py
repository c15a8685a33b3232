"""Answers on the wire, whole or broken as a fault wants them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from airflow_provider_messaging.sandbox.http import Answer

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


class Wire:
    """One request's end of the connection."""

    def __init__(self, receive: Receive, send: Send, closing: asyncio.Event) -> None:
        self._receive = receive
        self._send = send
        self._closing = closing

    async def body(self, limit: int) -> tuple[bytes, int]:
        """Read the body to its end.

        :return: the body, empty if it is longer than ``limit`` bytes, and the bytes received.
        :raises ClientGone: the connection ended within the body.
        """
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            whole: bytes = message.get("body", b"")
            return (whole if len(whole) <= limit else b""), len(whole)
        chunks: list[bytes] = []
        received = 0
        while message["type"] == "http.request":
            chunk: bytes = message.get("body", b"")
            received += len(chunk)
            if received <= limit:
                chunks.append(chunk)
            else:
                chunks.clear()
            if not message.get("more_body"):
                return b"".join(chunks), received
            message = await self._receive()
        raise ClientGone

    async def answer(self, answer: Answer) -> None:
        if isinstance(answer.body, bytes):
            await self._start(answer, len(answer.body))
            await self._send({"type": "http.response.body", "body": answer.body})
            return
        await self._start(answer, None)
        for chunk in answer.body:
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
            await asyncio.sleep(0)
        await self._send({"type": "http.response.body", "body": b""})

    async def truncate(self, answer: Answer) -> None:
        """Announce the whole body, send half of it and close the connection."""
        body = answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)
        await self._start(answer, len(body))
        await self._send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        self._transport().close()  # unlike abort, this sends what is buffered first
        await self._gone()

    async def drop(self) -> None:
        """Close the connection without an answer."""
        self._transport().abort()
        await self._gone()

    async def hang(self) -> None:
        """Leave the client without an answer until it goes, or the sandbox stops."""
        gone = asyncio.ensure_future(self._gone())
        closing = asyncio.ensure_future(self._closing.wait())
        await asyncio.wait((gone, closing), return_when=asyncio.FIRST_COMPLETED)
        closing.cancel()
        if not gone.done():
            self._transport().abort()
            await gone

    async def pause(self, seconds: float) -> None:
        """Wait, but no longer than the sandbox runs."""
        if seconds > 0:
            try:
                await asyncio.wait_for(self._closing.wait(), seconds)
            except TimeoutError:
                return

    async def _start(self, answer: Answer, length: int | None) -> None:
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
        if answer.content_type is not None:
            headers.append((b"content-type", answer.content_type.encode("latin-1")))
        if length is not None and answer.status not in (204, 304):
            headers.append((b"content-length", str(length).encode("latin-1")))
        await self._send({"type": "http.response.start", "status": answer.status, "headers": headers})

    async def _gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def _transport(self) -> asyncio.Transport:
        # ASGI has no word for a broken connection; uvicorn's send is a method of what holds the transport.
        transport: asyncio.Transport = self._send.__self__.transport  # type: ignore[attr-defined]
        return transport
