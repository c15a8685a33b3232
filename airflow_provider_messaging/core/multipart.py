"""Forms with files (``multipart/form-data``, RFC 7578), streamed."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.core.http import Stream

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=?-]{1,70}")
_TYPE = re.compile(r"[\x20-\x7e]+")
# RFC 7578 forbids `filename*` and has percent-encoding for what can't stand in a name. Browsers encode quotation marks
# and line ends; a backslash is itself to some servers, and escapes what follows it to others.
_ESCAPES = {number: f"%{number:02X}" for number in (*range(0x20), ord('"'), ord("\\"), 0x7F)}


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePart:
    """A file of a form, or with `file_name` None a field that has a content type.

    :param open: returns the content from its start, in pieces; called once an attempt.
    :param length: bytes; None where that is not known, which makes the whole request chunked.
    """

    name: str
    file_name: str | None
    open: Callable[[], Iterator[bytes]]
    content_type: str = "application/octet-stream"
    length: int | None = None


def multipart(
    fields: Mapping[str, str | bytes], files: Sequence[FilePart] = (), *, boundary: str | None = None
) -> tuple[str, Stream]:
    """Return the content type and the body of a form: the fields, then the files, in order.

    Names are UTF-8; quotation marks, backslashes and control characters in them are percent-encoded. Files are opened
    one after the other, each when its turn comes.

    :param boundary: for tests; by default one that nobody can guess, so that no content can hold it.
    :raises ConfigurationError: if there is nothing to send, or a name or a type can't be written.
    """
    if not fields and not files:
        raise ConfigurationError("a form needs a field or a file", setting="data or files")
    boundary = secrets.token_hex(24) if boundary is None else boundary
    if not _BOUNDARY.fullmatch(boundary):
        raise ConfigurationError(f"{boundary!r} can't be a boundary", setting="boundary")
    parts: list[tuple[bytes, Stream]] = []
    for name, value in fields.items():
        head = _head(boundary, name)
        data = _utf8(value, f"the field {name!r}") if isinstance(value, str) else bytes(value)
        parts.append((head, Stream(_opener(data), len(data))))
    for file in files:
        head = _head(boundary, file.name, file.file_name, file.content_type)
        parts.append((head, Stream(file.open, file.length)))
    tail = f"--{boundary}--\r\n".encode()

    def pieces() -> Iterator[bytes]:
        for head, content in parts:
            yield head
            yield from content.read()
            yield b"\r\n"
        yield tail

    length: int | None = len(tail)
    for head, content in parts:
        if content.length is None or length is None:
            length = None
            break
        length += len(head) + content.length + 2
    return f"multipart/form-data; boundary={_quoted(boundary)}", Stream(pieces, length)


def _head(boundary: str, name: str, file_name: str | None = None, content_type: str = "") -> bytes:
    lines = [f"--{boundary}", f'Content-Disposition: form-data; name="{_escaped(name)}"']
    if file_name is not None:
        lines[1] += f'; filename="{_escaped(file_name)}"'
    if content_type:
        if not _TYPE.fullmatch(content_type):
            raise ConfigurationError(f"{content_type!r} is no content type", setting="files")
        lines.append(f"Content-Type: {content_type}")
    return "\r\n".join([*lines, "", ""]).encode()


def _escaped(name: str) -> str:
    return _utf8(name, f"the name {name!r}").decode().translate(_ESCAPES)


def _utf8(text: str, what: str) -> bytes:
    # The library's error holds the whole text, and would stay with ours as its context.
    with suppress(UnicodeEncodeError):
        return text.encode()
    raise ConfigurationError(f"{what} is no text that UTF-8 can hold", setting="data or files")


def _quoted(boundary: str) -> str:
    return boundary if boundary.replace("-", "").isalnum() else f'"{boundary}"'


def _opener(content: bytes) -> Callable[[], Iterator[bytes]]:
    return lambda: iter((content,))
