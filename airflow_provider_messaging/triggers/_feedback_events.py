"""The trigger that starts DAGs when feedback comes in. It only reads."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_messaging.core.cursor import News, to_micros, to_moment
from airflow_provider_messaging.core.feedback import BOUNCE_TYPES
from airflow_provider_messaging.hooks._inputs import as_moment
from airflow_provider_messaging.hooks._window import LAG, LOOK_BACK, seconds
from airflow_provider_messaging.triggers._journal import Journal
from airflow_provider_messaging.triggers._journaled import SECOND, JournaledTrigger, chosen, positive, wrong
from airflow_provider_messaging.vendors.marigold.endpoints import FEEDBACK, VENDOR
from airflow_provider_messaging.vendors.marigold.feedback import Kind
from airflow_provider_messaging.vendors.marigold.times import utc_text

if TYPE_CHECKING:
    from airflow_provider_messaging.triggers._feedback_reader import DayLook, FeedbackAsk, FeedbackReader

CHUNK = 5_000
"""Events that are looked through before the other triggers get a turn."""


class FeedbackEventTrigger(JournaledTrigger):
    """Fires when feedback comes in that was not there before; for an `AssetWatcher`. Airflow 3.3 or later.

    Each event is a batch: ``{"batch_id", "number", "start", "end", "count", "kinds", "bounce_types", "vendor",
    "marigold_conn_id", "account_id"}``, counts only. All that it counts lies in ``start <= timestamp < end``, a window
    within one day (UTC), `lag` old; other feedback, reported before, may lie in it, too.

    What has been reported is kept in the state store of the asset, so that a restart neither loses nor repeats
    anything: `docs/event-driven.md` says what is promised to the letter. Watchers of one account and page size share
    one reader.

    :param marigold_conn_id: a connection of type ``marigold``.
    :param kinds: some of ``bounces``, ``complaints``, ``list_unsubscribes``.
    :param bounce_types: bounces of these types only (``hard``, ``soft``, ``spam``); empty: all.
    :param account_id: another account than the connection's.
    :param start: what happened before it is not reported, ISO 8601. It counts at the very first start only; default:
        that moment.
    :param lag: seconds, or a timedelta, after which the vendor lists an event. All that follow may be either as well.
    :param look_back: as late as this feedback may come and is still reported.
    :param poll_interval: from one poll of the current day to the next.
    :param late_interval: from one poll of the days before, as far as `look_back` goes, to the next.
    :param page_size: rows a page (``$top``).
    :raises ConfigurationError: if an argument makes no sense, or Airflow is older than 3.3.
    """

    instead = "schedule FeedbackToObjectStorageOperator, or wait with BounceSensor"
    journal = "messaging_feedback"

    def __init__(
        self,
        *,
        marigold_conn_id: str = "marigold_default",
        kinds: Sequence[str] = tuple(Kind),
        bounce_types: Sequence[str] = (),
        account_id: str | None = None,
        start: str | datetime | None = None,
        lag: float | timedelta = LAG,
        look_back: float | timedelta = LOOK_BACK,
        poll_interval: float | timedelta = 60.0,
        late_interval: float | timedelta = 900.0,
        page_size: int = 100,
    ) -> None:
        super().__init__()
        # Equal watchers must be stored alike: Airflow then takes them for one.
        first = as_moment(start, "start")
        self.marigold_conn_id = marigold_conn_id
        self.kinds = chosen(kinds, tuple(FEEDBACK), "kinds")
        self.bounce_types = chosen(bounce_types, BOUNCE_TYPES, "bounce_types")
        self.account_id = account_id or None
        self.start = utc_text(first) if first else None
        self.lag = seconds(lag, "lag").total_seconds()
        self.look_back = seconds(look_back, "look_back").total_seconds()
        self.poll_interval = positive(poll_interval, "poll_interval")
        self.late_interval = positive(late_interval, "late_interval")
        self.page_size = page_size
        if not self.kinds:
            raise wrong(f"kinds must be some of {', '.join(FEEDBACK)}, not empty", "kinds")
        if page_size <= 0:
            raise wrong("page_size must be positive", "page_size")

    def shared_stream_key(self) -> Hashable:
        return self.classpath(), self.marigold_conn_id, self.account_id, self.page_size

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> FeedbackReader:
        from airflow_provider_messaging.triggers._feedback_reader import FeedbackReader

        return FeedbackReader(
            conn_id=kwargs["marigold_conn_id"],
            account_id=kwargs["account_id"],
            page_size=kwargs["page_size"],
            poll_interval=kwargs["poll_interval"],
        )

    def question(self) -> list[str]:
        return [self.marigold_conn_id, self.account_id or "", *self.kinds, *self.bounce_types]

    def make_ask(self, journal: Journal) -> FeedbackAsk:
        from airflow_provider_messaging.triggers._feedback_reader import FeedbackAsk

        return FeedbackAsk(
            kinds=tuple(self.kinds),
            since=to_moment(journal.cursor.horizon),
            lag=self.lag,
            poll_interval=self.poll_interval,
            late_interval=self.late_interval,
        )

    async def note(self, journal: Journal, look: DayLook) -> None:
        if not look.arrivals.keys() >= set(self.kinds):
            return
        cursor = journal.cursor
        if not cursor.follows(to_micros(look.window.start)):
            return
        # Whole seconds: file names show no others.
        until = to_micros(min(look.window.end, look.at - timedelta(seconds=self.lag))) // SECOND * SECOND
        news = News()
        for kind in self.kinds:
            arrivals = look.arrivals[kind]
            wanted = frozenset(self.bounce_types) if kind == Kind.BOUNCES and self.bounce_types else None
            for begin in range(0, len(arrivals), CHUNK):
                part = range(begin, min(begin + CHUNK, len(arrivals)))
                cursor.take(arrivals, part, kind=kind, until=until, news=news, wanted=wanted)
                await asyncio.sleep(0)
        cursor.reach(until)
        if news:
            await journal.commit(self._batch(news))
        elif journal.is_due():
            await journal.commit()

    def _batch(self, news: News) -> dict[str, Any]:
        types = {label: count for (kind, label), count in sorted(news.counts.items()) if kind == Kind.BOUNCES}
        kinds = {kind: sum(n for (of, _), n in news.counts.items() if of == kind) for kind in self.kinds}
        return {
            "vendor": VENDOR,
            "marigold_conn_id": self.marigold_conn_id,
            "account_id": self.account_id,
            "batch_id": news.digest(),
            "start": utc_text(to_moment(news.first // SECOND * SECOND)),
            "end": utc_text(to_moment((news.last // SECOND + 1) * SECOND)),
            "count": len(news),
            "kinds": {kind: count for kind, count in kinds.items() if count},
            "bounce_types": types,
        }
