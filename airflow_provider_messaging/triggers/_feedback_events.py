"""The trigger that starts DAGs when feedback comes in. It only reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import blake2b
from inspect import signature
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_messaging.core.cursor import News, to_micros, to_moment
from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.core.feedback import BOUNCE_TYPES
from airflow_provider_messaging.hooks._inputs import as_moment
from airflow_provider_messaging.hooks._window import LAG, LOOK_BACK, seconds
from airflow_provider_messaging.triggers._feedback_journal import Journal, Store
from airflow_provider_messaging.vendors.marigold.endpoints import FEEDBACK, VENDOR
from airflow_provider_messaging.vendors.marigold.feedback import Kind
from airflow_provider_messaging.vendors.marigold.times import utc_text

if TYPE_CHECKING:
    from airflow_provider_messaging.triggers._feedback_reader import FeedbackReader, Look

CLASSPATH = "airflow_provider_messaging.triggers.marigold.FeedbackEventTrigger"
CHUNK = 5_000
"""Events that are looked through before the other triggers get a turn."""
SECOND = 1_000_000


class FeedbackEventTrigger(BaseEventTrigger):
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
        super().__init__()  # type: ignore[no-untyped-call]
        if not hasattr(BaseEventTrigger, "create_shared_stream_producer"):
            raise _wrong(
                "FeedbackEventTrigger needs Airflow 3.3, which keeps the state of assets; before, schedule "
                "FeedbackToObjectStorageOperator, or wait with BounceSensor",
                "version of Airflow",
            )
        # Equal watchers must be stored alike: Airflow then takes them for one.
        first = as_moment(start, "start")
        self.marigold_conn_id = marigold_conn_id
        self.kinds = _chosen(kinds, tuple(FEEDBACK), "kinds")
        self.bounce_types = _chosen(bounce_types, BOUNCE_TYPES, "bounce_types")
        self.account_id = account_id or None
        self.start = utc_text(first) if first else None
        self.lag = seconds(lag, "lag").total_seconds()
        self.look_back = seconds(look_back, "look_back").total_seconds()
        self.poll_interval = seconds(poll_interval, "poll_interval").total_seconds()
        self.late_interval = seconds(late_interval, "late_interval").total_seconds()
        self.page_size = page_size
        if not self.kinds:
            raise _wrong(f"kinds must be some of {', '.join(FEEDBACK)}, not empty", "kinds")
        for setting in ("poll_interval", "late_interval", "page_size"):
            if getattr(self, setting) <= 0:
                raise _wrong(f"{setting} must be positive", setting)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return CLASSPATH, {name: getattr(self, name) for name in signature(type(self)).parameters}

    def shared_stream_key(self) -> Hashable:
        """Return what tells the readers apart: what a watcher picks from a reader's rows is not part of it."""
        return CLASSPATH, self.marigold_conn_id, self.account_id, self.page_size

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> FeedbackReader:
        from airflow_provider_messaging.triggers._feedback_reader import FeedbackReader

        return FeedbackReader(
            conn_id=kwargs["marigold_conn_id"],
            account_id=kwargs["account_id"],
            page_size=kwargs["page_size"],
            poll_interval=kwargs["poll_interval"],
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Airflow's triggerer runs `filter_shared_stream` instead."""
        raise _wrong("FeedbackEventTrigger runs as the trigger of an AssetWatcher only", "trigger")
        yield  # type: ignore[unreachable]  # makes it a generator

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Look]) -> AsyncIterator[TriggerEvent]:
        """Yield a batch for each look that brought something new. Trouble is logged, and the next look tries again."""
        began = datetime.now(UTC)
        journal: Journal | None = None
        reader: FeedbackReader | None = None
        reported = 0
        try:
            async for look in shared_stream:
                reader = look.reader
                try:
                    if journal is None:
                        journal = await self._journal(began)
                    await self._note(journal, look)
                except Exception:
                    # What is stored counts. Whoever raises here is started anew within a second, again and again.
                    self.log.exception("the watch could not note what is new: the next poll starts from what is noted")
                    if journal is not None:
                        journal.close()
                    journal = None
                    reader.leave(self)
                    continue
                for batch in journal.reported(after=reported):
                    yield TriggerEvent(batch)
                    reported = batch["number"]
                look.confirmations.append(partial(journal.confirm, reported))
                reader.ask(self, self._ask(journal))
        finally:
            if reader is not None:
                reader.leave(self)

    async def _journal(self, began: datetime) -> Journal:
        first = as_moment(self.start, "start") or began
        return await Journal.open(
            _stores(self.asset_state_store), self._name(), start=to_micros(first), look_back=_micros(self.look_back)
        )

    def _name(self) -> str:
        """Return the name of the journal: another question has another one."""
        question = [self.marigold_conn_id, self.account_id or "", *self.kinds, *self.bounce_types]
        return "messaging_feedback/" + blake2b("\x1f".join(question).encode(), digest_size=8).hexdigest()

    def _ask(self, journal: Journal) -> Any:
        from airflow_provider_messaging.triggers._feedback_reader import Ask

        return Ask(
            kinds=tuple(self.kinds),
            since=to_moment(journal.cursor.horizon),
            lag=self.lag,
            poll_interval=self.poll_interval,
            late_interval=self.late_interval,
        )

    async def _note(self, journal: Journal, look: Look) -> None:
        """Commit what is new in a look, with the batch that reports it."""
        if look.window is None or not look.arrivals.keys() >= set(self.kinds):
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


def _stores(accessors: Any) -> list[Store]:
    """Return the state store of each asset that has this watcher."""
    if accessors is None:
        raise _wrong("Airflow has given the watcher no state store: is it the watcher of an asset?", "trigger")
    # The accessor of several assets is to be asked with the asset in hand, and a trigger is not told its assets.
    by_name = getattr(accessors, "_by_name", None)
    return [by_name[name] for name in sorted(by_name)] if by_name else [accessors]


def _chosen(values: Sequence[str], known: Sequence[str], setting: str) -> list[str]:
    given = [values] if isinstance(values, str) else list(values)
    wanted = {str(value).lower() for value in given}
    if unknown := sorted(wanted.difference(known)):
        raise _wrong(f"{setting} must be some of {', '.join(known)}, not {unknown}", setting)
    return [value for value in known if value in wanted]


def _micros(seconds: float) -> int:
    return round(seconds * SECOND)


def _wrong(message: str, setting: str) -> ConfigurationError:
    return ConfigurationError(message, vendor=VENDOR, setting=setting)
