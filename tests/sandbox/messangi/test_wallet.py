from __future__ import annotations

import json
from typing import Any

import pytest

PATH = "/ironbank/v2/wallet/templates"
TEMPLATE = {"name": "Loyalty card", "type": "LOYALTY", "fields": [{"key": "points", "value": "0"}]}
Parts = list[tuple[str, tuple[str | None, str | bytes, str]]]


def part(name: str, data: str | bytes, file_name: str | None = None, kind: str = "application/json") -> Any:
    return (name, (file_name, data, kind))


def created(sandbox: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sandbox.state("wallet_templates", vendor="messangi")
    return found


@pytest.mark.parametrize("file_name", [None, "template.json"])
def test_template_is_created(sandbox: Any, messangi: Any, file_name: str | None) -> None:
    answer = messangi.post(PATH, files=[part("template", json.dumps(TEMPLATE), file_name)])
    assert answer.status_code == 201
    data = answer.json()["data"]
    assert data == {**TEMPLATE, "id": data["id"]}
    assert created(sandbox) == [{"id": data["id"], "template": TEMPLATE, "files": []}]


def test_files_may_come_along(sandbox: Any, messangi: Any) -> None:
    image = bytes(range(256)) + b"\r\n--x\r\n"
    files = [part("template", '{"name": "Zo\u00eb"}'), part("logo", image, "logo.png", "image/png")]
    assert messangi.post(PATH, files=files).status_code == 201
    (row,) = created(sandbox)
    assert (row["template"], row["files"]) == ({"name": "Zoë"}, ["logo.png"])


@pytest.mark.parametrize(
    "parts",
    [
        [part("templates", "{}", "t.json")],
        [part("template", '{"a": 1}')] * 2,
        [part("template", '{"a": 1}'), part("name", "x", kind="text/plain")],
        [part("template", "")],
        [part("template", "{}")],
        [part("template", "[]")],
        [part("template", "{")],
        [part("template", b"\xff")],
    ],
)
def test_wrong_form_is_refused(sandbox: Any, messangi: Any, parts: Parts) -> None:
    answer = messangi.post(PATH, files=parts)
    assert answer.status_code == 400
    assert answer.json()["errors"]["reason"]
    assert created(sandbox) == []


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"name": "x"}'),
        ("multipart/form-data", b"--b\r\n"),
        ("multipart/form-data; boundary=b", b""),
        ("multipart/form-data; boundary=b", b"nothing"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="template"\r\n\r\n{"a": 1}\r\n',
        ),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Type: application/json\r\n\r\n{"a": 1}\r\n--b--\r\n'),
    ],
)
def test_body_that_is_no_complete_form_is_refused(messangi: Any, content_type: str, body: bytes) -> None:
    assert messangi.post(PATH, content=body, headers={"Content-Type": content_type}).status_code == 400


def test_form_that_is_too_large_is_refused(messangi: Any) -> None:
    files = [part("template", '{"a": 1}'), part("logo", b"x" * 4_000_000, "logo.png", "image/png")]
    assert messangi.post(PATH, files=files).status_code == 413
