from __future__ import annotations

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
    with pytest.raises(ValidationError):
        ENDPOINT.url(BASE, profile="\ud800", row="r")


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
