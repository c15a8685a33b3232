"""One poll for all triggers of an event loop that ask the same question."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")

FRESH = 0.9
"""Share of the poll interval for which an answer is not asked for again. Less than one, since timers may be early."""


@dataclass(slots=True)
class Question:
    """What one or more triggers want to know, and the last poll about it."""

    users: int = 0
    _poll: asyncio.Task[Any] | None = field(default=None, init=False)
    _answered: float | None = field(default=None, init=False)
    """On the loop's clock; None while the poll is under way."""

    async def ask(self, poll: Callable[[], Coroutine[Any, Any, T]], interval: float) -> tuple[T, float]:
        """Return the answer, and how many seconds ago it came.

        Who asks while another's poll is under way, or shortly after it, gets that one's answer. Those who wait for what
        is left of `interval` behind it then ask at the same time, and so with one poll between them. An error is handed
        to all who wait for that poll, and to nobody later.
        """
        loop = asyncio.get_running_loop()
        if self._poll is None or (self._answered is not None and loop.time() - self._answered > interval * FRESH):
            # A task of its own: whoever asked first may be cancelled, and the others still want to know.
            self._poll, self._answered = loop.create_task(poll()), None
            self._poll.add_done_callback(self._note)
        answer: T = await asyncio.shield(self._poll)
        return answer, 0.0 if self._answered is None else loop.time() - self._answered

    def _note(self, poll: asyncio.Task[Any]) -> None:
        failed = poll.cancelled() or poll.exception() is not None
        if poll is self._poll:
            self._poll, self._answered = (None, None) if failed else (poll, poll.get_loop().time())

    def give_up(self) -> None:
        """Ask no longer: nobody wants to know any more."""
        if self._poll is not None:
            self._poll.cancel()


_questions: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, Question]] = WeakKeyDictionary()


@contextmanager
def shared(key: Hashable) -> Iterator[Question]:
    """Share a question, as long as the block lasts, with all others of the running loop that want to know the same.

    :param key: equal for those that may share the answers: what is asked, of whom, and with which credentials.
    """
    questions = _questions.setdefault(asyncio.get_running_loop(), {})
    question = questions.setdefault(key, Question())
    question.users += 1
    try:
        yield question
    finally:
        question.users -= 1
        if not question.users:
            del questions[key]
            question.give_up()
