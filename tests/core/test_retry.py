from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_messaging.core.endpoint import Safety
from airflow_provider_messaging.core.flow import may_have_been_taken
from airflow_provider_messaging.core.http import Failure, FailureKind, Headers, Reply, Response
from airflow_provider_messaging.core.retry import Backoff, RetryPolicy, repeatable, retry_after

NOW = datetime(2024, 5, 17, 12, 0, tzinfo=UTC)
statuses = st.sampled_from([200, 202, 204, 301, 304, 400, 401, 403, 404, 408, 409, 413, 429, 500, 501, 502, 503, 504])
hints = st.one_of(st.none(), st.integers(-5, 500).map(str), st.floats(0, 500).map(str), st.text(max_size=8))
policies = st.builds(
    RetryPolicy,
    max_attempts=st.integers(1, 40),
    base=st.floats(0.01, 10),
    cap=st.floats(0.01, 120),
    budget=st.floats(0, 600),
)


@st.composite
def responses(draw: st.DrawFn) -> Response:
    hint = draw(hints)
    return Response(status=draw(statuses), headers=Headers({} if hint is None else {"Retry-After": hint}))


@st.composite
def failures(draw: st.DrawFn) -> Failure:
    kind = draw(st.sampled_from(FailureKind))
    headed = kind in {FailureKind.BODY, FailureKind.TOO_LARGE, FailureKind.READ_TIMEOUT}
    return Failure(kind=kind, status=draw(st.none() | statuses) if headed else None)


replies: st.SearchStrategy[Reply] = st.one_of(responses(), failures())
safeties = st.sampled_from(Safety)


def backoff(policy: RetryPolicy, rng: float = 0.5) -> Backoff:
    return Backoff(policy, rng=lambda: rng, clock=lambda: NOW)


@given(policies, st.lists(replies, max_size=60), safeties, st.floats(0, 1, exclude_max=True))
def test_waits_stay_within_budget_and_attempts(
    policy: RetryPolicy, script: list[Reply], safety: Safety, rng: float
) -> None:
    retries = backoff(policy, rng)
    pauses = [retries.pause(reply, safety) for reply in script]
    waits = [pause for pause in pauses if pause is not None]
    assert sum(waits) <= policy.budget * (1 + 1e-9)
    assert len(waits) < policy.max_attempts
    assert all(wait >= 0 for wait in waits)


@given(policies, replies, safeties)
def test_nothing_is_repeated_that_must_not_be(policy: RetryPolicy, reply: Reply, safety: Safety) -> None:
    if backoff(policy).pause(reply, safety) is not None:
        assert repeatable(reply, safety)


@given(replies)
def test_an_unsafe_request_is_repeated_only_if_it_was_surely_not_taken(reply: Reply) -> None:
    if repeatable(reply, Safety.UNSAFE):
        assert not may_have_been_taken(reply, Safety.UNSAFE)
        if isinstance(reply, Response) or reply.status is not None:
            assert reply.status in {429, 503}
        else:
            assert reply.kind.surely_not_taken


@given(replies, st.sampled_from([Safety.SAFE, Safety.IDEMPOTENT]))
def test_what_may_be_repeated_unsafely_may_be_repeated_safely(reply: Reply, safety: Safety) -> None:
    assert not may_have_been_taken(reply, safety)
    if repeatable(reply, Safety.UNSAFE):
        assert repeatable(reply, safety)


@pytest.mark.parametrize("safety", Safety)
@pytest.mark.parametrize("status", [200, 202, 204, 301, 304, 400, 401, 403, 404, 409, 413, 422, 501])
def test_a_final_answer_is_not_repeated(status: int, safety: Safety) -> None:
    assert not repeatable(Response(status=status), safety)


@pytest.mark.parametrize("safety", Safety)
@pytest.mark.parametrize("kind", [FailureKind.TLS, FailureKind.TOO_LARGE])
def test_a_hopeless_failure_is_not_repeated(kind: FailureKind, safety: Safety) -> None:
    assert not repeatable(Failure(kind=kind, status=503), safety)


@given(policies, st.floats(0.01, 700), st.floats(0, 1, exclude_max=True), safeties)
def test_retry_after_is_kept_in_full_or_given_up(
    policy: RetryPolicy, seconds: float, rng: float, safety: Safety
) -> None:
    reply = Response(status=429, headers=Headers({"Retry-After": str(seconds)}))
    pause = backoff(policy, rng).pause(reply, safety)
    if pause is None:
        assert policy.max_attempts == 1 or seconds + min(1.0, seconds / 10) > policy.budget
    else:
        assert seconds <= pause <= seconds + 1
        assert pause <= policy.budget


@given(policies, st.floats(0, 1, exclude_max=True))
def test_waits_without_a_hint_double_up_to_the_cap(policy: RetryPolicy, rng: float) -> None:
    retries = backoff(policy, rng)
    for attempt in range(policy.max_attempts):
        pause = retries.pause(Response(status=503), Safety.UNSAFE)
        if pause is None:
            break
        ceiling = min(policy.cap, policy.base * 2**attempt)
        assert ceiling / 2 <= pause <= ceiling


@given(st.integers(1, 10**6))
def test_retry_after_in_seconds(seconds: int) -> None:
    assert retry_after(Headers({"Retry-After": f" {seconds} "}), now=NOW) == seconds


@given(st.integers(1, 10**6))
def test_retry_after_as_a_date(seconds: int) -> None:
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert retry_after(Headers({"Retry-After": date}), now=NOW) == seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("Fri, 17 May 2024 12:00:30 GMT", 30),
        ("Fri, 17 May 2024 14:00:30 +0200", 30),
        ("Fri, 17 May 2024 12:00:30 -0000", 30),
        ("Friday, 17-May-24 12:00:30 GMT", 30),
        ("Fri, 17 May 2024 12:00:00 GMT", None),
        ("Fri, 17 May 2024 11:59:59 GMT", None),
        ("0", None),
        ("-0.0", None),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("1e400", None),
        ("soon", None),
        ("", None),
        ("   ", None),
        ("99 bottles", None),
        ("Fri, 32 May 2024 12:00:30 GMT", None),
    ],
)
def test_retry_after_in_all_its_forms(value: str, seconds: float | None) -> None:
    assert retry_after(Headers({"Retry-After": value}), now=NOW) == seconds


def test_no_retry_after_is_no_hint() -> None:
    assert retry_after(Headers()) is None


@given(st.text())
@example("Mon, 01 Jan 0001 00:00:00 +2359")
@example("Fri, 31 Dec 9999 23:59:59 -2359")
@example("Fri, 17 May 2024 12:00:30 +9999")
@example("Fri, 17 May 2024 12:00:30 +99999999")
@example("1 Jan 1 1 1 1 1")
@example("١٢")
def test_no_retry_after_is_too_odd(value: str) -> None:
    seconds = retry_after(Headers({"Retry-After": value}), now=NOW)
    assert seconds is None or 0 < seconds < float("inf")


@given(
    st.integers(-(10**9), 10**9),
    st.integers(0, 99),
    st.sampled_from(["Jan", "Feb", "May"]),
    st.integers(0, 99),
    st.integers(-99999, 99999),
)
def test_no_date_is_too_odd(year: int, day: int, month: str, hour: int, zone: int) -> None:
    for value in (
        f"Mon, {day} {month} {year} {hour}:00:00 {zone:+05d}",
        f"{day} {month} {year} {hour}:{hour}",
        f"Monday, {day}-{month}-{year} {hour}:00:00 GMT",
    ):
        seconds = retry_after(Headers({"Retry-After": value}), now=NOW)
        assert seconds is None or 0 < seconds < float("inf")


@pytest.mark.parametrize("value", ["Mon, 1 Jan 2147483648 00:00:00 GMT", "Mon, 1 Jan 99999999999 00:00:00 +0100"])
def test_a_date_beyond_all_years_is_no_hint(value: str) -> None:
    assert retry_after(Headers({"Retry-After": value}), now=NOW) is None


def test_many_attempts_overflow_nothing() -> None:
    retries = backoff(RetryPolicy(max_attempts=3000, base=1e-9, cap=1e-9))
    for _ in range(2999):
        assert retries.pause(Response(status=503), Safety.SAFE) is not None
