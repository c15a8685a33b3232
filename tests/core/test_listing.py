"""Reading a listing several pages at a time, while it changes."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_messaging.core.endpoint import Endpoint, Evidence, Safety
from airflow_provider_messaging.core.errors import VendorError
from airflow_provider_messaging.core.flow import Api, Emit, Flow, NoAuth, Problem, Sleep
from airflow_provider_messaging.core.http import Request, Response
from airflow_provider_messaging.core.listing import PASSES, Listing, Tally

T = TypeVar("T")

ENDPOINT = Endpoint(
    vendor="v", name="things", method="GET", path="/things", safety=Safety.SAFE, evidence=Evidence.UNPUBLISHED
)
API = Api(vendor="v", connection="c", base_url="https://example.com", auth=NoAuth(), read_problem=lambda _: Problem())


class Vendor:
    """A vendor whose answers take `delays` turns of the loop to be made, and again to arrive.

    :param change: called with the number of the answer before it is made; may change `rows`.
    """

    def __init__(
        self,
        rows: Sequence[Any],
        *,
        delays: Sequence[int] = (0,),
        change: Callable[[Vendor, int], None] = lambda vendor, number: None,
        cap: int = 10_000,
    ) -> None:
        self.rows = list(rows)
        self.asked: list[tuple[int, int]] = []
        self.at_once = self.most_at_once = 0
        self._delays = delays
        self._change = change
        self._cap = cap
        self._answers = 0

    async def run(self, flow: Flow[T], /) -> T:
        reply = None
        try:
            while True:
                step = flow.send(reply)
                reply = await self.answer(step) if isinstance(step, Request) else None
        except StopIteration as end:
            value: T = end.value
            return value

    async def iterate(self, flow: Flow[Any], /) -> AsyncIterator[Any]:
        reply = None
        try:
            while True:
                step = flow.send(reply)
                if isinstance(step, Emit):
                    yield step.value
                reply = await self.answer(step) if isinstance(step, Request) else None
        except StopIteration:
            pass

    async def answer(self, request: Request) -> Response:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        query = parse_qs(urlsplit(request.url).query)
        skip, top = int(query["$skip"][0]), int(query["$top"][0])
        self.asked.append((skip, top))
        await self._pass_time()
        self._change(self, self._answers)
        self._answers += 1
        document = self.page(skip, min(top, self._cap))
        await self._pass_time()
        self.at_once -= 1
        return Response(status=200, body=json.dumps(document).encode())

    def page(self, skip: int, top: int) -> dict[str, Any]:
        return {"value": self.rows[skip : skip + top]}

    async def _pass_time(self) -> None:
        for _ in range(self._delays[(len(self.asked) + self._answers) % len(self._delays)]):
            await asyncio.sleep(0)


def read(vendor: Vendor, *, page_size: int = 5, in_flight: int = 4, tally: Tally | None = None) -> list[Any]:
    async def collect() -> list[Any]:
        listing = Listing(
            runner=vendor,
            api=API,
            endpoint=ENDPOINT,
            params={"start": "2026-01-01"},
            page_size=page_size,
            in_flight=in_flight,
            tally=tally or Tally(),
        )
        return [json.loads(bytes(row)) async for rows in listing.pages() for row in rows]

    return asyncio.run(collect())


delays = st.lists(st.integers(0, 5), min_size=1, max_size=7)


@given(total=st.integers(0, 60), page_size=st.integers(1, 9), in_flight=st.integers(1, 6), delays=delays)
def test_a_listing_that_holds_still_is_read_once_and_in_order(
    total: int, page_size: int, in_flight: int, delays: list[int]
) -> None:
    vendor = Vendor(range(total), delays=delays)
    assert read(vendor, page_size=page_size, in_flight=in_flight) == list(range(total))
    assert vendor.most_at_once <= in_flight
    assert {top for _, top in vendor.asked} == {page_size}


@given(
    total=st.integers(0, 60),
    page_size=st.integers(2, 9),
    in_flight=st.integers(1, 6),
    delays=delays,
    insertions=st.lists(st.tuples(st.integers(0, 5), st.floats(0, 1)), max_size=40),
)
def test_no_row_is_lost_wherever_others_are_inserted_meanwhile(
    total: int, page_size: int, in_flight: int, delays: list[int], insertions: list[tuple[int, float]]
) -> None:
    def insert(vendor: Vendor, number: int) -> None:
        if number < len(insertions):
            count, place = insertions[number]
            at = round(place * len(vendor.rows))
            vendor.rows[at:at] = [1000 + 10 * number + i for i in range(count)]

    vendor = Vendor(range(total), delays=delays, change=insert)
    rows = read(vendor, page_size=page_size, in_flight=in_flight)
    assert set(range(total)) <= set(rows)
    assert set(rows) <= set(vendor.rows)


def inserting_at_the_front(vendor: Vendor, number: int) -> None:
    """A vendor that lists what is new first, and has something new all the time."""
    if number < 25:
        vendor.rows.insert(0, 1000 + number)


def test_a_page_older_than_the_one_before_it_is_read_again() -> None:
    tally = Tally()
    vendor = Vendor(range(100), delays=[0, 4, 1, 3], change=inserting_at_the_front)
    rows = read(vendor, page_size=5, tally=tally)
    assert set(range(100)) <= set(rows)
    assert tally.reread > 0


def test_rows_that_come_behind_the_last_page_are_left_to_a_later_window() -> None:
    def append(vendor: Vendor, number: int) -> None:
        if number >= 3:
            vendor.rows.append(1000 + number)

    rows = read(Vendor(range(12), change=append), page_size=5, in_flight=1)
    assert [row for row in rows if row < 1000] == list(range(12))


def turn_round(vendor: Vendor, number: int) -> None:
    vendor.rows.reverse()


@given(delays=delays, quiet=st.integers(0, 12))
def test_a_listing_that_changes_its_order_is_read_again_until_it_holds_still(delays: list[int], quiet: int) -> None:
    def change(vendor: Vendor, number: int) -> None:
        if number < quiet:
            turn_round(vendor, number)

    assert set(read(Vendor(range(40), delays=delays, change=change), page_size=8)) == set(range(40))


def test_a_listing_that_never_keeps_its_order_ends_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    read(Vendor(range(40), change=turn_round), page_size=8)
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "v.things: the listing changed its order each of the 3 times it was read" in warning


def test_rows_that_go_away_in_front_make_it_read_again() -> None:
    def expire(vendor: Vendor, number: int) -> None:
        if number == 3:
            del vendor.rows[:4]

    rows = read(Vendor(range(40), change=expire), page_size=8, in_flight=1)
    assert set(range(4, 40)) <= set(rows)


def test_a_listing_that_ends_behind_a_full_page_is_an_error_worth_a_retry() -> None:
    class Limited(Vendor):
        def page(self, skip: int, top: int) -> dict[str, Any]:
            return {"value": [] if skip > 20 else self.rows[skip : skip + top]}

    vendor = Limited(range(40))
    with pytest.raises(VendorError, match="breaks off in the middle") as raised:
        read(vendor, page_size=8)
    assert raised.value.retryable
    assert Counter(vendor.asked)[0, 8] == PASSES


def test_a_vendor_that_gives_smaller_pages_than_asked_for_is_read_to_the_end() -> None:
    vendor = Vendor(range(950), cap=100)
    assert read(vendor, page_size=500) == list(range(950))


@pytest.mark.parametrize(("total", "requests"), [(0, 1), (99, 1), (100, 3), (120, 3)])
def test_a_page_that_may_have_been_cut_is_not_taken_for_the_last(total: int, requests: int) -> None:
    vendor = Vendor(range(total))
    assert read(vendor, page_size=500) == list(range(total))
    assert len(vendor.asked) <= requests


@pytest.mark.parametrize("in_flight", [1, 4, 16])
@pytest.mark.parametrize(("total", "needed"), [(3, 1), (12, 3), (41, 11)])
def test_few_pages_are_asked_for_in_vain(total: int, needed: int, in_flight: int) -> None:
    vendor = Vendor(range(total), delays=[2])
    assert read(vendor, page_size=5, in_flight=in_flight) == list(range(total))
    assert needed <= len(vendor.asked) <= min(2 * needed, needed + in_flight)


def test_a_vendor_that_ignores_skip_is_an_error() -> None:
    class Stuck(Vendor):
        def page(self, skip: int, top: int) -> dict[str, Any]:
            return {"value": self.rows[:top]}

    with pytest.raises(VendorError, match="same page again and again"):
        read(Stuck(range(40)), page_size=8)


def test_links_are_followed_one_after_the_other() -> None:
    class Linked(Vendor):
        def page(self, skip: int, top: int) -> dict[str, Any]:
            link = f"/things?$skip={skip + top}&$top={top}"
            more = {"@next_link": link} if skip + top < len(self.rows) else {}
            return {"value": self.rows[skip : skip + top], **more}

    vendor = Linked(range(23))
    assert read(vendor, page_size=5) == list(range(23))
    assert [skip for skip, _ in vendor.asked] == [0, 5, 10, 15, 20]
    assert vendor.most_at_once == 1


def test_memory_holds_a_bounded_number_of_pages() -> None:
    waiting = asyncio.Event()

    class Slow(Vendor):
        async def answer(self, request: Request) -> Response:
            reply = await super().answer(request)
            if "skip=36" in request.url:
                await waiting.wait()
            return reply

    async def main() -> tuple[int, int]:
        vendor = Slow(range(4000))
        listing = Listing(
            runner=vendor, api=API, endpoint=ENDPOINT, params={}, page_size=10, in_flight=4, tally=Tally()
        )
        pages = listing.pages()
        reading = asyncio.create_task(anext_all(pages))
        for _ in range(2000):
            await asyncio.sleep(0)
        before = len(vendor.asked)
        waiting.set()
        return before, await reading

    before, rows = asyncio.run(main())
    assert before <= 5 + 2 * 4
    assert rows == 4000


async def anext_all(pages: AsyncIterator[list[Any]]) -> int:
    return sum([len(rows) async for rows in pages])


def test_an_error_ends_all_other_requests() -> None:
    class Failing(Vendor):
        async def answer(self, request: Request) -> Response:
            reply = await super().answer(request)
            return Response(status=403) if "skip=36" in request.url else reply

    vendor = Failing(range(4000), delays=[3])
    with pytest.raises(Exception, match="HTTP 403"):
        read(vendor, page_size=10)
    assert len(vendor.asked) < 20


def test_repeated_requests_are_counted() -> None:
    tally = Tally()

    def flow() -> Flow[None]:
        yield Sleep(1.0)
        yield Sleep(2.0)

    assert list(tally.counting(flow())) == [Sleep(1.0), Sleep(2.0)]
    assert tally.repeated == 2
