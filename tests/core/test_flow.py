from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_messaging.core.endpoint import Endpoint, Evidence, Safety
from airflow_provider_messaging.core.errors import (
    AmbiguousDeliveryError,
    AuthenticationError,
    MessagingError,
    RateLimitedError,
    ValidationError,
    VendorError,
)
from airflow_provider_messaging.core.flow import (
    Api,
    Emit,
    Flow,
    NoAuth,
    Problem,
    Sleep,
    each,
    may_have_been_taken,
    with_headers,
    with_query,
)
from airflow_provider_messaging.core.http import Failure, FailureKind, Headers, Reply, Request, Response
from airflow_provider_messaging.core.retry import RetryPolicy, repeatable

POLICY = RetryPolicy(max_attempts=4, budget=60)
statuses = st.sampled_from([200, 202, 301, 400, 401, 403, 404, 408, 429, 500, 502, 503, 504])
replies: st.SearchStrategy[Reply] = st.one_of(
    statuses.map(lambda status: Response(status=status)),
    st.builds(
        Response, status=st.just(429), headers=st.integers(0, 90).map(lambda s: Headers({"retry-after": str(s)}))
    ),
    st.builds(Failure, kind=st.sampled_from([kind for kind in FailureKind if kind is not FailureKind.BODY])),
    st.builds(Failure, kind=st.just(FailureKind.BODY), status=statuses),
)
scripts = st.lists(replies, min_size=1, max_size=12)
safeties = st.sampled_from(Safety)


@dataclass
class Tokens:
    """Counts how often it was asked for credentials, and for better ones."""

    authorized: int = 0
    renewed: int = 0

    def authorize(self, request: Request) -> Flow[Request]:
        self.authorized += 1
        yield Sleep(0)
        return with_headers(request, Authorization=f"t{self.renewed}")

    def renew(self, request: Request, response: Response) -> Request | None:
        if response.status != 401:
            return None
        assert request.headers["Authorization"] == f"t{self.renewed}"
        self.renewed += 1
        return request


def endpoint(safety: Safety = Safety.SAFE, evidence: Evidence = Evidence.SPECIFIED) -> Endpoint:
    return Endpoint(vendor="vendor", name="call", method="POST", path="/v1/{profile}", safety=safety, evidence=evidence)


def api(auth: Any = None) -> Api:
    return Api(
        vendor="vendor",
        connection="vendor_default",
        base_url="https://vendor.example",
        auth=auth or Tokens(),
        read_problem=lambda response: Problem(message="a problem", code="CODE", trace_id="trace"),
        retry=POLICY,
    )


@dataclass
class Run:
    """What a flow did while it was given the script's replies, the last one over and over."""

    requests: list[Request] = field(default_factory=list)
    sleeps: list[Sleep] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    result: Any = None
    error: MessagingError | None = None


def play(flow: Flow[Any], script: Sequence[Reply]) -> Run:
    run, reply = Run(), None
    try:
        while True:
            step = flow.send(reply)
            reply = None
            if isinstance(step, Request):
                run.requests.append(step)
                reply = script[min(len(run.requests), len(script)) - 1]
                run.replies.append(reply)
                assert len(run.requests) < 100, "the flow never ends"
            elif isinstance(step, Sleep) and step.seconds:
                run.sleeps.append(step)
    except StopIteration as stop:
        run.result = stop.value
    except MessagingError as error:
        run.error = error
    return run


@given(scripts, safeties)
def test_credentials_are_renewed_at_most_once(script: list[Reply], safety: Safety) -> None:
    tokens = Tokens()
    run = play(api(tokens).exchange(endpoint(safety), request()), script)
    assert tokens.renewed <= 1
    assert tokens.authorized == len(run.requests)
    refused = [reply for reply in run.replies[:-1] if isinstance(reply, Response) and reply.status == 401]
    assert len(refused) == tokens.renewed


@given(scripts, safeties)
def test_an_exchange_ends_within_its_attempts_and_budget(script: list[Reply], safety: Safety) -> None:
    run = play(api().exchange(endpoint(safety), request()), script)
    assert len(run.requests) <= POLICY.max_attempts + 1
    assert sum(sleep.seconds for sleep in run.sleeps) <= POLICY.budget * (1 + 1e-9)
    assert run.result == run.replies[-1]


@given(scripts, safeties)
def test_an_exchange_repeats_only_what_may_be_repeated(script: list[Reply], safety: Safety) -> None:
    run = play(api().exchange(endpoint(safety), request()), script)
    for reply in run.replies[:-1]:
        assert repeatable(reply, safety) or reply == Response(status=401)
        assert not may_have_been_taken(reply, safety)


@given(scripts, safeties)
def test_every_repeat_sends_the_same_but_for_its_credentials(script: list[Reply], safety: Safety) -> None:
    original = request()
    run = play(api().exchange(endpoint(safety), original), script)
    for sent in run.requests:
        assert (sent.method, sent.url, sent.body, sent.operation) == (
            original.method,
            original.url,
            original.body,
            original.operation,
        )
        assert {n: v for n, v in sent.headers.items() if n != "Authorization"} == original.headers


@given(scripts, safeties)
def test_the_outcome_of_a_call_fits_its_last_reply(script: list[Reply], safety: Safety) -> None:
    run = play(api().perform(endpoint(safety), request()), script)
    last = run.replies[-1]
    if isinstance(last, Response) and last.ok:
        assert run.result == last
        return
    error = run.error
    assert error is not None
    assert (error.vendor, error.operation, error.connection) == ("vendor", "call", "vendor_default")
    if may_have_been_taken(last, safety):
        assert isinstance(error, AmbiguousDeliveryError)
        assert safety is Safety.UNSAFE
        assert not error.retryable
    elif isinstance(last, Failure):
        assert isinstance(error, VendorError)
    elif last.status in {401, 403}:
        assert isinstance(error, AuthenticationError)
    elif last.status in {429, 503}:
        assert isinstance(error, RateLimitedError)
    else:
        assert isinstance(error, VendorError)
        assert (error.status, error.code, error.trace_id) == (last.status, "CODE", "trace")
        assert error.retryable == (last.status in {408, 500, 502, 504})


@given(scripts)
def test_an_ambiguous_reply_ends_an_unsafe_call_at_once(script: list[Reply]) -> None:
    run = play(api().perform(endpoint(Safety.UNSAFE), request()), script)
    assert not any(may_have_been_taken(reply, Safety.UNSAFE) for reply in run.replies[:-1])


def test_an_unpublished_path_that_is_not_found_names_its_setting() -> None:
    run = play(api().perform(endpoint(evidence=Evidence.UNPUBLISHED), request()), [Response(status=404)])
    assert run.error is not None
    assert "extra 'endpoints' → 'call'" in run.error.setting


def test_what_is_not_there_is_none() -> None:
    assert play(api().call_or_none(endpoint(), segments={"profile": "p"}), [Response(status=404)]).result is None


@pytest.mark.parametrize("status", [400, 405, 410])
def test_other_refusals_are_errors_even_where_nothing_would_do(status: int) -> None:
    run = play(api().call_or_none(endpoint(), segments={"profile": "p"}), [Response(status=status)])
    assert isinstance(run.error, VendorError)


def test_a_token_that_is_not_there_says_nothing_about_what_was_asked_for() -> None:
    class Lost(NoAuth):
        def authorize(self, request: Request) -> Flow[Request]:
            raise VendorError("no such path", status=404, operation="token")
            yield

    run = play(api(Lost()).call_or_none(endpoint(), segments={"profile": "p"}), [Response(status=200)])
    assert isinstance(run.error, VendorError)


@pytest.mark.parametrize("safety", Safety)
def test_an_answer_that_can_not_be_read_is_worth_a_retry_unless_a_repeat_may_do_harm(safety: Safety) -> None:
    error = api().unreadable(endpoint(safety), Response(status=200))
    assert error.retryable == (safety is not Safety.UNSAFE)
    assert ("it must not be repeated" in str(error)) == (safety is Safety.UNSAFE)


def test_no_auth_sends_the_request_as_it_is() -> None:
    original = request()
    assert play(api(NoAuth()).exchange(endpoint(), original), [Response(status=401)]).requests == [original]


def test_parts_make_a_request() -> None:
    made = api().request(
        endpoint(),
        segments={"profile": "a/b"},
        params={"$top": 5, "all": True, "none": None, "q": "x y&z"},
        headers={"X": "y", "Accept": "text/plain"},
        body=b"{}",
        read_timeout=3,
    )
    assert made.url == "https://vendor.example/v1/a%2Fb?$top=5&all=true&q=x%20y%26z"
    assert made.headers == {"Accept": "text/plain", "Content-Type": "application/json", "X": "y"}
    assert (made.method, made.body, made.read_timeout, made.operation) == ("POST", b"{}", 3, "vendor.call")


def test_an_impossible_request_names_its_connection() -> None:
    with pytest.raises(ValidationError) as caught:
        api().request(endpoint(), segments={"profile": ".."})
    assert caught.value.connection == "vendor_default"


# The second kind: what means something else where it is not escaped, such as the + of a phone number.
values = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])), st.text("a1+&=%#;/ "), st.integers(), st.booleans()
)


@given(st.dictionaries(st.text("abc$@_", min_size=1), st.none() | values), st.sampled_from(["", "?given=1"]))
def test_a_query_says_what_its_parameters_say(params: dict[str, object], given_query: str) -> None:
    url = with_query(f"https://vendor.example/path{given_query}", params)
    assert url.isascii()
    parts = urlsplit(url)
    assert (parts.netloc, parts.path, parts.fragment) == ("vendor.example", "/path", "")
    text = {True: "true", False: "false"}
    expected = [
        (name, text[value] if isinstance(value, bool) else str(value))
        for name, value in params.items()
        if value is not None
    ]
    got = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    assert got == ([("given", "1")] if given_query else []) + expected


def test_headers_are_added_to_a_copy() -> None:
    original = request()
    assert with_headers(original, X="y").headers == {"A": "b", "X": "y"}
    assert original.headers == {"A": "b"}


@given(st.lists(st.integers()))
def test_each_takes_what_another_flow_emits(numbers: list[int]) -> None:
    closed: list[bool] = []

    def inner() -> Flow[int]:
        try:
            for number in numbers:
                assert (yield request()) == Response(status=200)
                assert (yield Emit(number)) is None
            return len(numbers)
        finally:
            closed.append(True)

    taken: list[int] = []
    run = play(each(inner(), taken.append), [Response(status=200)])
    assert (run.result, taken, len(run.requests)) == (len(numbers), numbers, len(numbers))
    assert closed == [True]


def test_each_closes_the_flow_when_the_action_fails() -> None:
    closed: list[bool] = []

    def inner() -> Flow[None]:
        try:
            yield Emit(1)
        finally:
            closed.append(True)

    def fail(value: int) -> None:
        raise VendorError("no")

    flow = inner()
    assert isinstance(play(each(flow, fail), []).error, VendorError)
    assert closed == [True]


def request() -> Request:
    return Request(
        method="POST", url="https://vendor.example/v1/p", operation="vendor.call", headers={"A": "b"}, body=b"[]"
    )
