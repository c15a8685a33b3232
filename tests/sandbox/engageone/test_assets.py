from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
import requests

CONTENT = bytes(range(256)) * 400 + b"\r\n--not the boundary--\r\n"


def test_file_is_stored(sandbox: Any, engageone: Any) -> None:
    files = {"file": ("logo.png", CONTENT, "image/png")}
    answer = engageone.private.post("/private/assets", files=files, data={"name": "Logo", "folder": "images"})
    assert answer.status_code == 201
    [asset] = sandbox.state("assets", vendor="engageone")
    assert answer.json() == {"id": asset["id"], "name": "Logo", "size": len(CONTENT)}
    assert (asset["file_name"], asset["content_type"], asset["folder"]) == ("logo.png", "image/png", "images")
    assert (asset["size"], asset["sha256"]) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


def test_name_is_the_name_of_the_file_unless_given(engageone: Any) -> None:
    files = {"file": ("grüße 🎉.txt", b"hello", "text/plain")}
    assert engageone.private.post("/private/assets", files=files).json()["name"] == "grüße 🎉.txt"


async def test_forms_of_other_clients_are_read(sandbox: Any, engageone: Any) -> None:
    url, headers = f"{sandbox.url}/engageone/private/assets", dict(engageone.private.headers)
    for name in ("content-length", "content-type", "accept-encoding"):
        headers.pop(name, None)
    with requests.Session() as session:
        session.trust_env = False
        assert session.post(url, files={"file": ("a.bin", CONTENT)}, headers=headers, timeout=10).status_code == 201
    form = aiohttp.FormData()
    form.add_field("file", CONTENT, filename="a.bin", content_type="application/octet-stream")
    async with aiohttp.ClientSession() as client, client.post(url, data=form, headers=headers) as answer:
        assert answer.status == 201
    digests = [asset["sha256"] for asset in sandbox.state("assets", vendor="engageone")]
    assert digests == [hashlib.sha256(CONTENT).hexdigest()] * 2


def test_streamed_body_is_read(sandbox: Any, engageone: Any) -> None:
    def body() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(40):
            yield b"z" * 1_000_000
        yield b"\r\n--x--\r\n"

    answer = engageone.private.post(
        "/private/assets", content=body(), headers={"Content-Type": "multipart/form-data; boundary=x"}
    )
    assert (answer.status_code, answer.json()["size"]) == (201, 40_000_000)
    assert sandbox.requests(operation="upload_asset")[0]["request_bytes"] > 40_000_000


def test_file_that_is_too_large_is_refused(sandbox: Any, engageone: Any) -> None:
    files = {"file": ("big.bin", bytes(50_000_000))}
    assert engageone.private.post("/private/assets", files=files).status_code == 413
    assert sandbox.state("assets", vendor="engageone") == []


@pytest.mark.parametrize(
    "files",
    [
        {"name": (None, "Logo")},
        {"upload": ("logo.png", b"x")},
        {"file": (None, b"x")},
        {"file": ("logo.png", b"x"), "tags": (None, "a")},
        {"file": ("logo.png", b"x"), "name": (None, b"")},
        {"file": ("logo.png", b"x"), "folder": ("folder.txt", b"x")},
        [("file", ("a.png", b"x")), ("file", ("b.png", b"y"))],
    ],
)
def test_form_with_other_parts_is_refused(sandbox: Any, engageone: Any, files: Any) -> None:
    answer = engageone.private.post("/private/assets", files=files)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_BODY")
    assert sandbox.state("assets", vendor="engageone") == []


PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhello'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        PART,
        PART + b"\r\n--x",
        PART + b"\r\n--x\r\n",
        PART + b"\r\n--y--\r\n",
        b'--x\r\nContent-Disposition: form-data; filename="a"\r\n\r\nhello\r\n--x--\r\n',
        b'--x\r\nContent-Disposition: attachment; name="file"; filename="a"\r\n\r\nhello\r\n--x--\r\n',
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="\xff"\r\n\r\nhello\r\n--x--\r\n',
    ],
)
def test_malformed_form_is_refused(sandbox: Any, engageone: Any, body: bytes) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = engageone.private.post("/private/assets", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_BODY")
    assert sandbox.state("assets", vendor="engageone") == []


@pytest.mark.parametrize(
    ("content_type", "status"),
    [("multipart/form-data", 400), ("application/json", 415), ("multipart/mixed; boundary=x", 415)],
)
def test_content_type_has_to_fit(engageone: Any, content_type: str, status: int) -> None:
    headers = {"Content-Type": content_type}
    body = PART + b"\r\n--x--\r\n"
    assert engageone.private.post("/private/assets", content=body, headers=headers).status_code == status


def test_upload_needs_credentials(engageone: Any) -> None:
    assert engageone.public.post("/private/assets", files={"file": ("a", b"x")}).status_code == 401
