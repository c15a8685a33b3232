"""Sends to the sandbox, one try after the other, as a task and its retries make them."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from airflow_provider_messaging.core.auth import TokenCache
from airflow_provider_messaging.core.connection import ConnectionParts
from airflow_provider_messaging.core.flow import Api
from airflow_provider_messaging.core.redact import Redactor
from airflow_provider_messaging.delivery.engine import Delivery
from airflow_provider_messaging.delivery.options import LedgerStore, Options
from airflow_provider_messaging.delivery.outputs import LineFile, Outputs
from airflow_provider_messaging.delivery.references import SendIdentity
from airflow_provider_messaging.delivery.report import Report
from airflow_provider_messaging.sandbox.marigold.settings import ACCOUNT, CLIENT_ID, CLIENT_SECRET
from airflow_provider_messaging.transport.aio import AsyncTransport
from airflow_provider_messaging.transport.options import TransportOptions
from airflow_provider_messaging.vendors.marigold.auth import bearer_auth
from airflow_provider_messaging.vendors.marigold.config import MarigoldConfig
from airflow_provider_messaging.vendors.marigold.problems import read_problem
from airflow_provider_messaging.vendors.marigold.sending import BulkChannel, email_channel

ROOT = Path(__file__).resolve().parents[2]
CONNECTION = "marigold_test"
OPTIONS = Options(reconcile_window=1.0)
TRANSPORT = TransportOptions(connect_timeout=5.0, read_timeout=1.5)
IDENTITY = SendIdentity(dag_id="mailing", run_id="manual__1", task_id="send", map_index=-1, generation=0)

Row = dict[str, Any]
Sleep = Callable[[float], Awaitable[object]]


def row(number: int, size: int = 50, **changes: Any) -> Row:
    """A row in the short form, its text of `size` letters."""
    return {
        "to": f"user{number}@example.com",
        "from": "news@example.com",
        "subject": f"Message {number}",
        "text": "x" * size,
        "profile": f"LIST.{number}",
        "tags": ["spring"],
        **changes,
    }


def rows(count: int) -> list[Row]:
    return [row(number) for number in range(count)]


class InTurn:
    """Rows that are not the same at each reading: the readings in turn, the last one for ever."""

    def __init__(self, *readings: Iterable[Any]) -> None:
        self._left = list(readings)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._left.pop(0) if len(self._left) > 1 else self._left[0])


def torn(rows: Iterable[Any]) -> Iterator[Any]:
    """Rows that can't be read to their end."""
    yield from rows
    raise OSError("the storage is gone")


async def in_a_hurry(seconds: float) -> None:
    """Wait a tenth of what a flow wants."""
    await asyncio.sleep(seconds / 10)


class MemoryStore:
    """Keeps the ledger as the JSON text that a real store would keep, and every state before."""

    def __init__(self) -> None:
        self.saved: list[str] = []

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.saved[-1])
        return found

    def load(self) -> dict[str, Any] | None:
        return self.document if self.saved else None

    def save(self, document: dict[str, Any]) -> None:
        self.saved.append(json.dumps(document))


class NoStore:
    """Keeps nothing, as before Airflow 3.3."""

    def load(self) -> dict[str, Any] | None:
        return None

    def save(self, document: dict[str, Any]) -> None:
        pass


@dataclass(frozen=True)
class FileStore:
    """Keeps the ledger in a file, which is always a whole one."""

    path: Path

    def load(self) -> dict[str, Any] | None:
        return json.loads(self.path.read_text()) if self.path.exists() else None

    def save(self, document: dict[str, Any]) -> None:
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(document))
        os.replace(part, self.path)


def channel(
    url: str, *, secret: str = CLIENT_SECRET, tracking_verified: bool = False, most_messages: int | None = None
) -> BulkChannel:
    """E-mail sending through a sandbox, with a token cache of its own."""
    parts = ConnectionParts(
        id=CONNECTION,
        vendor="marigold",
        host=f"{url}/marigold",
        login=CLIENT_ID,
        password=secret,
        extra={"account_id": ACCOUNT},
    )
    config = MarigoldConfig.read(parts)
    made = email_channel(
        Api(
            vendor="marigold",
            connection=CONNECTION,
            base_url=config.base_url,
            auth=bearer_auth(config, cache=TokenCache()),
            read_problem=read_problem,
            redact=Redactor([secret]),
        ),
        tracking_verified=tracking_verified,
    )
    if most_messages is None:
        return made
    return replace(made, limits=replace(made.limits, max_messages=most_messages))


@dataclass(kw_only=True)
class Attempt:
    """What one try came to. Without `error` it is a success."""

    report: Report
    error: BaseException | None
    reason: str
    manifest: list[dict[str, Any]]
    rejects: list[dict[str, Any]]
    published: bool
    """Whether the files of earlier tries were replaced."""

    @property
    def done(self) -> bool:
        """Whether a task would end here."""
        return self.error is None and self.report.ambiguous == 0

    def outcomes(self) -> Counter[str]:
        return Counter(line["outcome"] for line in self.manifest)


@dataclass(kw_only=True)
class Send:
    """One send, which can be tried again and again."""

    url: str
    rows: Iterable[Any]
    channel: BulkChannel | None = None
    store: LedgerStore = field(default_factory=MemoryStore)
    options: Options = OPTIONS
    identity: SendIdentity = IDENTITY
    transport: TransportOptions = TRANSPORT
    sleep: Sleep = asyncio.sleep
    more: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of the delivery."""

    def with_(self, **changes: Any) -> Send:
        return replace(self, **changes)

    def delivery(self, runner: AsyncTransport, outputs: Outputs) -> Delivery:
        return Delivery(
            rows=lambda: self.rows,
            channel=self.channel or channel(self.url),
            runner=runner,
            store=self.store,
            outputs=outputs,
            reference_of=self.identity.reference,
            options=self.options,
            **self.more,
        )

    async def attempt(self, during: Callable[[Delivery], Awaitable[object]] | None = None) -> Attempt:
        """Make one try; its error, if it is an ordinary one, is part of the result.

        :param during: runs beside the delivery and is given it.
        """
        manifest, rejects = Lines(), Lines()
        outputs = Outputs(manifest=manifest.file(), rejects=rejects.file(), origin={"dag_id": self.identity.dag_id})
        error: BaseException | None = None
        async with AsyncTransport(self.transport, sleep=self.sleep) as runner:
            delivery = self.delivery(runner, outputs)
            beside = asyncio.create_task(_beside(during, delivery))
            try:
                with outputs:
                    await delivery.run()
            except Exception as raised:
                error = raised
            await beside
        return Attempt(
            report=delivery.report,
            error=error,
            reason=delivery.reason,
            manifest=manifest.values,
            rejects=rejects.values,
            published=manifest.published,
        )

    async def until_done(self, most_tries: int = 8) -> list[Attempt]:
        """Try until it is done."""
        attempts: list[Attempt] = []
        while len(attempts) < most_tries:
            attempts.append(await self.attempt())
            if attempts[-1].done:
                return attempts
        raise AssertionError(f"not done after {most_tries} tries: {attempts[-1].report}, {attempts[-1].error!r}")


async def _beside(during: Callable[[Delivery], Awaitable[object]] | None, delivery: Delivery) -> None:
    if during is None:
        return
    try:
        await during(delivery)
    except BaseException:
        delivery.stop(0)
        raise


class Lines:
    """An NDJSON file's values, once it is published."""

    def __init__(self) -> None:
        self.values: list[dict[str, Any]] = []
        self.published = False

    def file(self) -> LineFile:
        return LineFile(self._publish, compressed=False)

    def _publish(self, name: str) -> None:
        self.published = True
        self.values = [json.loads(line) for line in Path(name).read_bytes().splitlines()]


def accepted(sandbox: Any) -> Counter[str]:
    """How often the sandbox accepted each reference."""
    return Counter(delivery["reference"] for delivery in sandbox.iter_deliveries("marigold"))


def references(count: int | Iterable[int], identity: SendIdentity = IDENTITY) -> list[str]:
    """The references of rows that have none of their own."""
    return [identity.reference(number) for number in (range(count) if isinstance(count, int) else count)]


def sends(sandbox: Any) -> list[dict[str, Any]]:
    """The requests that sent, oldest first."""
    found: list[dict[str, Any]] = sandbox.requests(vendor="marigold", operation="send_email")
    return found


def operations(sandbox: Any) -> Counter[str]:
    return Counter(request["operation"] for request in sandbox.requests(vendor="marigold"))


def fault(kind: str, operation: str = "send_email", **more: Any) -> dict[str, Any]:
    return {"fault": kind, "vendor": "marigold", "operation": operation, **more}
