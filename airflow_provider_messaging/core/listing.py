"""Reading a listing several pages at a time, without losing a row when it changes meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import msgspec

from airflow_provider_messaging.core.endpoint import Endpoint
from airflow_provider_messaging.core.flow import Api, Flow, Sleep, with_query
from airflow_provider_messaging.core.http import Response
from airflow_provider_messaging.core.paging import Page, broken, iter_pages, read_one, read_page

T = TypeVar("T")
Rows = list[msgspec.Raw]

PASSES = 3
"""How often a listing is read that does not hold still."""
UNCAPPED = 100
"""Rows a page may have with every vendor. A larger page that comes back smaller may have been cut to the vendor's
limit, rather than be the last."""
_PATIENCE = 1.0
_SAME_PAGES = 10

log = logging.getLogger(__name__)


class Runner(Protocol):
    """The asynchronous driver of flows."""

    async def run(self, flow: Flow[T], /) -> T: ...

    def iterate(self, flow: Flow[Any], /) -> AsyncIterator[Any]: ...


@dataclass(slots=True)
class Tally:
    """How reading goes, for the log."""

    pages: int = 0
    repeated: int = 0
    """Requests that were sent again, after an error or because the vendor throttled."""
    reread: int = 0
    """Pages that were read again, because the listing had changed between them and the one before."""

    def counting(self, flow: Flow[T]) -> Flow[T]:
        """Run a flow and count its repeats."""
        reply = None
        try:
            while True:
                step = flow.send(reply)
                self.repeated += isinstance(step, Sleep)
                reply = yield step
        except StopIteration as end:
            value: T = end.value
            return value
        finally:
            flow.close()


@dataclass(slots=True, eq=False)
class _Fetch:
    """A page that is asked for. `began` and `done` are times of the event loop."""

    skip: int
    page: asyncio.Future[Page]
    began: float = 0.0
    done: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A listing by ``$top`` and ``$skip``, or by links where the vendor gives them.

    Pages are asked for `in_flight` at a time. Each overlaps the one before by a row, which must be that one's last:
    where it is not, rows were inserted between the two reads, and the page is read again. So a row that is in the
    listing from beginning to end is read, some of them twice if it changes, as long as the others keep their order.
    A listing that does not even do that is read again from its start, `PASSES` times at most.

    :param params: of each request, without the two.
    """

    runner: Runner
    api: Api
    endpoint: Endpoint
    params: Mapping[str, object]
    page_size: int
    in_flight: int
    tally: Tally
    read: Callable[[Response], Page] = read_page

    async def pages(self) -> AsyncGenerator[Rows, None]:
        """Yield the rows page by page, in the vendor's order; memory holds twice `in_flight` pages at most.

        :raises VendorError: if a page can't be read, or the listing breaks off in the middle again and again.
        """
        for last in (*[False] * (PASSES - 1), True):
            reading = _Pass(self)
            async with aclosing(reading.pages()) as pages:
                async for rows in pages:
                    yield rows
            if reading.settled:
                return
            if not last:
                log.info("%s: the listing changed while it was read; reading it again", self.endpoint.operation)
        if reading.broke_off:
            raise broken(
                self.api, self.endpoint, "the listing breaks off in the middle each time it is read", retryable=True
            )
        log.warning(
            "%s: the listing changed its order each of the %d times it was read: rows may be missing until a later "
            "window looks back at them",
            self.endpoint.operation,
            PASSES,
        )


class _Pass:
    """One way through a listing."""

    def __init__(self, listing: Listing) -> None:
        self._of = listing
        self._request = listing.api.request(listing.endpoint, params={**listing.params, "$top": listing.page_size})
        self._size = listing.page_size
        self._overlap = 1
        self._skip = 0
        self._read = 0
        self._ahead: deque[_Fetch] = deque()
        self._again: deque[_Fetch] = deque()
        self._workers: set[asyncio.Task[None]] = set()
        self._working = 0
        self._ended = False
        """Whether there is nothing more to ask for: a page was seen that is not full, or one that can't be read."""
        self.settled = True
        """Whether every page met the one before."""
        self.broke_off = False
        """Whether a full page was followed by nothing."""

    async def pages(self) -> AsyncGenerator[Rows, None]:
        of = self._of
        complete = False
        try:
            fetch = _Fetch(0, asyncio.get_running_loop().create_future())
            page = await self._get(fetch)
            self._read = 1
            if page.next_link:
                flow = iter_pages(
                    of.api, of.endpoint, params=of.params, page_size=of.page_size, read=of.read, first=page
                )
                async with aclosing(of.runner.iterate(of.tally.counting(flow))) as linked:  # type: ignore[type-var]
                    async for page in linked:
                        yield page.rows
                return
            if UNCAPPED <= len(page.rows) < self._size:
                self._size = len(page.rows)
            self._overlap = min(self._overlap, self._size - 1)
            self._skip = self._size - self._overlap
            yield page.rows
            async for rows in self._rest(fetch, page.rows):
                yield rows
            complete = True
        finally:
            await self._abandon(patience=_PATIENCE if complete else 0.0)

    async def _rest(self, before: _Fetch, previous: Rows) -> AsyncIterator[Rows]:
        """Yield what follows the first page."""
        size, same = self._size, 1
        while len(previous) >= size:
            fetch, page = await self._next()
            shared = before.skip + size - fetch.skip
            rows = behind(previous, page.rows, shared)
            if rows is None and fetch.began < before.done:
                # It may show the listing as it was before the page in front of it: what was inserted between the two
                # pushed rows from behind the one to before the other.
                self._of.tally.reread += 1
                self._overlap = min(4 * self._overlap, size // 4) or self._overlap
                page = await self._once_more(fetch)
                rows = behind(previous, page.rows, shared)
            if rows is None:
                self.settled = False
                self.broke_off = not page.rows
                rows = page.rows
            same = same + 1 if page.rows == previous else 1
            if same >= _SAME_PAGES:
                raise broken(self._of.api, self._of.endpoint, "the vendor gives the same page again and again")
            yield rows
            before, previous = fetch, page.rows

    async def _next(self) -> tuple[_Fetch, Page]:
        self._set_to_work()
        fetch = self._ahead[0]
        page = await fetch.page
        self._ahead.popleft()
        self._read += 1
        return fetch, page

    async def _once_more(self, fetch: _Fetch) -> Page:
        fetch.page = asyncio.get_running_loop().create_future()
        self._again.append(fetch)
        self._set_to_work()
        return await fetch.page

    def _set_to_work(self) -> None:
        while self._working < self._of.in_flight and (fetch := self._claim()) is not None:
            self._working += 1
            worker = asyncio.create_task(self._work(fetch))
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    def _claim(self) -> _Fetch | None:
        """Return a page to ask for now, None where that would be too early, or of no use."""
        if self._again:
            return self._again.popleft()
        # As many as were read, and one: most listings are short. And no more than are soon wanted, for memory's sake.
        most = min(2 * self._of.in_flight, 1 + self._read)
        if len(self._ahead) >= most or (self._ended and self._ahead):
            return None
        fetch = _Fetch(self._skip, asyncio.get_running_loop().create_future())
        self._skip += self._size - self._overlap
        self._ahead.append(fetch)
        return fetch

    async def _work(self, claimed: _Fetch | None) -> None:
        """Fetch page after page: the next request follows its answer at once, not a turn of the loop later."""
        while claimed is not None:
            try:
                page = await self._get(claimed)
            except Exception as error:
                self._ended = True
                _settle(claimed.page, error)
            else:
                self._ended = self._ended or len(page.rows) < self._size
                _settle(claimed.page, page)
            claimed = self._claim()
        self._working -= 1

    async def _get(self, fetch: _Fetch) -> Page:
        of = self._of
        clock = asyncio.get_running_loop().time
        fetch.began = clock()
        request = replace(self._request, url=with_query(self._request.url, {"$skip": fetch.skip}))
        page = await of.runner.run(of.tally.counting(read_one(of.api, of.endpoint, request, of.read)))
        fetch.done = clock()
        of.tally.pages += 1
        return page

    async def _abandon(self, *, patience: float) -> None:
        """Let pages behind the end arrive, which keeps their connections usable, and drop what takes longer."""
        self._ended = True
        workers = list(self._workers)
        try:
            if workers and patience:
                await asyncio.wait(workers, timeout=patience)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            for fetch in self._ahead:
                # Nobody waits for it any more; what is not looked at is complained of.
                _ = fetch.page.cancel() or fetch.page.exception()
            self._ahead.clear()


def _settle(future: asyncio.Future[Page], outcome: Page | Exception) -> None:
    if future.done():
        return
    if isinstance(outcome, Page):
        future.set_result(outcome)
    else:
        future.set_exception(outcome)


def behind(previous: Rows, rows: Rows, overlap: int) -> Rows | None:
    """Return the rows of a page that follow those of the `previous` one, None where the two do not meet.

    :param overlap: how many rows they share while nothing changes.
    """
    if overlap <= 0:
        return rows
    if rows[:overlap] == previous[-overlap:]:
        return rows[overlap:]
    if not rows:
        return None
    before, after = [bytes(row) for row in previous], [bytes(row) for row in rows]
    seen = set(before)
    if after[0] not in seen:
        return None
    again = [row for row in after if row in seen]
    # From where the page begins, it has to repeat the previous one in its order, to either one's end.
    shared = before[len(before) - 1 - before[::-1].index(after[0]) :]
    if again != (shared[: len(again)] if after[-1] in seen else shared):
        return None
    return [row for row, data in zip(rows, after, strict=True) if data not in seen]
