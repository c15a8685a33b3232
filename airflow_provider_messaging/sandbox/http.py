"""Requests and answers as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec


@dataclass(slots=True)
class Request:
    """One request as it came over the wire, with its body read to the end."""

    number: int
    at: float
    method: str
    origin: str
    path: str
    """The path as it was sent, percent-encoding included."""
    query: list[tuple[str, str]]
    headers: Mapping[str, str]
    body: bytes
    body_bytes: int
    """Bytes received: more than ``len(body)`` when the body passed the limit and was discarded."""
    params: dict[str, str] = field(default_factory=dict)
    messages: int | None = None
    """How many messages the body holds; a send handler sets it for the request log."""

    @property
    def too_large(self) -> bool:
        return self.body_bytes > len(self.body)

    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; a body that is not bytes is streamed."""

    status: int
    body: bytes | Iterable[bytes] = b""
    content_type: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


class Refused(Exception):
    """Raised by a handler to end the request with ``answer``."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class InvalidOrder(Exception):
    """An admin request asks for something that is unknown or impossible; the text is for the caller."""


def json_answer(document: Any, status: int = 200, content_type: str = "application/json") -> Answer:
    return Answer(status, msgspec.json.encode(document), content_type)
