from __future__ import annotations

import email
import io
from collections.abc import Iterator
from email import policy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from python_multipart.multipart import MultipartParser, parse_form, parse_options_header

from airflow_provider_messaging.core.errors import ConfigurationError, StorageError
from airflow_provider_messaging.core.http import Stream
from airflow_provider_messaging.core.multipart import FilePart, multipart

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
types = st.from_regex(r"[a-z]{1,8}/[a-z.+-]{1,12}(; charset=[a-z0-9-]{1,8})?", fullmatch=True)


def cut(content: bytes, size: int) -> list[bytes]:
    return [content[at : at + size] for at in range(0, len(content), size)]


@st.composite
def files(draw: st.DrawFn) -> tuple[FilePart, bytes]:
    content = draw(st.binary(max_size=200))
    pieces = cut(content, draw(st.integers(1, 80)))
    part = FilePart(
        name=draw(names),
        file_name=draw(names),
        content_type=draw(types),
        open=lambda: iter(pieces),
        length=draw(st.sampled_from([len(content), None])),
    )
    return part, content


def encoded(name: str) -> str:
    """What a parser sees of a name: what would end or break the line, or its quotes, is percent-encoded."""
    return "".join(f"%{ord(c):02X}" if c in '"\\\x7f' or c < " " else c for c in name)


def parsed(content_type: str, body: bytes) -> list[dict[str, Any]]:
    """Return the parts as python-multipart sees them."""
    kind, options = parse_options_header(content_type)
    assert kind == b"multipart/form-data"
    parts: list[dict[str, Any]] = []
    header: list[bytes] = [b"", b""]

    def begin() -> None:
        parts.append({"body": b"", "headers": {}})

    def data(chunk: bytes, start: int, end: int) -> None:
        parts[-1]["body"] += chunk[start:end]

    def field(chunk: bytes, start: int, end: int) -> None:
        header[0] += chunk[start:end]

    def value(chunk: bytes, start: int, end: int) -> None:
        header[1] += chunk[start:end]

    def end_header() -> None:
        parts[-1]["headers"][header[0].decode().lower()] = bytes(header[1])
        header[:] = [b"", b""]

    ended: list[bool] = []
    parser = MultipartParser(
        options[b"boundary"],
        {
            "on_part_begin": begin,
            "on_part_data": data,
            "on_header_field": field,
            "on_header_value": value,
            "on_header_end": end_header,
            "on_end": lambda: ended.append(True),
        },
    )
    parser.write(body)
    parser.finalize()
    assert ended
    for part in parts:
        disposition, options = parse_options_header(part["headers"]["content-disposition"])
        assert disposition == b"form-data"
        part |= {key.decode(): text.decode() for key, text in options.items()}
    return parts


def whole(stream: Stream) -> bytes:
    return b"".join(stream.read())


@given(st.dictionaries(names, st.one_of(st.text(st.characters(exclude_categories=["Cs"])), st.binary())), st.data())
def test_a_parser_finds_every_field_and_file_as_it_was(fields: dict[str, str | bytes], data: st.DataObject) -> None:
    given_files = data.draw(st.lists(files(), min_size=0 if fields else 1, max_size=4))
    content_type, body = multipart(fields, [part for part, _ in given_files])
    found = parsed(content_type, whole(body))
    expected = [(encoded(n), None, v.encode() if isinstance(v, str) else v) for n, v in fields.items()]
    expected += [(encoded(part.name), encoded(part.file_name or ""), content) for part, content in given_files]
    assert [(part["name"], part.get("filename"), part["body"]) for part in found] == expected
    kinds = [part["headers"].get("content-type", b"").decode() for part in found]
    assert kinds == [""] * len(fields) + [part.content_type for part, _ in given_files]


@given(st.dictionaries(names, st.binary()), st.lists(files(), max_size=3))
def test_the_length_is_exact_where_all_lengths_are_known(
    fields: dict[str, bytes], given_files: list[tuple[FilePart, bytes]]
) -> None:
    parts = [part for part, _ in given_files]
    if not fields and not parts:
        return
    _, body = multipart(fields, parts)
    known = all(part.length is not None for part in parts)
    assert body.length == (len(whole(body)) if known else None)


def test_the_standard_library_and_the_form_parser_read_it_too() -> None:
    content = b"--\r\n--boundary\r\n\0\xff"
    file = FilePart(name="file", file_name="Größe 5€.pdf", content_type="application/pdf", open=lambda: iter([content]))
    content_type, body = multipart({"folder": "Überblick"}, [file])
    data = whole(body)
    message = email.message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + data, policy=policy.HTTP)
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "application/pdf"]
    assert [part.get_payload(decode=True) for part in message.iter_parts()] == ["Überblick".encode(), content]
    seen: list[Any] = []
    parse_form({"Content-Type": content_type}, io.BytesIO(data), seen.append, seen.append)
    field, upload = seen
    assert (field.field_name, field.value) == (b"folder", "Überblick".encode())
    assert (upload.field_name, upload.file_name) == (b"file", "Größe 5€.pdf".encode())
    upload.file_object.seek(0)
    assert upload.file_object.read() == content
    upload.close()


def test_the_wire_format_is_that_of_rfc_7578() -> None:
    file = FilePart(name="asset", file_name="Größe.txt", content_type="text/plain", open=lambda: iter([b"x"]), length=1)
    content_type, body = multipart({"name": "a"}, [file], boundary="XX")
    assert content_type == "multipart/form-data; boundary=XX"
    assert whole(body) == (
        b'--XX\r\nContent-Disposition: form-data; name="name"\r\n\r\na\r\n'
        b'--XX\r\nContent-Disposition: form-data; name="asset"; filename="Gr\xc3\xb6\xc3\x9fe.txt"\r\n'
        b"Content-Type: text/plain\r\n\r\nx\r\n--XX--\r\n"
    )


def test_a_name_cant_end_its_header() -> None:
    evil = 'a"\r\nX-Evil: 1\r\n\r\n--XX\r\n\\'
    file = FilePart(name=evil, file_name=evil, open=lambda: iter([b""]), length=0)
    content_type, body = multipart({evil: ""}, [file], boundary="XX")
    data = whole(body)
    assert data.count(b"\r\n--XX") == 2
    assert [set(part["headers"]) for part in parsed(content_type, data)] == [
        {"content-disposition"},
        {"content-disposition", "content-type"},
    ]


@pytest.mark.parametrize("content_type", ["text/plain\r\nX-Evil: 1", "tëxt/plain", "text/plain\n"])
def test_a_content_type_cant_end_its_header(content_type: str) -> None:
    with pytest.raises(ConfigurationError, match="content type"):
        multipart({}, [FilePart(name="f", file_name="f", content_type=content_type, open=lambda: iter(()))])


def test_a_field_may_have_a_content_type() -> None:
    part = FilePart(name="template", file_name=None, content_type="application/json", open=lambda: iter([b"{}"]))
    content_type, body = multipart({}, [part])
    [found] = parsed(content_type, whole(body))
    assert "filename" not in found
    assert found["headers"]["content-type"] == b"application/json"


def test_no_two_boundaries_are_the_same_and_none_is_short() -> None:
    boundaries = {multipart({"a": "b"})[0].partition("boundary=")[2] for _ in range(100)}
    assert len(boundaries) == 100
    assert {len(boundary) for boundary in boundaries} == {48}


@pytest.mark.parametrize("boundary", ["", "x" * 71, "a b", "a\r\n", 'a"b', "ä"])
def test_a_boundary_that_no_header_can_hold_is_refused(boundary: str) -> None:
    with pytest.raises(ConfigurationError, match="boundary"):
        multipart({"a": "b"}, boundary=boundary)


def test_an_odd_boundary_is_quoted() -> None:
    content_type, body = multipart({"a": "b"}, boundary="(x:y)")
    assert content_type == 'multipart/form-data; boundary="(x:y)"'
    assert [part["body"] for part in parsed(content_type, whole(body))] == [b"b"]


def test_a_body_is_read_anew_each_time() -> None:
    opened: list[int] = []

    def content() -> Iterator[bytes]:
        opened.append(1)
        yield b"content"

    _, body = multipart({"a": "b"}, [FilePart(name="f", file_name="f", open=content, length=7)])
    assert opened == []
    assert whole(body) == whole(body)
    assert len(opened) == 2


def test_files_are_open_one_after_the_other_and_closed_when_reading_stops() -> None:
    now: list[str] = []

    def content(name: str) -> Iterator[bytes]:
        now.append(name)
        try:
            yield b"1"
            yield b"2"
        finally:
            now.remove(name)

    parts = [FilePart(name=n, file_name=n, open=lambda n=n: content(n)) for n in "ab"]  # type: ignore[misc]
    _, body = multipart({}, parts)
    pieces = body.read()
    most = []
    for piece in pieces:
        most.append(list(now))
        if piece == b"1" and now == ["b"]:
            break
    pieces.close()
    assert max(map(len, most)) == 1
    assert now == []


@pytest.mark.parametrize("length", [2, 4])
def test_a_file_of_another_length_than_promised_is_an_error(length: int) -> None:
    _, body = multipart({}, [FilePart(name="f", file_name="f", open=lambda: iter([b"12", b"3"]), length=length)])
    with pytest.raises(StorageError, match="said to have"):
        whole(body)


def test_a_form_without_anything_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="a field or a file"):
        multipart({}, [])


@pytest.mark.parametrize("fields", [{"\ud800": "s3cr3t"}, {"x": "s3cr3t\ud800"}])
def test_what_is_no_text_is_refused_without_quoting_it(fields: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="is no text") as caught:
        multipart(fields)
    assert "s3cr3t" not in str(caught.value)
    assert caught.value.__context__ is None
