"""The trigger that starts DAGs when webhook events have landed. It only reads."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_messaging.core.cursor import Arrivals, News, to_micros, to_moment
from airflow_provider_messaging.hooks._inputs import as_moment
from airflow_provider_messaging.hooks._window import seconds
from airflow_provider_messaging.triggers._journal import Journal
from airflow_provider_messaging.triggers._journaled import SECOND, JournaledTrigger, chosen, positive, wrong
from airflow_provider_messaging.vendors.marigold.endpoints import FEEDBACK, VENDOR
from airflow_provider_messaging.vendors.marigold.segments import SEGMENT_KINDS
from airflow_provider_messaging.vendors.marigold.times import utc_text

if TYPE_CHECKING:
    from airflow_provider_messaging.triggers._segment_reader import Found, SegmentAsk, SegmentLook, SegmentReader

_EVER = 2**62


class WebhookEventTrigger(JournaledTrigger):
    """Fires when the receiver of webhooks has landed segments; for an `AssetWatcher`. Airflow 3.3 or later.

    Each event is a batch: ``{"batch_id", "number", "path", "segments", "count", "kinds", "start", "end", "vendor"}``:
    the segments that are new, how many events they hold, and of which kinds; no addresses. All that they hold happened
    in ``start <= timestamp < end``, whole seconds.

    What has been reported is kept in the state store of the asset, so that a restart neither loses nor repeats
    anything, as `FeedbackEventTrigger` does. Watchers of one folder share one reader, which lists it in a thread. See
    ``docs/webhooks.md``.

    :param path: the receiver's root folder, on any object storage.
    :param kinds: some of ``bounces``, ``complaints``, ``list_unsubscribes``, ``deliveries``, ``other``.
    :param start: segments sealed before it are not reported, ISO 8601. It counts at the very first start only; default:
        that moment.
    :param look_back: seconds, or a timedelta, within which what is received is sealed and can be seen, whatever the
        clocks of the receivers and of this machine show.
    :param poll_interval: seconds, or a timedelta, from one listing to the next.
    :param max_segments: segments of a batch, at most.
    :raises ConfigurationError: if an argument makes no sense, or Airflow is older than 3.3.
    """

    instead = "run FeedbackToSqlOperator or SuppressFeedbackOperator on a schedule"
    journal = "messaging_segments"

    def __init__(
        self,
        *,
        path: str,
        kinds: Sequence[str] = tuple(FEEDBACK),
        start: str | datetime | None = None,
        look_back: float | timedelta = 3600.0,
        poll_interval: float | timedelta = 5.0,
        max_segments: int = 50,
    ) -> None:
        super().__init__()
        # Equal watchers must be stored alike: Airflow then takes them for one.
        first = as_moment(start, "start")
        self.path = str(path).rstrip("/")
        self.kinds = chosen(kinds, SEGMENT_KINDS, "kinds")
        self.start = utc_text(first) if first else None
        self.look_back = seconds(look_back, "look_back").total_seconds()
        self.poll_interval = positive(poll_interval, "poll_interval")
        self.max_segments = max_segments
        if not self.path:
            raise wrong("path must be the folder of the segments", "path")
        if not self.kinds:
            raise wrong(f"kinds must be some of {', '.join(SEGMENT_KINDS)}, not empty", "kinds")
        if max_segments < 1:
            raise wrong("max_segments must be positive", "max_segments")

    def shared_stream_key(self) -> Hashable:
        return self.classpath(), self.path

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SegmentReader:
        from airflow_provider_messaging.triggers._segment_reader import SegmentReader

        return SegmentReader(path=kwargs["path"], poll_interval=kwargs["poll_interval"])

    def question(self) -> list[str]:
        return [self.path, *self.kinds]

    def make_ask(self, journal: Journal) -> SegmentAsk:
        from airflow_provider_messaging.triggers._segment_reader import SegmentAsk

        since = to_moment(journal.cursor.horizon)
        return SegmentAsk(
            kinds=tuple(self.kinds),
            since=since,
            first_day=(since - timedelta(seconds=self.look_back)).date(),
            poll_interval=self.poll_interval,
        )

    async def note(self, journal: Journal, look: SegmentLook) -> None:
        """Commit a batch of what is new in a look. Where there is more, the reader looks again at once."""
        cursor, need = journal.cursor, self.make_ask(journal)
        if not look.kinds.issuperset(need.kinds) or look.since > need.since or look.first_day > need.first_day:
            return
        new: list[Found] = []
        is_all = True
        for found in look.found:
            if found.segment.kind in self.kinds and _is_new(journal, found):
                if len(new) == self.max_segments:
                    is_all = False
                    break
                new.append(found)
        news, batch = News(), None
        arrivals = Arrivals(tuple(SEGMENT_KINDS))
        for found in new:
            arrivals.add(found.id, to_micros(found.segment.sealed_at), SEGMENT_KINDS.index(found.segment.kind))
        if new:
            batch = await self._batch(new, look)
        cursor.take(arrivals, range(len(arrivals)), kind="segments", until=_EVER, news=news)
        if is_all:
            cursor.reach(to_micros(look.at))
        else:
            look.reader.hurry()
        if batch is not None:
            await journal.commit({**batch, "batch_id": news.digest()})
        elif news or journal.is_due():
            await journal.commit()

    async def _batch(self, new: Sequence[Found], look: SegmentLook) -> dict[str, Any] | None:
        """Return the batch of some segments, None if they are all gone by now."""
        kinds: dict[str, int] = {}
        segments: list[str] = []
        first, last = _EVER, -_EVER
        for found in new:
            tally = await look.reader.tally(found)
            if tally is None:
                continue
            segments.append(f"{self.path}/{found.segment.path}")
            kinds[found.segment.kind] = kinds.get(found.segment.kind, 0) + tally.lines
            first, last = min(first, tally.first), max(last, tally.last)
        if not segments:
            return None
        return {
            "vendor": VENDOR,
            "path": self.path,
            "segments": segments,
            "start": utc_text(to_moment(first // SECOND * SECOND)),
            "end": utc_text(to_moment((last // SECOND + 1) * SECOND)),
            "count": sum(kinds.values()),
            "kinds": {kind: kinds[kind] for kind in SEGMENT_KINDS if kind in kinds},
        }


def _is_new(journal: Journal, found: Found) -> bool:
    return journal.cursor.is_new(found.id, to_micros(found.segment.sealed_at))
