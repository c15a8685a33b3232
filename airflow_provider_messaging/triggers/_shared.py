"""One poll for all triggers of an event loop that ask the same question."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

T = TypeVar("T")

FRESH = 0.9
"""Share of the poll interval for which an answer is not asked for again. Less than one, since timers may be early."""


@dataclass(slots=True)
class _Poll:
    """:param answered: on the loop's clock; None while it is under way."""

    task: asyncio.Task[Any]
    answered: float | None = None


_polls: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, _Poll]] = WeakKeyDictionary()


async def ask(question: Hashable, poll: Callable[[], Coroutine[Any, Any, T]], interval: float) -> tuple[T, float]:
    """Return the answer to a question, and how many seconds ago it came.

    Who asks while another's poll is under way, or shortly after it, gets that one's answer. Those who wait for what is
    left of `interval` behind it then ask at the same time, and so with one poll between them. An error is handed to
    all who wait for that poll, and to nobody later.

    :param question: equal for those that may share the answer: what is asked, of whom, and with which credentials.
    """
    loop = asyncio.get_running_loop()
    polls = _polls.setdefault(loop, {})
    known = polls.get(question)
    if known is None or (known.answered is not None and loop.time() - known.answered > interval * FRESH):
        # A task of its own: whoever asked first may be cancelled, and the others still want to know.
        known = polls[question] = _Poll(loop.create_task(poll()))
        known.task.add_done_callback(lambda task: _note(polls, question, task, interval))
    answer = await asyncio.shield(cast("Awaitable[T]", known.task))
    return answer, 0.0 if known.answered is None else loop.time() - known.answered


def _note(polls: dict[Hashable, _Poll], question: Hashable, task: asyncio.Task[Any], interval: float) -> None:
    poll = polls.get(question)
    if poll is None or poll.task is not task:
        return
    if task.cancelled() or task.exception() is not None:
        del polls[question]
        return
    loop = task.get_loop()
    poll.answered = loop.time()
    loop.call_later(2 * interval, _forget, polls, question, poll)


def _forget(polls: dict[Hashable, _Poll], question: Hashable, poll: _Poll) -> None:
    if polls.get(question) is poll:
        del polls[question]
