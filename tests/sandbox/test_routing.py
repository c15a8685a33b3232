from __future__ import annotations

import pytest

from airflow_provider_messaging.sandbox.http import Answer, Request
from airflow_provider_messaging.sandbox.request_log import shown_path
from airflow_provider_messaging.sandbox.routing import ANY, Route, Router


def handler(request: Request) -> Answer:
    return Answer(200)


ROUTER = Router(
    [
        Route("any", ANY, "/files/{rest*}", handler),
        Route("put", "PUT", "/files/{folder}/{name}", handler),
        Route("get", "GET", "/files/fixed", handler),
        Route("post", "POST", "/only/{rest*}", handler),
        Route("deep", "GET", "/{owner}/deep/{rest*}", handler),
    ]
)


@pytest.mark.parametrize(
    ("path", "rest"),
    [
        ("/files/a", "a"),
        ("/files/a/b/c", "a/b/c"),
        ("/files/", ""),
        ("/files//a/", "/a/"),
        ("/files/a%2Fb/%C3%BC", "a%2Fb/%C3%BC"),
    ],
)
def test_rest_of_a_path_is_taken_as_it_was_sent(path: str, rest: str) -> None:
    match = ROUTER.match("GET", path)
    assert match.route is not None
    assert (match.route.operation, match.params) == ("any", {"rest": rest})


def test_rest_is_at_least_one_segment() -> None:
    assert ROUTER.match("GET", "/files").route is None
    assert ROUTER.match("GET", "/").route is None


def test_segments_before_the_rest_are_decoded() -> None:
    assert ROUTER.match("GET", "/J%C3%BCrgen/deep/a%20b").params == {"owner": "Jürgen", "rest": "a%20b"}
    assert ROUTER.match("GET", "//deep/a").route is None


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("GET", "/files/fixed", "get"),
        ("POST", "/files/fixed", "any"),
        ("PUT", "/files/a/b", "put"),
        ("GET", "/files/a/b", "any"),
        ("PROPFIND", "/files/a", "any"),
    ],
)
def test_route_with_as_many_segments_comes_before_one_with_an_open_end(method: str, path: str, operation: str) -> None:
    match = ROUTER.match(method, path)
    assert match.route is not None
    assert match.route.operation == operation


def test_open_end_with_another_method_is_not_allowed() -> None:
    match = ROUTER.match("GET", "/only/a/b")
    assert (match.route, match.allowed) == (None, ("POST",))


def test_rest_is_shown_in_the_log_as_it_was_sent_unless_it_is_secret() -> None:
    params = {"key": "s3cret", "rest": "a%2Fb/c"}
    request = Request(1, 0.0, "GET", "http://x", "/v/s3cret/a%2Fb/c", [], {}, b"", 0, params)
    path = "/{key}/{rest*}"
    route = Route("any", ANY, path, handler, secret_params=frozenset({"key"}))
    assert shown_path(request, "/v", route) == "/v/***/a%2Fb/c"
    route = Route("any", ANY, path, handler, secret_params=frozenset({"rest"}))
    assert shown_path(request, "/v", route) == "/v/s3cret/***"
