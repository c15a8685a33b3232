from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from airflow_provider_messaging.core.endpoint import Endpoint, Evidence, Safety, check_overrides
from airflow_provider_messaging.core.errors import ConfigurationError, ValidationError

BASE = "https://vendor.example:8443/api"
ENDPOINT = Endpoint(
    vendor="vendor",
    name="read",
    method="GET",
    path="/v1/{profile}/rows/{row}",
    safety=Safety.SAFE,
    evidence=Evidence.SPECIFIED,
)
segments = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: text not in {".", ".."})


@given(segments, segments, st.sampled_from([BASE, BASE + "/", BASE + "//"]))
@example("../..", "a/b", BASE)
@example("%2E%2E", "%2e%2e%2f", BASE)
@example("?x=1", "#fragment", BASE)
@example("//evil.example", "\\\\evil.example", BASE)
@example("a\r\nHost: evil.example", "\t\n\0", BASE)
@example("user:pass@evil.example", ";p=1", BASE)
@example("...", ". ", BASE)
def test_a_segment_stays_in_its_place(profile: str, row: str, base: str) -> None:
    url = ENDPOINT.url(base, profile=profile, row=row)
    assert url.isascii()
    assert url.isprintable()
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("https", "vendor.example:8443", "", "")
    assert [unquote(part) for part in parts.path.split("/")] == ["", "api", "v1", profile, "rows", row]


@pytest.mark.parametrize("value", ["", ".", ".."])
@pytest.mark.parametrize("name", ["profile", "row"])
def test_a_segment_that_means_another_place_is_refused(name: str, value: str) -> None:
    values = {"profile": "p", "row": "r", name: value}
    with pytest.raises(ValidationError, match=rf"^vendor read: {name} must not be '{value}'"):
        ENDPOINT.url(BASE, None, **values)


def test_a_segment_that_is_no_text_is_refused() -> None:
    with pytest.raises(ValidationError) as caught:
        ENDPOINT.url(BASE, profile="s3cr3t\ud800", row="r")
    # A segment may be a token: neither the error nor what led to it quotes it.
    assert "s3cr3t" not in str(caught.value)
    assert caught.value.__context__ is None


def test_an_override_keeps_the_last_segment() -> None:
    with pytest.raises(ConfigurationError, match=r"must name the segment \{row\}"):
        ENDPOINT.url(BASE, {"read": "/v2/{profile}"}, profile="p", row="r")


def test_an_override_replaces_the_path() -> None:
    overrides = {"read": "/v2/{row}", "other": "/x"}
    assert ENDPOINT.url(BASE, overrides, profile="p", row="a/b") == f"{BASE}/v2/a%2Fb"


@pytest.mark.parametrize(
    "path",
    ["", "v1/x", "//evil.example/x", "https://evil.example/x", "/{unknown}", "/{}", "/{0}", "/{row.real}", "/{row[0]}"],
)
def test_a_senseless_override_is_a_configuration_error(path: str) -> None:
    with pytest.raises(ConfigurationError, match=r"to change: extra 'endpoints' → 'read'"):
        ENDPOINT.url(BASE, {"read": path}, profile="p", row="r")


@pytest.mark.parametrize("path", ["/{row", "/row}", "/{row!r}", "/{row:>20}", "/{row:{profile}}"])
def test_an_override_knows_names_in_braces_only(path: str) -> None:
    with pytest.raises(ConfigurationError, match=r"to change: extra 'endpoints' → 'read'"):
        ENDPOINT.url(BASE, {"read": path}, profile="p", row="r")


# --------------------------------------------------------------------------------------------------- custom


@pytest.mark.parametrize(
    ("method", "safety"),
    [
        ("GET", Safety.SAFE),
        ("head", Safety.SAFE),
        ("Options", Safety.SAFE),
        ("PUT", Safety.IDEMPOTENT),
        ("delete", Safety.IDEMPOTENT),
        ("POST", Safety.UNSAFE),
        ("patch", Safety.UNSAFE),
    ],
)
def test_the_safety_of_a_custom_request_is_that_of_its_method(method: str, safety: Safety) -> None:
    endpoint = Endpoint.custom("vendor", method, "/x")
    assert (endpoint.method, endpoint.safety) == (method.upper(), safety)
    assert (endpoint.operation, endpoint.evidence) == ("vendor.request", Evidence.UNPUBLISHED)


@pytest.mark.parametrize("method", ["", "CONNECT", "TRACE", "GET /x", "BREW", None, 1])
def test_a_method_that_nobody_needs_is_refused(method: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^vendor call: the method .* \[to change: method\]$"):
        Endpoint.custom("vendor", method, "/x", name="call")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "x",
        "//evil.example/x",
        "https://evil.example/x",
        "/https://evil.example/x",
        "/a//b",
        "/a/../b",
        "/..",
        "/.",
        "/a/./b",
        "/%2e%2E/b",
        "/a/.%2e",
        "/a%2F..%2Fb",
        "/a\\..\\b",
        "/a%5c..",
        "/a?b=c",
        "/a#b",
        "/a b",
        "/a\tb",
        "/a\r\nHost: evil.example",
        "/a\0",
        "/a\u00a0b",
        "/a\u2028b",
        "/a\ud800",
        None,
        5,
        b"/x",
    ],
)
def test_a_path_that_could_mean_another_place_is_refused(path: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^vendor request: the path .* \[to change: path\]$"):
        Endpoint.custom("vendor", "GET", path)


@given(st.text(st.characters(exclude_categories=["Cs"])))
@example("%2e%2e/x")
@example("\\..\\x")
@example("a/%2F/b")
@example("@evil.example")
@example("{read}")
@example(":80/..;/x")
def test_an_accepted_path_stays_below_the_base_url(text: str) -> None:
    try:
        endpoint = Endpoint.custom("vendor", "GET", f"/{text}")
    except ConfigurationError:
        return
    url = endpoint.url(BASE)
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("https", "vendor.example:8443", "", "")
    assert parts.path.startswith("/api/")
    assert ".." not in re.split(r"[/\\]", unquote(parts.path))
    assert unquote(parts.path) == "/api/" + unquote(text)


@pytest.mark.parametrize(
    "path", ["/", "/v1/a%2Fb", "/v1/größe", "/a/", "/a:b/@c;d=1,2", "/...", "/.well-known/x", "/%"]
)
def test_a_path_is_kept_as_it_is(path: str) -> None:
    assert Endpoint.custom("vendor", "GET", path).url(BASE + "/") == BASE + path


def test_braces_in_a_custom_path_mean_nothing() -> None:
    assert Endpoint.custom("vendor", "GET", "/{a}/{b").url(BASE) == BASE + "/%7Ba%7D/%7Bb"


def test_no_override_replaces_a_custom_path() -> None:
    assert Endpoint.custom("vendor", "GET", "/x").url(BASE, {"request": "/y"}) == BASE + "/x"


def test_a_custom_endpoint_says_what_to_change_where_its_path_is_unknown() -> None:
    assert Endpoint.custom("vendor", "GET", "/x").setting == "path, or host of the connection"
    assert Endpoint.custom("vendor", "GET", "/x", base_url_setting="extra 'nlu_url'").setting == (
        "path, or extra 'nlu_url'"
    )
    assert ENDPOINT.setting == ""


# ------------------------------------------------------------------------------------------------ overrides


@given(st.dictionaries(st.sampled_from(["read", "send"]), st.text()))
def test_known_overrides_are_taken(overrides: dict[str, str]) -> None:
    assert check_overrides("vendor", {"read": ENDPOINT, "send": ENDPOINT}, overrides) == overrides


@given(st.text())
def test_unknown_overrides_are_refused(name: str) -> None:
    assume(name != "read")
    with pytest.raises(ConfigurationError, match="unknown endpoint"):
        check_overrides("vendor", {"read": ENDPOINT}, {name: "/x"})


@pytest.mark.parametrize("overrides", [None, "read=/x", ["read"], {"read": 1}, {"read": None}])
def test_overrides_are_a_map_of_paths(overrides: object) -> None:
    with pytest.raises(ConfigurationError, match="endpoint name → path"):
        check_overrides("vendor", {"read": ENDPOINT}, overrides)
