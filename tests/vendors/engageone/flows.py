"""Driving a flow by hand: canned replies in, requests and the result out."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_messaging.core.auth import TokenCache
from airflow_provider_messaging.core.connection import ConnectionParts
from airflow_provider_messaging.core.flow import Emit, Flow, Sleep
from airflow_provider_messaging.core.http import Headers, Reply, Request, Response
from airflow_provider_messaging.vendors.engageone.config import EngageOneConfig
from airflow_provider_messaging.vendors.engageone.services import EngageOne

SECRET = "s3cret-s3cret"
TOKEN = "eyJhbGciOiJub25lIn0.eyJhIjoxfQ.c2lnbmF0dXJl"


def services(**extra: Any) -> EngageOne:
    """The services of a connection, with a token at hand."""
    parts = ConnectionParts(
        id="c",
        vendor="engageone",
        login="client",
        password=SECRET,
        extra={"customer_id": "eocm-Acme", "public_url": "https://public.example", **extra},
    )
    return EngageOne.of(EngageOneConfig.read(parts), cache=TokenCache())


def answer(document: Any = None, status: int = 200, **headers: str) -> Response:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Response(status=status, headers=Headers(headers), body=body)


@dataclass
class Driven:
    result: Any = None
    requests: list[Request] = field(default_factory=list)
    emitted: list[Any] = field(default_factory=list)


def drive(flow: Flow[Any], *replies: Reply) -> Driven:
    """Answer the flow's requests with `replies` in turn, but those for a token with a token; nobody waits."""
    left = list(replies)
    driven = Driven()
    reply: Reply | None = None
    try:
        while True:
            step = flow.send(reply)
            reply = None
            if isinstance(step, Emit):
                driven.emitted.append(step.value)
            elif not isinstance(step, Sleep):
                if step.operation == "engageone.token":
                    reply = answer(TOKEN)
                else:
                    driven.requests.append(step)
                    reply = left.pop(0)
    except StopIteration as end:
        driven.result = end.value
    assert not left, f"{len(left)} replies were not asked for"
    return driven
