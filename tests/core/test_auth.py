"""The token cache, and one flow among many that fetches."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_messaging.core.auth import BearerAuth, Token, TokenCache, without_token
from airflow_provider_messaging.core.endpoint import Endpoint
from airflow_provider_messaging.core.errors import AuthenticationError, MessagingError, RateLimitedError, VendorError
from airflow_provider_messaging.core.flow import Api, Flow, Problem, Sleep
from airflow_provider_messaging.core.http import Request, Response


class Vendor:
    """Gives a new token for each fetch, which takes one step."""

    def __init__(self) -> None:
        self.now = 0.0
        self.fetched = 0
        self.cache = TokenCache(clock=lambda: self.now)
        self.auth = BearerAuth(cache=self.cache, key="k", fetch=self.fetch)

    def fetch(self) -> Flow[Token]:
        yield Request(method="POST", url="https://example.com/token", operation="v.token")
        self.fetched += 1
        return Token(value=f"token-{self.fetched}", expires_at=self.now + 100)


REQUEST = Request(method="GET", url="https://example.com/", operation="v.read")
READ = Endpoint.custom("v", "GET", "/")


def finish(flow: Flow[Request]) -> Request:
    try:
        while True:
            next(flow)
    except StopIteration as end:
        value: Request = end.value
        return value


def test_a_cached_token_is_used_until_it_expires() -> None:
    vendor = Vendor()
    assert finish(vendor.auth.authorize(REQUEST)).headers["Authorization"] == "Bearer token-1"
    vendor.now = 99.9
    assert finish(vendor.auth.authorize(REQUEST)).headers["Authorization"] == "Bearer token-1"
    vendor.now = 100.0
    assert finish(vendor.auth.authorize(REQUEST)).headers["Authorization"] == "Bearer token-2"


def test_a_second_flow_sleeps_while_the_first_fetches() -> None:
    vendor = Vendor()
    first, second = vendor.auth.authorize(REQUEST), vendor.auth.authorize(REQUEST)
    assert isinstance(next(first), Request)
    assert isinstance(next(second), Sleep)
    finish(first)
    assert finish(second).headers["Authorization"] == "Bearer token-1"
    assert vendor.fetched == 1


def test_who_waits_looks_soon_and_then_less_often() -> None:
    vendor = Vendor()
    first, second = vendor.auth.authorize(REQUEST), vendor.auth.authorize(REQUEST)
    next(first)
    pauses = [step.seconds for _ in range(8) if isinstance(step := next(second), Sleep)]
    assert pauses[:3] == [0.001, 0.002, 0.004]
    assert pauses[-2:] == [0.05, 0.05]
    assert len(pauses) == 8


def test_who_waited_for_a_fetch_that_failed_pauses_before_it_fetches() -> None:
    vendor = Vendor()
    first, second = vendor.auth.authorize(REQUEST), vendor.auth.authorize(REQUEST)
    next(first)
    assert isinstance(next(second), Sleep)
    first.close()
    assert isinstance(step := next(second), Sleep)
    assert step.seconds == 0.05
    assert finish(second).headers["Authorization"] == "Bearer token-1"
    assert vendor.fetched == 1


@pytest.mark.parametrize("error", [AuthenticationError("wrong"), VendorError("HTTP 502", retryable=True)])
def test_who_waited_for_a_fetch_is_refused_with_it_but_tries_itself_after_another_failure(
    error: MessagingError,
) -> None:
    vendor = Vendor()
    first, second = vendor.auth.authorize(REQUEST), vendor.auth.authorize(REQUEST)
    next(first)
    assert isinstance(next(second), Sleep)
    with pytest.raises(type(error)):
        first.throw(error)
    if isinstance(error, AuthenticationError):
        with pytest.raises(AuthenticationError, match="wrong") as caught:
            next(second)
        assert caught.value is not error
        assert vendor.fetched == 0
    assert finish(vendor.auth.authorize(REQUEST)).headers["Authorization"] == "Bearer token-1"
    second.close()


def test_who_waited_is_refused_although_another_fetch_has_begun_meanwhile() -> None:
    vendor = Vendor()
    first, second, third = (vendor.auth.authorize(REQUEST) for _ in range(3))
    next(first)
    next(second)
    with pytest.raises(AuthenticationError):
        first.throw(AuthenticationError("wrong"))
    assert isinstance(next(third), Request)
    with pytest.raises(AuthenticationError):
        next(second)
    third.close()


def test_two_connections_with_the_same_credentials_are_each_named_in_their_own_error() -> None:
    vendor = Vendor()
    calls = [
        Api(
            vendor="v",
            connection=name,
            base_url="https://example.com",
            auth=vendor.auth,
            read_problem=lambda _: Problem(),
        ).exchange(READ, REQUEST)
        for name in ("a", "b")
    ]
    for call in calls:
        next(call)
    with pytest.raises(AuthenticationError, match="connection 'a'"):
        calls[0].throw(AuthenticationError("wrong", connection="a"))
    with pytest.raises(AuthenticationError, match="connection 'b'"):
        next(calls[1])


def test_a_fetch_that_is_given_up_lets_the_next_one_fetch() -> None:
    vendor = Vendor()
    first = vendor.auth.authorize(REQUEST)
    next(first)
    first.close()
    assert finish(vendor.auth.authorize(REQUEST)).headers["Authorization"] == "Bearer token-1"


@given(st.lists(st.integers(0, 4), max_size=60))
def test_any_interleaving_of_flows_fetches_once(order: list[int]) -> None:
    vendor = Vendor()
    flows = [vendor.auth.authorize(REQUEST) for _ in range(5)]
    done: dict[int, str] = {}
    for number in [*order, *[n for _ in range(4) for n in range(5)]]:
        if number not in done:
            try:
                next(flows[number])
            except StopIteration as end:
                done[number] = end.value.headers["Authorization"]
    assert set(done.values()) == {"Bearer token-1"}
    assert len(done) == 5
    assert vendor.fetched == 1


def test_a_refused_token_is_dropped_and_a_newer_one_is_not() -> None:
    vendor = Vendor()
    refused = finish(vendor.auth.authorize(REQUEST))
    assert vendor.auth.renew(refused, Response(status=401))
    finish(vendor.auth.authorize(REQUEST))
    assert vendor.auth.renew(refused, Response(status=401))
    assert finish(vendor.auth.authorize(REQUEST)).headers["Authorization"] == "Bearer token-2"


def test_other_refusals_renew_nothing() -> None:
    vendor = Vendor()
    request = finish(vendor.auth.authorize(REQUEST))
    assert not vendor.auth.renew(request, Response(status=403))
    finish(vendor.auth.authorize(REQUEST))
    assert vendor.fetched == 1


def test_a_forked_process_does_not_wait_for_its_parents_fetch() -> None:
    from airflow_provider_messaging.core.auth import TOKENS

    assert TOKENS.claim("fork-test")
    try:
        child = os.fork()
        if child == 0:
            os._exit(0 if TOKENS.claim("fork-test") else 1)
        assert os.waitpid(child, 0)[1] == 0
    finally:
        TOKENS.release("fork-test")


@pytest.mark.parametrize(
    ("error", "is_about_credentials"),
    [
        (AuthenticationError("HTTP 401, who is s3cret?"), True),
        (VendorError("HTTP 400, who is s3cret?", status=400), True),
        (VendorError("HTTP 422, who is s3cret?", status=422), True),
        (VendorError("HTTP 404", status=404), False),
        (RateLimitedError("HTTP 429"), False),
    ],
)
def test_credentials_are_wrong_where_the_vendor_refuses_them_or_the_request(
    error: MessagingError, is_about_credentials: bool
) -> None:
    found = without_token(error, "client id and secret", "login")
    assert isinstance(found, AuthenticationError) == is_about_credentials
    assert (found is error) == (not is_about_credentials)
    assert "s3cret" not in str(found)


def test_a_token_does_not_show_its_value() -> None:
    assert "geheim" not in repr(Token(value="geheim", expires_at=1.0))
