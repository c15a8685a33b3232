"""A watch: what is open, what is done, and what it tells."""

from __future__ import annotations

import pytest

from airflow_provider_messaging.core import watch as module
from airflow_provider_messaging.core.watch import Goal, Watch, examples

GOAL = Goal(reached=frozenset({"done"}), lost=frozenset({"failed"}))


def test_an_item_is_open_until_it_is_where_it_is_wanted_or_can_not_get_there() -> None:
    watch = Watch(["a", "b", "c"], GOAL)
    for item, state in (("a", "done"), ("b", "failed"), ("c", "on its way")):
        watch.note(item, state)
    assert (watch.open, watch.done) == (["c"], False)


def test_only_a_change_of_state_is_news() -> None:
    watch = Watch(["a"], GOAL)
    assert [watch.note("a", state) for state in ("begun", "begun", "done", "done")] == [True, False, True, False]


def test_the_first_lost_item_ends_a_watch_that_stops_then() -> None:
    watch = Watch(["a", "b"], GOAL, stop_when_lost=True)
    assert not watch.done
    watch.note("a", "failed")
    assert watch.done


def test_what_an_earlier_watch_settled_is_counted_and_not_open() -> None:
    watch = Watch(["a", "b"], GOAL, settled={"done": ["a"], "failed": ["c"]})
    assert watch.open == ["b"]
    assert watch.outcome("ids") == {
        "total": 3,
        "reached": 1,
        "lost": 1,
        "open": 1,
        "states": {"done": 1, "failed": 1, "unknown": 1},
        "ids": {"done": ["a"], "failed": ["c"], "unknown": ["b"]},
    }


def test_a_watch_goes_on_with_what_another_has_settled() -> None:
    watch = Watch(["a", "b"], GOAL)
    watch.note("a", "done")
    assert Watch(watch.open, GOAL, settled=watch.settled()).outcome("ids") == watch.outcome("ids")


def test_an_item_given_twice_is_one() -> None:
    assert Watch(["a", "a"], GOAL).outcome("ids")["total"] == 1


def test_counts_are_complete_where_names_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_NAMED", 2)
    outcome = Watch([], GOAL, settled={"done": ["a", "b", "c"]}).outcome("ids")
    assert (outcome["states"], outcome["ids"]) == ({"done": 3}, {"done": ["a", "b"]})


def test_a_watch_says_how_many_are_where() -> None:
    assert str(Watch(["b"], GOAL, settled={"done": ["a"]})) == "1 done, 1 unknown"
    assert str(Watch([], GOAL)) == "nothing to wait for"


def test_a_few_examples_of_many_are_named() -> None:
    items = {"failed": list("abcdefg"), "done": ["x"], "lost": ["y"]}
    assert examples(items, {"lost"}) == "y (lost)"
    assert examples(items, {"failed"}) == "a (failed), b (failed), c (failed), d (failed), e (failed), …"


def test_the_outcome_names_items_in_the_order_in_which_they_were_given_not_in_that_of_their_end() -> None:
    watch = Watch(["a", "b", "c"], Goal(reached=frozenset({"done"})), settled={"done": ["earlier", "c"]})
    watch.note("b", "done")
    watch.note("a", "done")
    assert watch.outcome("items")["items"] == {"done": ["earlier", "a", "b", "c"]}
