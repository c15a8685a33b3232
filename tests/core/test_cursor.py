"""Telling new events from seen ones."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_messaging.core.cursor import HOUR, Arrivals, Cursor, News, to_micros, to_moment

START = 10 * HOUR


def news_of(cursor: Cursor, events: list[tuple[int, int]], until: int = 10**18, wanted: set[str] | None = None) -> News:
    arrivals, news = Arrivals(("even", "odd")), News()
    for event, moment in events:
        arrivals.add(event, moment, event % 2)
    cursor.take(arrivals, range(len(arrivals)), kind="any", until=until, news=news, wanted=wanted)
    return news


def test_an_event_is_new_once() -> None:
    cursor = Cursor(START)
    assert len(news_of(cursor, [(1, START), (2, START), (1, START)])) == 2
    assert len(news_of(cursor, [(2, START), (3, START), (1, START)])) == 1


def test_what_happened_before_the_watch_began_is_not_new() -> None:
    assert len(news_of(Cursor(START), [(1, START - 1), (2, START)])) == 1


def test_what_is_still_to_close_is_left_for_later() -> None:
    cursor = Cursor(START)
    events = [(1, START + 1), (2, START + 2)]
    assert len(news_of(cursor, events, until=START + 2)) == 1
    assert len(news_of(cursor, events, until=START + 3)) == 1


def test_what_is_not_wanted_is_neither_new_nor_seen() -> None:
    cursor = Cursor(START)
    assert len(news_of(cursor, [(1, START), (2, START)], wanted={"odd"})) == 1
    assert len(news_of(cursor, [(1, START), (2, START)])) == 1


def test_news_tell_how_many_of_what_and_when() -> None:
    news = news_of(Cursor(START), [(3, START + 7), (2, START + 5), (5, START + 9)])
    assert dict(news.counts) == {("any", "odd"): 2, ("any", "even"): 1}
    assert (news.first, news.last) == (START + 5, START + 9)


def test_a_look_behind_a_gap_does_not_follow() -> None:
    cursor = Cursor(START)
    cursor.reach(START + HOUR)
    assert cursor.follows(START + HOUR)
    assert not cursor.follows(START + HOUR + 1)


def test_the_watermark_never_goes_back() -> None:
    cursor = Cursor(START)
    cursor.reach(START + HOUR)
    cursor.reach(START)
    assert cursor.watermark == START + HOUR


def test_what_is_forgotten_is_not_new_again() -> None:
    cursor = Cursor(START)
    news_of(cursor, [(1, START), (2, START + 4 * HOUR)])
    cursor.reach(START + 5 * HOUR)
    assert list(cursor.forget(look_back=2 * HOUR)) == [START // HOUR]
    assert len(news_of(cursor, [(1, START), (2, START + 4 * HOUR)])) == 0


@given(st.lists(st.integers(0, 2**64 - 1), unique=True))
def test_the_name_of_a_batch_does_not_depend_on_the_order(events: list[int]) -> None:
    forwards = news_of(Cursor(0), [(event, 0) for event in events])
    backwards = news_of(Cursor(0), [(event, 0) for event in reversed(events)])
    assert forwards.digest() == backwards.digest()


@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_times_survive(moment: datetime) -> None:
    assert to_moment(to_micros(moment)) == moment
