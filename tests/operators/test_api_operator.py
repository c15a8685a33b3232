"""The generic request, over a vendor that exists in here only."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_messaging.core.connection import ConnectionParts
from airflow_provider_messaging.core.errors import (
    AmbiguousDeliveryError,
    ConfigurationError,
    MessagingError,
    RateLimitedError,
    StorageError,
    VendorError,
)
from airflow_provider_messaging.core.flow import Api, Flow, Problem, with_headers
from airflow_provider_messaging.core.http import Request, Response
from airflow_provider_messaging.core.multipart import FilePart
from airflow_provider_messaging.core.retry import RetryPolicy
from airflow_provider_messaging.hooks._api import send_request
from airflow_provider_messaging.hooks._base import Client, MessagingHook
from airflow_provider_messaging.operators._api import ApiOperator
from airflow_provider_messaging.transport.options import TransportOptions
from tests.contexts import object_storage, task_context
from tests.core.test_multipart import parsed
from tests.transport.conftest import plain_environment, stand
from tests.transport.servers import Answer, Server, Stand, reply

__all__ = ["object_storage", "plain_environment", "stand"]

JSON = "Content-Type: application/json"
TOKEN = "t0ken-t0ken"
LOST = Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", close=True)


class Auth:
    def authorize(self, request: Request) -> Flow[Request]:
        return with_headers(request, Authorization=f"Bearer {TOKEN}", **{"X-Customer": "acme"})
        yield

    def renew(self, request: Request, response: Response) -> Request | None:
        return None


class VendorHook(MessagingHook):
    conn_type = "vendor"

    def build_client(self, parts: ConnectionParts) -> Client:
        api = Api(
            vendor="vendor",
            connection=parts.id,
            base_url=parts.host_url() or "",
            auth=Auth(),
            read_problem=lambda response: Problem(message=response.body.decode()),
            overrides={"request": "/elsewhere"},
            retry=RetryPolicy(base=0.001),
        )
        return Client(api=api, options=TransportOptions.from_extra("vendor", parts.extra))

    def describe_access(self) -> str:
        return ""

    def request(self, method: str, path: str, **parts: Any) -> Any:
        api = self.client.api
        return send_request(self, api, method, path, reserved_headers={"X-Customer"}, **parts)


class VendorApiOperator(ApiOperator):
    def make_hook(self) -> VendorHook:
        return VendorHook("vendor_default")


@pytest.fixture
def connect(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Server]:
    """Start a vendor that answers so, and make a connection to it."""

    def start(*answers: Answer) -> Server:
        server = stand(list(answers) or reply())
        connection = {"conn_type": "vendor", "host": f"{server.url}/base", "extra": {"read_timeout": 1}}
        monkeypatch.setenv("AIRFLOW_CONN_VENDOR_DEFAULT", json.dumps(connection))
        return server

    return start


@pytest.fixture
def hook() -> Iterator[VendorHook]:
    with VendorHook("vendor_default") as hook:
        yield hook


def run(**arguments: Any) -> Any:
    operator = VendorApiOperator(task_id="call", **{"path": "/v1/things", **arguments})
    return operator.execute(task_context(task=operator))


# --------------------------------------------------------------------------------------------- what is sent


def test_the_request_goes_below_the_base_url_with_credentials(connect: Any) -> None:
    server = connect(reply(200, b"[]", JSON))
    run(method="delete", path="/v1/things/4%2F2/{x}")
    [seen] = server.requests
    assert (seen.method, seen.target) == ("DELETE", "/base/v1/things/4%2F2/%7Bx%7D")
    assert seen.header("Authorization") == f"Bearer {TOKEN}"
    assert (seen.header("Content-Type"), seen.body) == (None, b"")


def test_query_parameters_are_encoded_repeated_and_left_out(connect: Any) -> None:
    server = connect()
    run(query_params={"q": "a&b=c d", "id": [1, "2"], "$top": 5, "all": True, "none": None, "day": []})
    assert server.requests[0].target == "/base/v1/things?q=a%26b%3Dc%20d&id=1&id=2&$top=5&all=true"


@pytest.mark.parametrize("value", [{"a": [1, None, "ü"]}, [], [1], "text", 0, False])
def test_json_is_sent_as_json(connect: Any, value: Any) -> None:
    server = connect()
    run(method="POST", json=value)
    [seen] = server.requests
    assert seen.header("Content-Type") == "application/json"
    assert json.loads(seen.body) == value


def test_data_is_sent_as_a_form(connect: Any) -> None:
    server = connect()
    run(method="POST", data={"name": "Größe & so", "n": [1, 2], "none": None, "raw": b"\xff"})
    [seen] = server.requests
    assert seen.header("Content-Type") == "application/x-www-form-urlencoded"
    pairs = parse_qsl(seen.body.decode(), errors="surrogateescape")
    assert pairs == [("name", "Größe & so"), ("n", "1"), ("n", "2"), ("raw", "\udcff")]


def test_files_are_sent_as_a_form_from_any_storage(connect: Any, object_storage: None, tmp_path: Path) -> None:
    server = connect()
    (tmp_path / "logo.png").write_bytes(b"\x89PNG")
    with ObjectStoragePath("memory://bucket/terms.pdf").open("wb") as stream:
        stream.write(b"%PDF" * 100_000)
    part = FilePart(name="ignored", file_name=None, content_type="application/json", open=lambda: iter([b"{}"]))
    files = {"logo": str(tmp_path / "logo.png"), "terms": "memory://bucket/terms.pdf", "raw": b"\0", "part": part}
    run(method="POST", data={"folder": "a/b", "n": 1}, files=files)
    [seen] = server.requests
    parts = parsed(seen.header("Content-Type") or "", seen.body)
    assert [(p["name"], p.get("filename"), p["body"]) for p in parts] == [
        ("folder", None, b"a/b"),
        ("n", None, b"1"),
        ("logo", "logo.png", b"\x89PNG"),
        ("terms", "terms.pdf", b"%PDF" * 100_000),
        ("raw", "raw", b"\0"),
        ("part", None, b"{}"),
    ]
    types = [p["headers"].get("content-type") for p in parts]
    assert types == [None, None, b"image/png", b"application/pdf", b"application/octet-stream", b"application/json"]


def test_a_form_of_known_files_has_a_content_length(connect: Any) -> None:
    server = connect()
    run(method="POST", files={"a": b"1"})
    [seen] = server.requests
    assert seen.header("Content-Length") == str(len(seen.body))


def test_headers_are_added_and_replace_our_defaults_in_any_case(connect: Any) -> None:
    server = connect()
    headers = {"content-TYPE": "application/merge-patch+json", "accept": "text/csv", "X-Trace": 1, "X-None": None}
    run(method="PATCH", json={}, headers=headers)
    [seen] = server.requests
    assert [seen.header(name) for name in headers] == ["application/merge-patch+json", "text/csv", "1", None]


@pytest.mark.parametrize(
    ("arguments", "setting"),
    [
        ({"method": "BREW"}, "method"),
        ({"path": "v1/things"}, "path"),
        ({"path": "https://evil.example/"}, "path"),
        ({"path": "/a/../b"}, "path"),
        ({"path": "/a?b=c"}, "path"),
        ({"query_params": "a=b"}, "params"),
        ({"query_params": {"a": {"b": 1}}}, "params"),
        ({"query_params": {"a": "\ud800"}}, "params"),
        ({"data": "a=b"}, "data"),
        ({"data": {"a": [[1]]}}, "data"),
        ({"json": {}, "data": {"a": 1}}, "json, data or files"),
        ({"json": object()}, "json"),
        ({"files": {"a": 1}}, "files"),
        ({"files": {"a": "/nowhere/at/all"}}, "files"),
        ({"files": {"a": "/"}}, "files"),
        ({"files": {"a": b"1"}, "data": {"n": [1, 2]}}, "data"),
        ({"files": {"a": b"1"}, "headers": {"Content-Type": "x/y"}}, "headers"),
        ({"headers": {"authorization": "Basic x"}}, "headers"),
        ({"headers": {"x-customer": "other"}}, "headers"),
        ({"headers": {"Host": "evil.example"}}, "headers"),
        ({"headers": {"X-Evil: 1\r\nX": "1"}}, "headers"),
        ({"headers": ["X"]}, "headers"),
        ({"response_path": "nowhere://bucket/file"}, "response_path"),
    ],
)
def test_a_senseless_argument_is_named_and_nothing_is_sent(connect: Any, arguments: Any, setting: str) -> None:
    server = connect()
    with pytest.raises(AirflowFailException) as caught:
        run(**{"method": "POST", **arguments})
    assert str(caught.value).startswith("vendor request: ")
    assert str(caught.value).endswith(f"[connection 'vendor_default', to change: {setting}]")
    assert server.requests == []


def test_a_header_that_http_cant_carry_is_refused(connect: Any) -> None:
    server = connect()
    with pytest.raises(AirflowFailException, match="can't carry"):
        run(headers={"X-Name": "a\r\nX-Evil: 1"})
    assert server.requests == []


# ----------------------------------------------------------------------------------------- what comes of it


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (reply(200, b'{"a": [1, null]}', JSON), {"a": [1, None]}),
        (reply(200, b'"text"', "Content-Type: application/json; charset=utf-8"), "text"),
        (reply(200, b'\xef\xbb\xbf{"a": 1}', "Content-Type: application/hal+json"), {"a": 1}),
        (reply(200, b"[1]"), [1]),
        (reply(200, b"null", JSON), None),
        (reply(201, b"", JSON), None),
        (reply(204), None),
        (reply(200, "ä;ö".encode(), "Content-Type: text/csv"), "ä;ö"),
        (reply(200, "ä;ö".encode("latin-1"), "Content-Type: text/csv; charset=ISO-8859-1"), "ä;ö"),
        (reply(200, "ä".encode(), "Content-Type: text/plain; charset=unheard-of"), "ä"),
        (reply(200, b"{}", "Content-Type: text/html"), "{}"),
    ],
)
def test_an_answer_is_decoded_by_its_type(connect: Any, answer: Answer, expected: Any) -> None:
    connect(answer)
    assert run() == expected


@pytest.mark.parametrize("answer", [reply(200, b"\xff\0"), reply(200, b"\xff\0", "Content-Type: image/png")])
def test_any_other_answer_is_bytes_for_the_hook_and_refused_by_the_task(
    connect: Any, hook: VendorHook, answer: Answer
) -> None:
    server = connect(answer)
    assert hook.request("GET", "/x") == b"\xff\0"
    with pytest.raises(AirflowFailException, match=r"2 bytes that are neither .* to change: response_path\]"):
        run()
    assert len(server.requests) == 2


def test_json_that_is_none_is_an_error_that_is_not_retried(connect: Any, hook: VendorHook) -> None:
    connect(reply(200, b"<html>", JSON))
    with pytest.raises(VendorError, match="HTTP 200, but the body is not JSON") as caught:
        hook.request("POST", "/x")
    assert not caught.value.retryable


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_call_that_does_no_harm_twice_is_repeated(connect: Any, method: str) -> None:
    server = connect(LOST, reply(500), reply(200, b"[]", JSON))
    assert run(method=method) == []
    assert len(server.requests) == 3


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("answer", [LOST, reply(500), reply(504), Answer(reset=True)])
def test_a_call_that_may_have_been_taken_fails_for_good(connect: Any, method: str, answer: Answer) -> None:
    server = connect(answer, reply(200, b"[]", JSON))
    with pytest.raises(AirflowFailException, match="may have been taken") as caught:
        run(method=method)
    assert isinstance(caught.value.__cause__, AmbiguousDeliveryError)
    assert len(server.requests) == 1


def test_a_post_that_was_surely_not_taken_is_repeated(connect: Any) -> None:
    server = connect(reply(503), reply(429), reply(200, b"[]", JSON))
    assert run(method="POST", files={"a": b"1" * 100_000}) == []
    assert len({seen.body for seen in server.requests}) == 1
    assert all(seen.whole for seen in server.requests)


def test_a_throttled_call_is_left_to_airflows_retries(connect: Any) -> None:
    connect(reply(429))
    with pytest.raises(RateLimitedError):
        run(method="POST")


@pytest.mark.parametrize("status", [404, 405])
def test_an_unknown_path_names_the_argument_and_the_base_url(connect: Any, status: int) -> None:
    connect(reply(status))
    with pytest.raises(AirflowFailException, match=r"to change: path, or host of the connection\]"):
        run()


def test_an_answer_that_is_too_large_is_not_asked_for_again(connect: Any) -> None:
    server = connect(reply(200, b"x" * 101))
    with pytest.raises(AirflowFailException, match=r"larger than allowed \[.* to change: max_bytes\]"):
        run(max_bytes=100)
    assert len(server.requests) == 1


# ---------------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("where", ["local", "memory"])
def test_an_answer_goes_to_a_file(connect: Any, object_storage: None, tmp_path: Path, where: str) -> None:
    content = os.urandom(300_000)
    connect(reply(200, content, "Content-Type: application/zip"))
    path = "memory://bucket/answer.zip" if where == "memory" else str(tmp_path / "new" / "answer.zip")
    assert run(response_path=path) == {
        "path": path,
        "bytes": 300_000,
        "content_type": "application/zip",
        "status": 200,
    }
    with ObjectStoragePath(path).open("rb") as stream:
        assert stream.read() == content


def test_an_empty_answer_is_an_empty_file(connect: Any, tmp_path: Path) -> None:
    connect(reply(204))
    path = tmp_path / "answer"
    assert run(response_path=str(path)) == {"path": str(path), "bytes": 0, "content_type": None, "status": 204}
    assert path.read_bytes() == b""


@pytest.mark.parametrize("answer", [LOST, reply(404, b"{}"), reply(200, b"x" * 101)])
def test_a_file_is_replaced_by_a_whole_answer_only(connect: Any, tmp_path: Path, answer: Answer) -> None:
    connect(answer)
    path = tmp_path / "answer"
    path.write_bytes(b"old")
    with pytest.raises((MessagingError, AirflowFailException)):
        run(response_path=str(path), max_bytes=100)
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["answer"]


class Broken(MemoryFileSystem):
    """Storage that takes no file, and breaks off when one is read."""

    def put_file(self, *args: Any, **kwargs: Any) -> None:
        raise ConnectionResetError("the storage is away")

    def _open(self, *args: Any, **kwargs: Any) -> Any:
        stream = super()._open(*args, **kwargs)
        read = stream.read

        def once(size: int) -> Any:
            if stream.tell():
                raise ConnectionResetError("the storage is away")
            return read(size)

        stream.read = once
        return stream


@pytest.fixture
def broken_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow.sdk.io.store._STORE_CACHE", {})
    storage = type("BrokenOfThisTest", (Broken,), {"store": {}, "pseudo_dirs": [""]})(skip_instance_cache=True)
    storage.pipe_file("/bucket/file", b"x" * 1_000_000)
    attach("memory", fs=storage)


def test_a_post_whose_answer_cant_be_stored_is_not_repeated(connect: Any, broken_storage: None) -> None:
    server = connect(reply(200, b"{}", JSON))
    with pytest.raises(AirflowFailException, match="the vendor took the request, so it is not repeated"):
        run(method="POST", response_path="memory://bucket/answer")
    assert len(server.requests) == 1


def test_a_get_whose_answer_cant_be_stored_may_be_retried(connect: Any, broken_storage: None) -> None:
    connect(reply(200, b"{}", JSON))
    with pytest.raises(StorageError, match="can't be written to 'memory://bucket/answer'") as caught:
        run(response_path="memory://bucket/answer")
    assert caught.value.retryable


def test_a_post_whose_file_breaks_off_is_not_taken_and_may_be_retried(connect: Any, broken_storage: None) -> None:
    server = connect()
    with pytest.raises(StorageError, match="'memory://bucket/file' can't be read now: ConnectionResetError") as caught:
        run(method="POST", files={"file": "memory://bucket/file"})
    assert caught.value.retryable
    assert not any(seen.whole for seen in server.requests)


# ------------------------------------------------------------------------------------------------ the seams


def test_the_arguments_are_templates() -> None:
    operator = VendorApiOperator(
        task_id="call",
        path="/{{ x }}",
        method="{{ x }}",
        query_params={"a": "{{ x }}"},
        json={"a": ["{{ x }}", 1]},
        data={"a": "{{ x }}"},
        files={"a": "{{ x }}"},
        headers={"a": "{{ x }}"},
        response_path="{{ x }}",
    )
    operator.render_template_fields({"x": "y"})  # type: ignore[typeddict-unknown-key]
    rendered = {name: getattr(operator, name) for name in operator.template_fields}
    assert rendered == {
        "path": "/y",
        "method": "y",
        "query_params": {"a": "y"},
        "json": {"a": ["y", 1]},
        "data": {"a": "y"},
        "files": {"a": "y"},
        "headers": {"a": "y"},
        "response_path": "y",
    }


def test_a_hook_may_take_more_than_method_and_path(connect: Any) -> None:
    class ServiceHook(VendorHook):
        def request(self, service: str, method: str, path: str, **parts: Any) -> Any:  # type: ignore[override]
            api = self.client.api
            return send_request(self, api, method, f"/{service}{path}", base_url_setting=f"extra '{service}'", **parts)

    class ServiceApiOperator(ApiOperator):
        def make_hook(self) -> ServiceHook:
            return ServiceHook("vendor_default")

        def send(self, hook: Any, **parts: Any) -> Any:
            return hook.request("nlu", self.method, self.path, **parts)

    server = connect(reply(200, b"[]", JSON), reply(404))
    assert ServiceApiOperator(task_id="call", path="/x").execute(task_context()) == []
    assert server.requests[0].target == "/base/nlu/x"
    with pytest.raises(AirflowFailException, match="path, or extra 'nlu'"):
        ServiceApiOperator(task_id="call", path="/x").execute(task_context())


def test_errors_show_no_secret(connect: Any) -> None:
    connect(reply(400, b"no"))
    with pytest.raises(AirflowFailException) as caught:
        run(method="POST", query_params={"key": TOKEN}, json={"key": TOKEN}, headers={"X-Key": TOKEN})
    assert TOKEN not in f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"


def test_the_errors_of_arguments_know_the_call(hook: VendorHook, connect: Any) -> None:
    connect()
    with pytest.raises(ConfigurationError) as caught:
        hook.request("GET", "/x", params="text")
    error = caught.value
    assert (error.vendor, error.operation, error.connection) == ("vendor", "request", "vendor_default")
