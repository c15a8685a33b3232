"""What a watcher has seen of a source that is asked again and again, gives no order, and shows some events late.

Times are microseconds since 1970 in UTC: events are kept in columns, so that a day of a million costs 17 MB.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

HOUR = 3_600_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def to_moment(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


class Arrivals:
    """Events as they were listed: in any order, some of them twice.

    :param labels: what an event may be; each has one of them, by number.
    """

    __slots__ = ("ids", "labels", "marks", "moments")

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = tuple(labels)
        self.ids = array("Q")
        self.moments = array("q")
        self.marks = array("B")

    def add(self, event: int, moment: int, mark: int) -> None:
        """Add one event.

        :param event: 64 bits that identify it.
        :param moment: when it happened.
        :param mark: the number of its label.
        """
        self.ids.append(event)
        self.moments.append(moment)
        self.marks.append(mark)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(slots=True)
class News:
    """Events that were not seen before: how many of what, from when until when."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By kind and label."""
    first: int = 0
    last: int = 0
    ids: array[int] = field(default_factory=lambda: array("Q"))

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, event: int, moment: int, kind: str, label: str) -> None:
        self.first = min(self.first, moment) if self.ids else moment
        self.last = max(self.last, moment) if self.ids else moment
        self.ids.append(event)
        self.counts[kind, label] += 1

    def digest(self) -> str:
        """Return 16 hexadecimal digits that stand for these events, in whatever order they came."""
        return blake2b(array("Q", sorted(self.ids)).tobytes(), digest_size=8).hexdigest()


class SeenHour:
    """The events of one hour in the order in which they were seen: it only grows, so `stored` of them may be kept."""

    __slots__ = ("_digest", "_members", "ids", "stored")

    def __init__(self, ids: Iterable[int] = ()) -> None:
        self.ids = array("Q")
        self._members: set[int] = set()
        self._digest = blake2b(digest_size=8)
        for event in ids:
            self.add(event)
        self.stored = len(self.ids)

    def add(self, event: int) -> None:
        self.ids.append(event)
        self._members.add(event)
        self._digest.update(event.to_bytes(8, "big"))

    def __contains__(self, event: int) -> bool:
        return event in self._members

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()


class Cursor:
    """Tells new events from seen ones, exactly, for as long as it looks back.

    It keeps 64 bits of each event that happened at or after `horizon`. What happened earlier is neither new nor seen:
    it happened before the watch began, or came later than the watch looks back.

    :param start: events before it are none of the watch's business.
    """

    def __init__(self, start: int) -> None:
        self.watermark = start
        """Up to here everything has been looked at."""
        self.horizon = start
        self.hours: dict[int, SeenHour] = {}

    def take(
        self,
        arrivals: Arrivals,
        part: range,
        *,
        kind: str,
        until: int,
        news: News,
        wanted: Collection[str] | None = None,
    ) -> None:
        """Add to `news` what is new in a part of `arrivals`; from now on it counts as seen.

        :param until: events from then on are left for a later look.
        :param wanted: only events of these labels; None for all.
        """
        hours, horizon, labels = self.hours, self.horizon, arrivals.labels
        for place in part:
            moment = arrivals.moments[place]
            if not horizon <= moment < until:
                continue
            label = labels[arrivals.marks[place]]
            if wanted is not None and label not in wanted:
                continue
            event = arrivals.ids[place]
            hour = hours.get(moment // HOUR)
            if hour is None:
                hour = hours[moment // HOUR] = SeenHour()
            elif event in hour:
                continue
            hour.add(event)
            news.add(event, moment, kind, label)

    def is_new(self, event: int, moment: int) -> bool:
        """Tell whether `take` would take it."""
        hour = self.hours.get(moment // HOUR)
        return moment >= self.horizon and (hour is None or event not in hour)

    def follows(self, start: int) -> bool:
        """Tell whether a look that begins at `start` leaves no gap behind the ones before."""
        return start <= self.watermark

    def reach(self, until: int) -> None:
        """Note that everything before `until` has been looked at."""
        self.watermark = max(self.watermark, until)

    def horizon_for(self, look_back: int) -> int:
        """Return from when on events still count: full hours, never earlier than before."""
        return max(self.horizon, (self.watermark - look_back) // HOUR * HOUR)

    def forget(self, look_back: int) -> dict[int, SeenHour]:
        """Drop the hours that lie too far back, and return them."""
        self.horizon = self.horizon_for(look_back)
        dropped = {hour: seen for hour, seen in self.hours.items() if (hour + 1) * HOUR <= self.horizon}
        for hour in dropped:
            del self.hours[hour]
        return dropped
