"""The receiver: from a request to events that are durable."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request

from airflow_provider_messaging.vendors.marigold.cloudevents_http import (
    MalformedEvent,
    UnsupportedMode,
    check_content_type,
    parse_request,
)
from airflow_provider_messaging.vendors.marigold.segments import segment_kind
from airflow_provider_messaging.vendors.marigold.webhooks import RECEIVED_AT
from airflow_provider_messaging.webhooks.committer import Committer
from airflow_provider_messaging.webhooks.gate import Door, Refused, Secrets, too_busy
from airflow_provider_messaging.webhooks.inbox import Inbox, Received, event_key, microseconds, moment
from airflow_provider_messaging.webhooks.metrics import Metrics
from airflow_provider_messaging.webhooks.sealer import Sealer
from airflow_provider_messaging.webhooks.settings import Settings

log = logging.getLogger(__name__)

_COMMIT_SECONDS = 30.0
_FAILING_SECONDS = 300.0
_ENCODER = msgspec.json.Encoder()


class Receiver:
    """Everything that one process needs to receive. Start it on the event loop that serves the requests."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.inbox = Inbox(settings.inbox)
        self._secrets = Secrets(settings.secrets)
        self._door = Door(
            most_requests=settings.max_requests,
            most_bytes=settings.max_body_bytes,
            seconds=settings.read_timeout,
        )
        self._committer: Committer | None = None
        self._sealer: Sealer | None = None

    async def start(self) -> None:
        """Make the inbox's tables where they are missing, and begin to seal.

        :raises SQLAlchemyError: if the database does not answer.
        """
        await asyncio.to_thread(self.inbox.create)
        self._committer = Committer(self.inbox)
        self._sealer = Sealer(self.inbox, self.settings, self.metrics)
        self._sealer.start()
        log.info("Receiving webhooks: inbox in %s, segments below %s", self.inbox.database, self.settings.path)

    async def stop(self) -> None:
        if self._committer is not None:
            await self._committer.close()
        if self._sealer is not None:
            await asyncio.to_thread(self._sealer.stop)
        self.inbox.close()

    def check_secret(self, request: Request) -> None:
        """See `Secrets.check`."""
        self._secrets.check(request)

    async def receive(self, request: Request) -> dict[str, int]:
        """Store a request's events; return how many there are, and how many of them are new, once they are durable.

        :raises Refused: for everything else.
        """
        began = time.perf_counter()
        self._door.enter()
        size = 0
        try:
            self._secrets.check(request)
            headers = _headers(request)
            try:
                check_content_type(headers)
                body = await self._door.read(request)
                size = len(body)
                events = [_received(event) for event in parse_request(headers, body)]
            except UnsupportedMode as error:
                raise Refused(415, "content_type", str(error)) from None
            except MalformedEvent as error:
                raise Refused(400, "malformed", str(error)) from None
            new = await self._store(events)
        finally:
            self._door.leave(size)
        self._count(events, new)
        self.metrics.answered(time.perf_counter() - began)
        return {"events": len(events), "new": len(new)}

    async def _store(self, events: list[Received]) -> set[str]:
        if self._committer is None:
            raise too_busy("starting", "the receiver is starting")
        if not events:
            return set()
        try:
            async with asyncio.timeout(_COMMIT_SECONDS):
                return await self._committer.store(events)
        except Exception as error:
            # The text of a database error has the statement with its values in it.
            log.warning("Events can't be stored (%s): their senders are told to come again.", type(error).__name__)
            raise too_busy("database", "the events can't be stored now") from None

    def _count(self, events: list[Received], new: set[str]) -> None:
        kinds = Counter({event.key: event.kind for event in events if event.key in new}.values())
        for kind, count in kinds.items():
            self.metrics.add("received_total", kind, count)
        self.metrics.add("duplicates_total", count=len(events) - len(new))

    async def health(self) -> Mapping[str, Any]:
        """Return whether events can be stored, and whether they are landed.

        :raises Refused: 503, if they can't be stored.
        """
        if self._committer is None or self._sealer is None:
            raise too_busy("starting", "the receiver is starting")
        try:
            async with asyncio.timeout(5):
                await asyncio.to_thread(self.inbox.ping)
        except Exception:
            raise too_busy("database", "the inbox's database does not answer") from None
        since = self._sealer.failing_since
        failing = since is not None and time.monotonic() - since > _FAILING_SECONDS
        return {"status": "degraded" if failing else "ok", "landing": "failing" if failing else "ok"}


def _headers(request: Request) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in request.headers.raw}


def _received(event: dict[str, Any]) -> Received:
    at = microseconds()
    line = {**event, RECEIVED_AT: moment(at).isoformat(timespec="microseconds").replace("+00:00", "Z")}
    return Received(
        key=event_key(event["source"], event["id"]),
        kind=segment_kind(event["type"]),
        received=at,
        payload=_ENCODER.encode(line).decode(),
    )
