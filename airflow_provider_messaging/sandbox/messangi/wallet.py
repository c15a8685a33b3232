"""Wallet templates, which come as multipart/form-data."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from typing import Any

from airflow_provider_messaging.sandbox.http import Answer, Refused, Request
from airflow_provider_messaging.sandbox.messangi.answers import envelope, problem, refuse
from airflow_provider_messaging.sandbox.messangi.bodies import take_object


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a form; ``file_name`` is None for a plain field."""

    name: str
    file_name: str | None
    data: bytes


@dataclass(slots=True)
class Wallet:
    """The templates that were created."""

    templates: list[dict[str, Any]] = field(default_factory=list)

    def create(self, request: Request) -> Answer:
        """Take the JSON of the part ``template``; beside it there may be files."""
        parts = read_parts(request)
        given = [part for part in parts if part.name == "template"]
        if len(given) != 1:
            raise refuse("template", "is required once")
        for part in parts:
            if part.name != "template" and part.file_name is None:
                raise refuse(part.name, "is not known")
        template = take_object(given[0].data)
        if not template:
            raise refuse("template", "must have members")
        created = {**template, "id": secrets.token_hex(12)}
        files = [part.file_name for part in parts if part.name != "template"]
        self.templates.append({"id": created["id"], "template": template, "files": files})
        return envelope("The template is created", 201, data=created)


def read_parts(request: Request) -> list[Part]:
    """:raises Refused: the body is no well-formed multipart/form-data."""
    if request.media_type() != "multipart/form-data":
        raise Refused(problem(400, "Content-Type must be multipart/form-data"))
    if request.too_large:
        raise Refused(problem(413))
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode("latin-1")
    form = BytesParser().parsebytes(head + request.body)
    payload = form.get_payload()
    if form.defects or not isinstance(payload, list):
        raise Refused(problem(400, "The body is no well-formed multipart/form-data"))
    return [_part(part) for part in payload if isinstance(part, Message)]


def _part(part: Message) -> Part:
    name = part.get_param("name", header="content-disposition")
    if part.defects or part.get_content_disposition() != "form-data" or not isinstance(name, str):
        raise Refused(problem(400, "A part of the form has no name"))
    data = part.get_payload(decode=True)
    return Part(name, part.get_filename(), data if isinstance(data, bytes) else b"")
