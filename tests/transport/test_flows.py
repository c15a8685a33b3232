"""Both drivers take a flow's steps alike."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from airflow_provider_messaging.core.endpoint import Endpoint, Evidence, Safety
from airflow_provider_messaging.core.errors import (
    AmbiguousDeliveryError,
    AuthenticationError,
    ConfigurationError,
    MessagingError,
    RateLimitedError,
    VendorError,
)
from airflow_provider_messaging.core.flow import Api, Emit, Flow, Problem, Sleep, with_headers
from airflow_provider_messaging.core.http import Failure, Request, Response
from airflow_provider_messaging.core.retry import RetryPolicy
from airflow_provider_messaging.transport.aio import AsyncTransport
from airflow_provider_messaging.transport.options import TransportOptions
from airflow_provider_messaging.transport.sync import SyncTransport
from tests.drivers import Drive
from tests.transport.servers import Answer, Server, Stand, reply

SEND = Endpoint(
    vendor="vendor",
    name="send",
    method="POST",
    path="/messages/{profile}",
    safety=Safety.UNSAFE,
    evidence=Evidence.SPECIFIED,
)
READ = Endpoint(
    vendor="vendor", name="read", method="GET", path="/rows", safety=Safety.SAFE, evidence=Evidence.SPECIFIED
)


@dataclass
class Tokens:
    """Hands out t1, t2, … and asks the server for each."""

    url: str
    issued: int = 0
    current: str | None = None

    def authorize(self, request: Request) -> Flow[Request]:
        if self.current is None:
            answer = yield Request(method="POST", url=f"{self.url}/token", operation="vendor.token")
            assert isinstance(answer, Response)
            self.issued += 1
            self.current = f"t{self.issued}"
        return with_headers(request, Authorization=f"Bearer {self.current}")

    def renew(self, request: Request, response: Response) -> Request | None:
        if response.status != 401:
            return None
        self.current = None
        return request


def api(server: Server, **policy: float) -> Api:
    return Api(
        vendor="vendor",
        connection="vendor_default",
        base_url=server.url,
        auth=Tokens(server.url),
        read_problem=lambda response: Problem(message=response.body.decode()),
        retry=RetryPolicy(**policy),  # type: ignore[arg-type]
    )


def targets(server: Server) -> list[str]:
    return [f"{seen.method} {seen.target} {seen.header('Authorization')}" for seen in server.requests]


def test_a_call_is_authorized(drive: Drive, stand: Stand) -> None:
    server = stand([reply(200), reply(202, b"ok")])
    answer = drive.run(api(server).call(SEND, segments={"profile": "a/b"}, body=b"[]"))
    assert (answer.status, answer.body) == (202, b"ok")
    assert targets(server) == ["POST /token None", "POST /messages/a%2Fb Bearer t1"]


def test_refused_credentials_are_renewed_once(drive: Drive, stand: Stand) -> None:
    server = stand([reply(200), reply(401), reply(200), reply(202)])
    assert drive.run(api(server).call(SEND, segments={"profile": "p"})).status == 202
    assert [seen.header("Authorization") for seen in server.requests] == [None, "Bearer t1", None, "Bearer t2"]


def test_credentials_that_are_refused_again_are_an_error(drive: Drive, stand: Stand) -> None:
    server = stand([reply(200), reply(401), reply(200), reply(401, b"nope")])
    with pytest.raises(AuthenticationError, match="HTTP 401, nope"):
        drive.run(api(server).call(SEND, segments={"profile": "p"}))
    assert len(server.requests) == 4


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured(drive: Drive, stand: Stand, status: int) -> None:
    server = stand([reply(200), reply(status, b"", "Retry-After: 7"), reply(202)])
    assert drive.run(api(server).call(SEND, segments={"profile": "p"})).status == 202
    assert len(drive.slept) == 1
    assert 7 <= drive.slept[0] <= 8


def test_a_wait_beyond_the_budget_is_given_up(drive: Drive, stand: Stand) -> None:
    server = stand([reply(200), reply(429, b"", "Retry-After: 31")])
    with pytest.raises(RateLimitedError) as caught:
        drive.run(api(server, budget=30).call(SEND, segments={"profile": "p"}))
    assert caught.value.retry_after == 31
    assert drive.slept == []


@pytest.mark.parametrize(
    "lost", [Answer(close=True), Answer(reset=True), reply(500), reply(504), Answer(b"HTTP/1.1 2", close=True)]
)
def test_an_unsafe_request_that_may_have_been_taken_is_not_repeated(drive: Drive, stand: Stand, lost: Answer) -> None:
    server = stand([reply(200), lost])
    with pytest.raises(AmbiguousDeliveryError):
        drive.run(api(server).call(SEND, segments={"profile": "p"}))
    assert len(server.requests) == 2
    assert drive.slept == []


def test_a_safe_request_is_repeated_as_often_as_the_policy_says(drive: Drive, stand: Stand) -> None:
    server = stand([reply(200), Answer(close=True)])
    with pytest.raises(VendorError, match="the connection was lost before the answer came"):
        drive.run(api(server, max_attempts=4).call(READ))
    assert len(server.requests) == 1 + 4
    assert len(drive.slept) == 3


def pages(server: Server, log: list[str]) -> Flow[int]:
    try:
        for page in range(3):
            answer = yield Request(method="GET", url=f"{server.url}/{page}", operation="vendor.page")
            assert isinstance(answer, Response)
            log.append(f"fetched {page}")
            for row in range(2):
                assert (yield Emit((page, row))) is None
            yield Sleep(2.5, why="paced")
        return 6
    finally:
        log.append("closed")


def test_emitted_values_are_handed_out_in_order(drive: Drive, stand: Stand) -> None:
    server, log = stand(), list[str]()
    assert drive.take(pages(server, log)) == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]
    assert drive.slept == [2.5] * 3
    assert log[-1] == "closed"


def test_run_drops_emitted_values_and_returns_the_result(drive: Drive, stand: Stand) -> None:
    assert drive.run(pages(stand(), [])) == 6


def test_a_page_is_not_asked_for_before_it_is_needed(drive: Drive, stand: Stand) -> None:
    server, log = stand(), list[str]()
    assert drive.take(pages(server, log), 3) == [(0, 0), (0, 1), (1, 0)]
    assert log == ["fetched 0", "fetched 1", "closed"]
    assert len(server.requests) == 2


def test_a_flow_is_closed_when_it_fails(drive: Drive) -> None:
    log: list[str] = []

    def failing() -> Flow[None]:
        try:
            yield Request(method="GET", url="http://127.0.0.1:1/", operation="vendor.x")
            raise VendorError("no")
        finally:
            log.append("closed")

    with pytest.raises(VendorError):
        drive.run(failing())
    with pytest.raises(VendorError):
        drive.take(failing())
    assert log == ["closed", "closed"]


def test_a_flow_is_closed_when_the_driver_fails(drive: Drive) -> None:
    log: list[str] = []

    def hopeless() -> Flow[None]:
        try:
            yield Request(method="GET", url="no url", operation="vendor.x")
        finally:
            log.append("closed")

    # Held here, or the garbage collector might close them.
    ran, iterated = hopeless(), hopeless()
    with pytest.raises(ConfigurationError):
        drive.run(ran)
    with pytest.raises(ConfigurationError):
        drive.take(iterated)
    assert log == ["closed", "closed"]


def test_errors_carry_no_library_exception(drive: Drive) -> None:
    server = "http://127.0.0.1:1"
    with pytest.raises(MessagingError) as caught:
        drive.run(
            Api(
                vendor="vendor",
                connection="c",
                base_url=server,
                auth=NoTokens(),
                read_problem=lambda response: Problem(),
                retry=RetryPolicy(max_attempts=1),
            ).call(READ)
        )
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


class NoTokens:
    def authorize(self, request: Request) -> Flow[Request]:
        yield Sleep(0)
        return request

    def renew(self, request: Request, response: Response) -> Request | None:
        return None


@dataclass
class Waiting:
    """A flow that waits for an answer that doesn't come."""

    server: Server
    log: list[str] = field(default_factory=list)

    def flow(self) -> Flow[None]:
        try:
            yield Request(method="GET", url=self.server.url, operation="vendor.wait")
        except BaseException as error:
            self.log.append(type(error).__name__)
            raise
        finally:
            self.log.append("closed")


@pytest.mark.parametrize("how", ["run", "iterate"])
async def test_cancelling_closes_the_flow_and_is_not_swallowed(stand: Stand, how: str) -> None:
    server = stand(Answer(stall=True))
    waiting = Waiting(server)
    async with AsyncTransport() as transport:

        async def work() -> None:
            if how == "run":
                await transport.run(waiting.flow())
            async for _ in transport.iterate(waiting.flow()):
                pass

        task = asyncio.create_task(work())
        while not server.requests:
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
        assert waiting.log == ["GeneratorExit", "closed"]
        async with asyncio.timeout(5):
            while server.open:
                await asyncio.sleep(0.005)


async def test_cancelling_a_sleep_closes_the_flow() -> None:
    log: list[str] = []

    def sleepy() -> Flow[None]:
        try:
            yield Sleep(60)
        finally:
            log.append("closed")

    async with AsyncTransport() as transport:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await transport.run(sleepy())
    assert log == ["closed"]


async def test_a_callers_timeout_is_the_callers(stand: Stand) -> None:
    async with AsyncTransport() as transport:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await transport.run(Waiting(stand(Answer(stall=True))).flow())


def test_an_interrupt_closes_the_flow(stand: Stand) -> None:
    class Interrupt(BaseException):
        pass

    def interrupted(seconds: float) -> None:
        raise Interrupt

    log: list[str] = []

    def sleepy() -> Flow[None]:
        try:
            yield Sleep(60)
        finally:
            log.append("closed")

    with SyncTransport(sleep=interrupted) as transport, pytest.raises(Interrupt):
        transport.run(sleepy())
    assert log == ["closed"]


# --------------------------------------------------------------------------------------------------- sharing


async def test_transports_of_a_loop_share_connections_until_the_last_one_leaves(stand: Stand) -> None:
    server = stand()
    request = Request(method="GET", url=server.url, operation="vendor.poll")
    async with AsyncTransport(TransportOptions(keep_alive=30)) as first:
        await first.send(request)
        for _ in range(3):
            async with AsyncTransport(TransportOptions(keep_alive=30)) as other:
                await other.send(request)
        await first.send(request)
        assert server.connections == 1
        async with AsyncTransport(TransportOptions(keep_alive=31)) as different:
            await different.send(request)
        assert server.connections == 2
    with pytest.raises(RuntimeError, match="not open"):
        await first.send(request)
    async with first:
        await first.send(request)
    assert server.connections == 3


async def test_a_transport_must_be_open() -> None:
    with pytest.raises(RuntimeError, match="not open"):
        await AsyncTransport().send(Request(method="GET", url="http://127.0.0.1:1", operation="vendor.x"))


def test_loops_do_not_share(stand: Stand) -> None:
    server = stand()
    transport = AsyncTransport()

    async def poll() -> None:
        async with transport:
            await transport.send(Request(method="GET", url=server.url, operation="vendor.poll"))

    threads = [threading.Thread(target=lambda: asyncio.run(poll())) for _ in range(2)]
    for thread in threads:
        thread.start()
        thread.join()
    asyncio.run(poll())
    assert server.connections == 3


def test_threads_share_a_synchronous_transport(stand: Stand) -> None:
    barrier = threading.Barrier(4)

    def answer(seen: object) -> Answer:
        barrier.wait(5)
        return reply()

    server = stand(answer)
    with SyncTransport(TransportOptions(pool_size=4)) as transport:
        statuses: list[object] = []

        def work() -> None:
            for _ in range(25):
                answer = transport.send(Request(method="GET", url=server.url, operation="vendor.x"))
                statuses.append(answer.status)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses == [200] * 100
    assert server.connections == 4


# ------------------------------------------------------------------------------------------------------ logs


def test_long_waits_are_told_and_requests_at_debug_only(
    drive: Drive, stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="airflow_provider_messaging")

    def waiting() -> Flow[None]:
        yield Sleep(0.9, why="short")
        yield Sleep(1.0, why="vendor.read: HTTP 429")
        yield Sleep(61.04)
        yield Request(method="GET", url=stand(reply(404)).url + "/path", operation="vendor.read")
        yield Request(method="GET", url="http://127.0.0.1:1/path", operation="vendor.read")

    drive.run(waiting())
    own = [record for record in caplog.records if record.name.startswith("airflow_provider_messaging.transport")]
    waits = [record.getMessage() for record in own if record.levelno == logging.INFO]
    assert waits == ["waiting 1.0 s: vendor.read: HTTP 429", "waiting 61.0 s: paced"]
    answered, refused = [record.getMessage() for record in own if record.levelno == logging.DEBUG]
    assert answered.startswith("vendor.read: HTTP 404 in ")
    assert answered.endswith(" ms")
    assert refused.startswith("vendor.read: the connection was refused (ConnectionRefusedError, ECONNREFUSED) in ")


@pytest.mark.parametrize("make", [SyncTransport, AsyncTransport])
def test_the_log_may_go_to_the_callers_logger(make: Callable[..., object]) -> None:
    logger = logging.getLogger("callers")
    assert make(logger=logger)._log is logger  # type: ignore[attr-defined]


def test_failures_are_values(drive: Drive) -> None:
    def refused() -> Flow[Failure]:
        answer = yield Request(method="GET", url="http://127.0.0.1:1/", operation="vendor.x")
        assert isinstance(answer, Failure)
        return answer

    assert drive.run(refused()).kind.surely_not_taken
