"""A try in a process of its own, to be killed: ``python -m tests.delivery.victim <order as JSON>``."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from airflow_provider_messaging.core.attachments import Attachments, Read
from airflow_provider_messaging.core.templates import Templates, TemplateSource
from airflow_provider_messaging.delivery.options import LedgerStore, Options
from airflow_provider_messaging.delivery.outputs import LineFile, Outputs, copy_to
from airflow_provider_messaging.delivery.source import read_lines
from airflow_provider_messaging.transport.aio import AsyncTransport
from airflow_provider_messaging.vendors.marigold.compose import Composer
from tests.delivery.sending import TRANSPORT, FileStore, NoStore, Send, channel

DONE, AMBIGUOUS = 0, 3


@dataclass(kw_only=True)
class Order:
    """What to send, and where the results go."""

    url: str
    rows: str
    manifest: str
    ledger: str | None
    most_messages: int
    reconcile_window: float
    assume_sent: bool = False
    not_before: str | None = None
    tracking_verified: bool = False
    html: str | None = None
    """A template: rows have variables only, and paths of attachments."""


def composer(html: str) -> Composer:
    """Reads attachments from local files."""

    def open_path(path: str) -> Read:
        return lambda most: Path(path).read_bytes()[:most]

    return Composer(
        attachments=Attachments(open_path, most_bytes=3_000_000),
        most_bytes=4_000_000,
        templates=Templates({"html": TemplateSource(text=html, setting="html", is_html=True)}),
        defaults={"from": "news@example.com", "subject": "Hello", "profile": "LIST.1"},
    )


async def main(order: Order) -> int:
    store: LedgerStore = NoStore() if order.ledger is None else FileStore(Path(order.ledger))
    with open(order.rows, "rb") as stream:
        rows = list(read_lines(stream))
    made = channel(order.url, tracking_verified=order.tracking_verified, most_messages=order.most_messages)
    if order.html is not None:
        made = replace(made, composer=composer(order.html))
    send = Send(
        url=order.url,
        rows=rows,
        store=store,
        channel=made,
        options=Options(
            reconcile_window=order.reconcile_window,
            assume_sent=order.assume_sent,
            not_before=datetime.fromisoformat(order.not_before) if order.not_before else None,
        ),
    )
    manifest = LineFile(copy_to(order.manifest), compressed=False)
    with Outputs(manifest=manifest, rejects=None, origin={}) as outputs:
        async with AsyncTransport(TRANSPORT) as runner:
            print("sending", flush=True)
            report = await send.delivery(runner, outputs).run()
    print(json.dumps(report.counts()), flush=True)
    return AMBIGUOUS if report.ambiguous else DONE


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Order(**json.loads(sys.argv[1])))))
