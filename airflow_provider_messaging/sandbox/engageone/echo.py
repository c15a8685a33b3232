"""The services whose paths the vendor does not publish: each answers with what it was asked."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from airflow_provider_messaging.sandbox.engageone.auth import CUSTOMER_HEADER
from airflow_provider_messaging.sandbox.engageone.multipart import FORM_DATA, read_parts
from airflow_provider_messaging.sandbox.engageone.problems import refuse
from airflow_provider_messaging.sandbox.http import Answer, Request, json_answer

PRIVATE = ("document-channel", "chat-channel", "video-channel", "archiving", "push-notification", "nlu", "transfer")
PUBLIC = ("video-delivery",)
"""The video player, which runs where its viewers are."""
MAX_BINARY = 100_000_000
_PATTERN = bytes(range(256))


def echo(service: str, request: Request) -> Answer:
    """What came, without the values of headers; with ``?binary=N`` N bytes that count from 0 to 255 over and over."""
    if request.too_large:
        raise refuse(413, "The body is too large.")
    for name, value in request.query:
        if name == "binary":
            return _binary(value)
    return json_answer(
        {
            "service": service,
            "method": request.method,
            "path": "/" + request.params["path"],
            "query": request.query,
            "headers": sorted(request.headers),
            "authorization": "authorization" in request.headers,
            "customer_id": CUSTOMER_HEADER in request.headers,
            "content_type": request.headers.get("content-type"),
            "body": _body(request),
        }
    )


def _body(request: Request) -> Any:
    if not request.body:
        return None
    media_type = request.media_type()
    if media_type == "application/json":
        try:
            return msgspec.json.decode(request.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise refuse(400, f"The body is not valid: {error}", "INVALID_BODY") from None
    summary: dict[str, Any] = {"size": len(request.body), "sha256": hashlib.sha256(request.body).hexdigest()}
    if media_type == FORM_DATA:
        summary["parts"] = [part.summary() for part in read_parts(request)]
    return summary


def _binary(text: str) -> Answer:
    if not text.isdecimal() or not text.isascii() or len(text) > 9 or int(text) > MAX_BINARY:
        raise refuse(400, f"binary must be a number of bytes, at most {MAX_BINARY}.", "INVALID_PARAMETER")
    repeats, rest = divmod(int(text), len(_PATTERN))
    return Answer(200, _PATTERN * repeats + _PATTERN[:rest], "application/octet-stream")
