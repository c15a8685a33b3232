"""The ASGI application: routes a request, lets its faults happen, and writes the log."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Iterable, MutableMapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

from airflow_provider_messaging.sandbox.admin import Admin
from airflow_provider_messaging.sandbox.faults import UNHARMED, Draw, Faults
from airflow_provider_messaging.sandbox.http import Answer, Refused, Request, json_answer
from airflow_provider_messaging.sandbox.request_log import (
    Entry,
    RequestLog,
    shown_path,
    shown_query,
    token_digest,
)
from airflow_provider_messaging.sandbox.routing import NOTHING, Match, Router
from airflow_provider_messaging.sandbox.vendor import Vendor
from airflow_provider_messaging.sandbox.wire import ClientGone, Receive, Send, Wire

ADMIN_MAX_BODY = 16_000_000
_log = logging.getLogger("airflow_provider_messaging.sandbox")
Scope = MutableMapping[str, Any]


class SandboxApp:
    """All vendors, each below its name, and the admin routes below ``/_sandbox``."""

    def __init__(self, vendors: Iterable[Vendor]) -> None:
        self.vendors = {vendor.name: vendor for vendor in vendors}
        self.routers = {name: Router(vendor.routes()) for name, vendor in self.vendors.items()}
        self.log = RequestLog()
        self.faults = Faults()
        self.closing = asyncio.Event()
        self._numbers = itertools.count(1)
        self._admin = Admin(self.vendors, self.routers, self.faults, self.log)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wire = Wire(receive, send, self.closing)
        path: str = scope["raw_path"].decode("latin-1")
        _, name, rest = [*path.split("/", 2), ""][:3]
        try:
            if name in self.vendors:
                await self._vendor(self.vendors[name], "/" + rest, scope, wire)
            elif name == "_sandbox":
                request = await _read(scope, wire, 0, ADMIN_MAX_BODY)
                await wire.answer(self._admin.answer(request, "/" + rest, scope["client"]))
            else:
                await wire.answer(json_answer({"error": f"no such vendor; there are {sorted(self.vendors)}"}, 404))
        except ClientGone:
            return

    async def _vendor(self, vendor: Vendor, path: str, scope: Scope, wire: Wire) -> None:
        started = time.perf_counter()
        match = self.routers[vendor.name].match(scope["method"], path)
        route = match.route
        request = await _read(scope, wire, next(self._numbers), route.max_body if route else 0)
        request.params.update(match.params)
        draw = self.faults.draw(vendor.name, route.operation) if route else UNHARMED
        await wire.pause(draw.delay_before)
        answer = _processed(vendor, match, request, draw)
        await wire.pause(draw.delay_after)
        self.log.add(
            Entry(
                number=request.number,
                at=request.at,
                vendor=vendor.name,
                operation=route.operation if route else None,
                method=request.method,
                path=shown_path(request, f"/{vendor.name}", route or match.other),
                query=shown_query(request.query),
                status=answer.status if answer else None,
                request_bytes=request.body_bytes,
                messages=request.messages,
                duration=time.perf_counter() - started,
                fault=draw.applied,
                token=token_digest(request.headers.get("authorization")),
            )
        )
        await _deliver(wire, answer, draw)


def _processed(vendor: Vendor, match: Match, request: Request, draw: Draw) -> Answer | None:
    """Handle the request unless its fault comes before; None if there is no answer."""
    fault = draw.chosen
    if fault is None:
        return _handled(vendor, match, request)
    if fault.fault == "expire_token":
        vendor.expire_tokens()
        return _handled(vendor, match, request)
    if fault.fault in ("drop", "hang"):
        if fault.when == "after":
            _handled(vendor, match, request)
        return None
    if fault.fault == "status":
        if fault.when == "after":
            _handled(vendor, match, request)
        return fault.answer(vendor.problem(fault.status))
    answer = _handled(vendor, match, request)
    if fault.fault == "malformed" and 200 <= answer.status < 300:
        return Answer(_with_body(answer.status), b'{"value": [{"', "application/json", answer.headers)
    if fault.fault == "truncate" and not answer.body:
        return replace(
            json_answer({"status": "accepted", "detail": "cut off"}, _with_body(answer.status)),
            headers=answer.headers,
        )
    return answer


def _with_body(status: int) -> int:
    return 200 if status == 204 else status


def _handled(vendor: Vendor, match: Match, request: Request) -> Answer:
    if match.route is None:
        if match == NOTHING:
            return vendor.problem(404)
        return replace(vendor.problem(405), headers=(("Allow", ", ".join(match.allowed)),))
    try:
        return match.route.handler(request)
    except Refused as refused:
        return refused.answer
    except Exception:
        _log.exception("%s failed on request %d", match.route.operation, request.number)
        return vendor.problem(500)


async def _deliver(wire: Wire, answer: Answer | None, draw: Draw) -> None:
    if answer is not None:
        truncated = draw.chosen is not None and draw.chosen.fault == "truncate"
        await (wire.truncate(answer) if truncated else wire.answer(answer))
    elif draw.chosen is not None and draw.chosen.fault == "hang":
        await wire.hang()
    else:
        await wire.drop()


async def _read(scope: Scope, wire: Wire, number: int, limit: int) -> Request:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    at = time.time()
    body, received = await wire.body(limit)
    server = scope["server"]
    return Request(
        number=number,
        at=at,
        method=scope["method"],
        origin=f"{scope['scheme']}://{headers.get('host', f'{server[0]}:{server[1]}')}",
        path=scope["raw_path"].decode("latin-1"),
        query=parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True),
        headers=headers,
        body=body,
        body_bytes=received,
    )
