"""Finding out, through the vendor's tracking, which of a set of doubtful messages were accepted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from airflow_provider_messaging.core.errors import AuthenticationError, MessagingError
from airflow_provider_messaging.core.messages import Message, Sighting

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 15.0

LookUp = Callable[[str, datetime], Awaitable[Sighting]]


@dataclass(slots=True, kw_only=True)
class Reconciliation:
    """What was found: accepted, surely not, or still unknown with the reason."""

    accepted: list[Message] = field(default_factory=list)
    not_taken: list[Message] = field(default_factory=list)
    unknown: list[Message] = field(default_factory=list)
    reason: str = ""


@dataclass(slots=True, kw_only=True)
class Reconciler:
    """Looks references up, several at once, again and again until the window is over.

    A reference that tracking does not know counts as not taken only at the end of the window (tracking may lag), and
    only if the look-up is known to work: by any answer but 404, or by finding a message of this send that the vendor
    has acknowledged (`witness`). A wrong path answers 404 to everything and would otherwise let all be sent twice.

    :param witness: asked for when it is needed, since one may come up meanwhile; empty where there is none.
    :param doubts: what else a 404 to everything may mean, and what to change then.
    :param since: events before it prove nothing.
    :param window: seconds for which tracking may lag behind acceptance.
    """

    look_up: LookUp
    since: datetime
    window: float
    concurrency: int
    proven: bool = False
    witness: Callable[[], str] = str
    doubts: str = "the path is wrong"
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float]

    async def run(self, messages: Iterable[Message], *, sent_by: float | None = None) -> Reconciliation:
        """Look all `messages` up.

        :param sent_by: when the last of them can have been sent, by `clock`; None: now.
        :raises AuthenticationError: if the vendor refuses the credentials: no look-up can succeed then.
        """
        found = Reconciliation()
        open_: dict[str, Message] = {message.reference: message for message in messages}
        ends = (self.clock() if sent_by is None else sent_by) + self.window
        pause = FIRST_PAUSE
        while open_:
            last = self.clock() >= ends
            sightings, failure = await self._look_up_all(list(open_))
            found.accepted += [open_.pop(r) for r, s in sightings.items() if s is Sighting.SEEN]
            if not open_:
                break
            if last:
                await self._conclude(found, open_, sightings, failure)
                break
            await self.sleep(max(0.0, min(pause, ends - self.clock())))
            pause = min(pause * 2, LONGEST_PAUSE)
        return found

    async def _conclude(
        self,
        found: Reconciliation,
        rest: dict[str, Message],
        sightings: dict[str, Sighting],
        failure: MessagingError | None,
    ) -> None:
        if any(s is Sighting.NOT_FOUND for s in sightings.values()) and not self.proven:
            await self._ask_witness()
        for reference, message in rest.items():
            sighting = sightings.get(reference)
            if sighting is Sighting.NOT_SEEN or (sighting is Sighting.NOT_FOUND and self.proven):
                found.not_taken.append(message)
            else:
                found.unknown.append(message)
        if found.unknown:
            found.reason = (
                str(failure)
                if failure is not None
                else f"every look-up was answered with 404: nothing arrived, or {self.doubts}"
            )

    async def _ask_witness(self) -> None:
        if witness := self.witness():
            sightings, _ = await self._look_up_all([witness])
            self.proven = sightings.get(witness) is Sighting.SEEN

    async def _look_up_all(self, references: list[str]) -> tuple[dict[str, Sighting], MessagingError | None]:
        slots = asyncio.Semaphore(self.concurrency)
        failure: MessagingError | None = None
        sightings: dict[str, Sighting] = {}

        async def one(reference: str) -> None:
            nonlocal failure
            async with slots:
                try:
                    sightings[reference] = sighting = await self.look_up(reference, self.since)
                except AuthenticationError:
                    raise
                except MessagingError as error:
                    failure = error
                else:
                    self.proven = self.proven or sighting is not Sighting.NOT_FOUND

        try:
            async with asyncio.TaskGroup() as group:
                for reference in references:
                    group.create_task(one(reference))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return sightings, failure
