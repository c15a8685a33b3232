"""All that this vendor remembers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from airflow_provider_messaging.sandbox import ticks
from airflow_provider_messaging.sandbox.deliveries import Deliveries
from airflow_provider_messaging.sandbox.marigold.archive import Archive
from airflow_provider_messaging.sandbox.marigold.events import Event, events
from airflow_provider_messaging.sandbox.marigold.feedback import LiveRows
from airflow_provider_messaging.sandbox.marigold.rows import Copies, Rows
from airflow_provider_messaging.sandbox.marigold.seeded import SeededRows
from airflow_provider_messaging.sandbox.marigold.settings import Settings
from airflow_provider_messaging.sandbox.marigold.statistics import Statistics
from airflow_provider_messaging.sandbox.marigold.webhooks import Webhooks
from airflow_provider_messaging.sandbox.tokens import TokenStore

MOST_KEPT = 20


class State:
    """One sandbox's state of this vendor; a reset makes a new one."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.tokens: TokenStore[str] = TokenStore()
        self.deliveries = Deliveries()
        self.live = LiveRows(self.deliveries)
        self.seeded: list[SeededRows] = []
        self.archive = Archive()
        self.statistics = Statistics()
        self.latest: deque[bytes] = deque(maxlen=MOST_KEPT)
        """The JSON of the messages that were accepted last."""
        self.webhooks = Webhooks(self.deliveries, lambda: self.settings)
        self.feedback_reads = 0
        """How many there were since ``feedback_now`` was set."""

    @property
    def sources(self) -> list[Rows]:
        rows: list[Rows] = [*self.seeded, self.live]
        return rows + [Copies(each) for each in rows] if self.settings.feedback_copies else rows

    def next_feedback_read(self) -> int:
        """The moment of a feedback read."""
        if self.settings.feedback_now is None:
            return ticks.now()
        began, _ = ticks.parse(self.settings.feedback_now)
        self.feedback_reads += 1
        return began + ticks.from_seconds(self.settings.feedback_step) * (self.feedback_reads - 1)

    def all_feedback(self) -> Iterator[dict[str, Any]]:
        """Every row, those included that are not listed yet, with the moment from which on it is."""
        for rows in self.sources:
            for question in rows.questions():
                for number in rows.matching(question, self.settings):
                    yield {
                        "kind": question.kind,
                        "copy": isinstance(rows, Copies),
                        "listed_at": ticks.text(rows.listed_at(number, self.settings)),
                        "row": rows.row(number, question, self.settings),
                    }

    @property
    def skew(self) -> int:
        return ticks.from_seconds(self.settings.clock_skew)

    @property
    def archive_delay(self) -> int:
        return ticks.from_seconds(self.settings.archive_delay)

    def tracked(self, account: str, reference: str) -> list[tuple[int, Event]]:
        """What a look-up shows by now, in order: the events of every acceptance of ``reference``.

        :return: each event behind the position of its delivery.
        """
        settings = self.settings
        shown_until = ticks.now() - ticks.from_seconds(settings.tracking_lag)
        feedback_delay = ticks.from_seconds(settings.feedback_delay)
        found = []
        for position in self.deliveries.positions(reference):
            delivery = self.deliveries[position]
            if delivery.account == account:
                planned = events(delivery, feedback_delay, self.archive_delay)
                found += [(position, event) for event in planned if event.at <= shown_until]
        return sorted(found, key=lambda entry: entry[1].at)
