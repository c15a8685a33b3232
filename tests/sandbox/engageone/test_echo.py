from __future__ import annotations

import hashlib
from typing import Any

import pytest

PRIVATE = ["document-channel", "chat-channel", "video-channel", "archiving", "push-notification", "nlu", "transfer"]


@pytest.mark.parametrize("service", PRIVATE)
def test_private_service_answers_with_what_it_was_asked(sandbox: Any, engageone: Any, service: str) -> None:
    answer = engageone.private.post(f"/{service}/a/b%2Fc?x=1&x=2&y=", json={"hello": ["world"]}).json()
    assert (answer["service"], answer["method"], answer["path"]) == (service, "POST", "/a/b%2Fc")
    assert answer["query"] == [["x", "1"], ["x", "2"], ["y", ""]]
    assert answer["body"] == {"hello": ["world"]}
    assert (answer["authorization"], answer["customer_id"]) == (True, True)
    assert {"authorization", "pb-customer-id", "content-type"} <= set(answer["headers"])
    assert engageone.private.headers["authorization"] not in str(answer)
    assert [row["status"] for row in sandbox.requests(operation="request")] == [200]


@pytest.mark.parametrize("service", PRIVATE)
def test_private_service_needs_credentials(engageone: Any, service: str) -> None:
    assert engageone.public.get(f"/{service}/documents").status_code == 401


def test_video_delivery_takes_none(engageone: Any) -> None:
    answer = engageone.public.get("/video-delivery/players/1").json()
    assert (answer["service"], answer["path"], answer["body"]) == ("video-delivery", "/players/1", None)
    assert (answer["authorization"], answer["customer_id"]) == (False, False)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
def test_any_method_is_answered(engageone: Any, method: str) -> None:
    assert engageone.private.request(method, "/nlu/intents").json()["method"] == method


@pytest.mark.parametrize("path", ["/nlu/", "/nlu/a", "/nlu/a/b/c/d/e/f", "/nlu//a/"])
def test_any_path_below_is_answered(engageone: Any, path: str) -> None:
    assert engageone.private.get(path).json()["path"] == path.removeprefix("/nlu")


def test_service_itself_is_no_path(engageone: Any) -> None:
    assert engageone.private.get("/nlu").status_code == 404
    assert engageone.private.get("/somewhere/a").status_code == 404


def test_other_bodies_are_told_by_size_and_digest(engageone: Any) -> None:
    answer = engageone.private.put("/archiving/a", content=b"\x00\xff", headers={"Content-Type": "application/pdf"})
    digest = hashlib.sha256(b"\x00\xff").hexdigest()
    assert answer.json()["body"] == {"size": 2, "sha256": digest}
    assert answer.json()["content_type"] == "application/pdf"


def test_parts_of_a_form_are_told_one_by_one(engageone: Any) -> None:
    form = {"file": ("a.txt", b"hello", "text/plain"), "note": (None, "x")}
    file, note = engageone.private.post("/transfer/a", files=form).json()["body"]["parts"]
    assert (file["name"], file["file_name"], file["content_type"], file["size"]) == ("file", "a.txt", "text/plain", 5)
    assert file["sha256"] == hashlib.sha256(b"hello").hexdigest()
    assert (note["name"], note["file_name"], note["size"]) == ("note", None, 1)


def test_broken_json_is_refused(engageone: Any) -> None:
    headers = {"Content-Type": "application/json"}
    assert engageone.private.post("/nlu/a", content=b"{", headers=headers).status_code == 400


@pytest.mark.parametrize("size", [0, 1, 1000, 5_000_000])
def test_binary_answer_has_the_size_asked_for(engageone: Any, size: int) -> None:
    answer = engageone.private.get(f"/document-channel/pdf?binary={size}")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.content == bytes(range(256)) * (size // 256) + bytes(range(size % 256))


@pytest.mark.parametrize("size", ["", "-1", "x", "100000001", "9" * 5000])
def test_wrong_binary_size_is_refused(engageone: Any, size: str) -> None:
    assert engageone.private.get(f"/document-channel/pdf?binary={size}").status_code == 400


def test_faults_befall_services_as_the_operation_request(sandbox: Any, engageone: Any) -> None:
    fault = {"vendor": "engageone", "operation": "request", "fault": "status", "status": 503, "times": 1}
    sandbox.faults([fault])
    assert [engageone.private.get("/nlu/a").status_code for _ in range(2)] == [503, 200]
