"""Pacing over an imagined clock."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_messaging.core.pacing import RECOVERY_SECONDS, SLOWEST, Pacer

rates = st.floats(0.1, 10_000)
requests = st.lists(st.tuples(st.integers(1, 100), st.floats(0, 5)), min_size=1, max_size=60)
"""Messages of a request, and the seconds from the one before to it."""


@dataclass
class Clock:
    """Starts requests when the pacer lets them, one caller after the other."""

    pacer: Pacer
    now: float = 1000.0
    started: list[tuple[float, int]] = field(default_factory=list)

    def start(self, count: int) -> float:
        wait = self.pacer.reserve(count, self.now)
        self.started.append((self.now + wait, count))
        return wait

    def rate(self, seconds: float, count: int = 10) -> float:
        """Send without a pause for a while; return the messages a second."""
        begin, sent = self.now, 0
        while self.now < begin + seconds:
            self.now += self.start(count)
            self.now += 0.001
            sent += count
        return sent / seconds


@given(rates, requests)
def test_no_stretch_of_time_holds_more_than_the_rate_and_one_request(
    rate: float, requests: list[tuple[int, float]]
) -> None:
    clock = Clock(Pacer(rate))
    for count, pause in requests:
        clock.now += pause
        clock.start(count)
    for first, (begin, _) in enumerate(clock.started):
        total = 0
        for at, count in clock.started[first:]:
            assert total <= rate * (at - begin) * (1 + 1e-6) + 1e-3
            total += count


@given(rates, requests)
def test_nobody_waits_longer_than_what_was_reserved_before_takes(
    rate: float, requests: list[tuple[int, float]]
) -> None:
    clock, reserved = Clock(Pacer(rate)), 0
    for count, pause in requests:
        clock.now += pause
        assert 0 <= clock.start(count) <= reserved / rate + 1e-6
        reserved += count


@given(requests)
def test_without_a_rate_nobody_waits(requests: list[tuple[int, float]]) -> None:
    clock = Clock(Pacer())
    for count, pause in requests:
        clock.now += pause
        assert clock.start(count) == 0


@given(rates, requests, st.lists(st.floats(0.1, 60), min_size=1, max_size=10))
def test_throttling_never_allows_more_than_the_rate(
    rate: float, requests: list[tuple[int, float]], pauses: list[float]
) -> None:
    clock = Clock(Pacer(rate))
    for at, (count, pause) in enumerate(requests):
        clock.now += pause
        clock.start(count)
        clock.pacer.throttled(pauses[at % len(pauses)], clock.now)
        allowed = clock.pacer.allowed(clock.now)
        assert allowed is not None
        assert 0 < allowed <= rate


@given(st.one_of(st.none(), rates), st.floats(0.1, 300), requests)
def test_nothing_starts_within_the_pause_that_the_vendor_asks_for(
    rate: float | None, pause: float, requests: list[tuple[int, float]]
) -> None:
    clock = Clock(Pacer(rate))
    clock.start(100)
    clock.pacer.throttled(pause, clock.now)
    over = clock.now + pause
    clock.started.clear()
    for count, step in requests:
        clock.now += step
        clock.start(count)
    assert all(at >= over - 1e-6 for at, _ in clock.started)


def test_throttling_halves_the_pace_that_was_reached() -> None:
    clock = Clock(Pacer(100.0))
    assert clock.rate(9) == pytest.approx(100, rel=0.05)
    clock.pacer.throttled(1.0, clock.now)
    assert clock.pacer.allowed(clock.now) == 50


def test_a_pace_without_a_limit_is_measured_and_halved() -> None:
    clock = Clock(Pacer())
    for _ in range(80):
        clock.start(10)
        clock.now += 0.1
    clock.pacer.throttled(1.0, clock.now)
    assert clock.pacer.allowed(clock.now) == pytest.approx(50, rel=0.05)


@given(st.floats(1, 60))
def test_the_pace_that_was_reached_is_measured_at_any_moment_alike(seconds: float) -> None:
    clock, step = Clock(Pacer()), 0.1
    for _ in range(int(seconds / step)):
        clock.start(10)
        clock.now += step
    clock.pacer.throttled(1.0, clock.now)
    assert clock.pacer.allowed(clock.now) == pytest.approx(50, rel=0.15)


def test_requests_throttled_within_one_pause_halve_the_pace_once() -> None:
    pacer = Pacer(100.0)
    for at in (0.0, 0.1, 0.2, 0.9):
        pacer.throttled(1.0, at)
    assert pacer.allowed(1.0) == 50


def test_throttled_again_after_the_pause_the_pace_halves_again() -> None:
    pacer = Pacer(100.0)
    pacer.throttled(1.0, 0.0)
    pacer.throttled(1.0, 2.0)
    assert pacer.allowed(2.0) == 25


def test_a_reduced_pace_doubles_with_each_quiet_stretch_until_it_is_free_again() -> None:
    pacer = Pacer(100.0)
    pacer.throttled(1.0, 0.0)
    pacer.throttled(1.0, 2.0)
    quiet = 3.0
    assert pacer.allowed(quiet + RECOVERY_SECONDS - 1) == 25
    assert pacer.allowed(quiet + RECOVERY_SECONDS) == 50
    assert pacer.allowed(quiet + 2 * RECOVERY_SECONDS) == 100


def test_a_pace_without_a_limit_becomes_free_again() -> None:
    pacer = Pacer()
    pacer.reserve(1000, 0.0)
    pacer.throttled(1.0, 1.0)
    assert pacer.allowed(1.0) == 500
    assert pacer.allowed(2.0 + RECOVERY_SECONDS) is None


def test_however_often_the_vendor_throttles_a_slowest_pace_is_kept_up() -> None:
    pacer = Pacer(1000.0)
    for at in range(0, 100, 2):
        pacer.throttled(1.0, float(at))
    assert pacer.allowed(99.0) == SLOWEST


@pytest.mark.parametrize(("rate", "expected"), [(None, SLOWEST), (100.0, 50.0), (1.5, 0.75), (0.5, 0.25)])
def test_throttled_before_anything_was_sent_the_pace_is_not_zero(rate: float | None, expected: float) -> None:
    pacer = Pacer(rate)
    pacer.throttled(1.0, 0.0)
    assert pacer.allowed(0.0) == expected
    assert pacer.reserve(1, 0.0) == 1.0


@pytest.mark.parametrize("rate", [0, -1.0])
def test_a_rate_that_is_not_positive_is_an_error(rate: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        Pacer(rate)
