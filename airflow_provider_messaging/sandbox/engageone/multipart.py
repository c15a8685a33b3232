"""Bodies of the type multipart/form-data."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from airflow_provider_messaging.sandbox.engageone.problems import refuse, require_plain
from airflow_provider_messaging.sandbox.http import Refused, Request

FORM_DATA = "multipart/form-data"


class Part(msgspec.Struct, frozen=True):
    """One part of a form; a file is a part with a file name."""

    name: str
    content: bytes
    file_name: str | None
    content_type: str | None

    def summary(self) -> dict[str, Any]:
        """Everything but the content, of which the size and the digest."""
        return {
            "name": self.name,
            "file_name": self.file_name,
            "content_type": self.content_type,
            "size": len(self.content),
            "sha256": hashlib.sha256(self.content).hexdigest(),
        }


def read_parts(request: Request) -> Sequence[Part]:
    """:raises Refused: the body is not multipart, malformed, or not complete."""
    require_plain(request, FORM_DATA)
    boundary = parse_options_header(request.headers["content-type"])[1].get(b"boundary")
    if not boundary:
        raise _malformed("Content-Type has no boundary")
    collector = _Collector()
    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": collector.begin,
            "on_header_field": collector.field,
            "on_header_value": collector.value,
            "on_header_end": collector.header,
            "on_part_data": collector.data,
            "on_part_end": collector.part,
            "on_end": collector.end,
        },
    )
    try:
        parser.write(request.body)
    except (FormParserError, UnicodeDecodeError) as error:
        raise _malformed(str(error)) from None
    if not collector.complete:
        raise _malformed("the last boundary is missing")
    return collector.parts


def _malformed(detail: str) -> Refused:
    return refuse(400, f"The form is malformed: {detail}.", "INVALID_BODY")


class _Collector:
    """Makes parts of what the parser reports."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.complete = False
        self.begin()

    def begin(self) -> None:
        self._headers: dict[bytes, bytes] = {}
        self._content: list[bytes] = []
        self._field = self._value = b""

    def field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def data(self, data: bytes, start: int, end: int) -> None:
        self._content.append(data[start:end])

    def part(self) -> None:
        disposition, options = parse_options_header(self._headers.get(b"content-disposition"))
        if disposition != b"form-data" or b"name" not in options:
            raise FormParserError("a part has no name")
        file_name, content_type = options.get(b"filename"), self._headers.get(b"content-type")
        part = Part(
            name=options[b"name"].decode(),
            content=b"".join(self._content),
            file_name=None if file_name is None else file_name.decode(),
            content_type=None if content_type is None else content_type.decode("ascii"),
        )
        self.parts.append(part)

    def end(self) -> None:
        self.complete = True
