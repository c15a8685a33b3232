"""Watching many items until each is where it is wanted."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_NAMED = 1000
"""Items that an outcome names of each state; its counts are always complete."""
MOST_WATCHED = 50_000
"""Each item costs a request a poll."""
UNKNOWN = "unknown"
"""The state of an item that was not looked at yet, or that the vendor does not know."""
_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """Which states are wanted, and from which of the others there is no way to them."""

    reached: frozenset[str]
    lost: frozenset[str] = frozenset()


class Watch:
    """The states of many items. An item is open until it is where it is wanted, or can't get there any more.

    :param items: those to look at.
    :param settled: what an earlier watch found, by state; these are not looked at again.
    :param stop_when_lost: be done with the first item that can't get there any more.
    """

    def __init__(
        self,
        items: Iterable[str],
        goal: Goal,
        *,
        settled: Mapping[str, Sequence[str]] | None = None,
        stop_when_lost: bool = False,
    ) -> None:
        self._goal = goal
        self._stop_when_lost = stop_when_lost
        self._states = {item: state for state, known in (settled or {}).items() for item in known}
        given = dict.fromkeys(items)
        self._open = {item: "" for item in given if item not in self._states}
        self._order = [*(item for item in self._states if item not in given), *given]
        self._lost = sum(state in goal.lost for state in self._states.values())

    def note(self, item: str, state: str) -> bool:
        """Take down what a look found; tell whether it is news."""
        if self._open.get(item, state) == state:
            return False
        if state in self._goal.reached or state in self._goal.lost:
            del self._open[item]
            self._states[item] = state
            self._lost += state in self._goal.lost
        else:
            self._open[item] = state
        return True

    @property
    def open(self) -> list[str]:
        return list(self._open)

    @property
    def done(self) -> bool:
        return not self._open or bool(self._lost and self._stop_when_lost)

    def settled(self) -> dict[str, list[str]]:
        """Return what need not be looked at again, for the watch that goes on."""
        return _grouped(self._states)

    def outcome(self, name: str) -> dict[str, Any]:
        """Return counts by state, and under `name` the first items of each state, in the order in which they came."""
        groups = self._groups()
        return {
            "total": len(self._states) + len(self._open),
            "reached": len(self._states) - self._lost,
            "lost": self._lost,
            "open": len(self._open),
            "states": {state: len(items) for state, items in groups.items()},
            name: {state: items[:MOST_NAMED] for state, items in groups.items()},
        }

    def _groups(self) -> dict[str, list[str]]:
        states = {**self._states, **{item: state or UNKNOWN for item, state in self._open.items()}}
        return _grouped({item: states[item] for item in self._order})

    def __str__(self) -> str:
        return ", ".join(f"{len(items)} {state}" for state, items in self._groups().items()) or "nothing to wait for"


def examples(items: Mapping[str, Sequence[str]], states: Container[str]) -> str:
    """Return the first of the `items`, which are given by state, that are in one of the `states`: ``a (failed), …``."""
    found = [f"{item} ({state})" for state, named in items.items() if state in states for item in named]
    return ", ".join(found[:_SHOWN]) + (", …" if len(found) > _SHOWN else "")


def _grouped(states: Mapping[str, str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for item, state in states.items():
        groups.setdefault(str(state), []).append(item)
    return dict(sorted(groups.items()))
