"""Time windows: half-open, UTC, split at midnight where a vendor filters by day."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Window:
    """``start <= t < end``, both aware and in UTC."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("a window needs aware datetimes")
        object.__setattr__(self, "start", self.start.astimezone(UTC))
        object.__setattr__(self, "end", self.end.astimezone(UTC))
        if self.end < self.start:
            raise ValueError(f"the window ends ({self.end}) before it starts ({self.start})")

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end

    def reaching_back(self, *, lag: timedelta, look_back: timedelta) -> Window:
        """Return what is to be read for this interval: all of it is `lag` old at its end, and its start is read again.

        The results for adjoining intervals adjoin as well, each overlapping those before it by `look_back`.

        :raises ValueError: if one of the two is negative.
        """
        if lag < timedelta(0) or look_back < timedelta(0):
            raise ValueError("lag and look-back must not be negative")
        return Window(self.start - lag - look_back, self.end - lag)

    def until(self, moment: datetime) -> Window:
        """Return the part of this window that lies before `moment`."""
        return Window(min(self.start, moment), min(self.end, moment))

    def split(self, step: timedelta) -> Iterator[Window]:
        """Yield adjoining windows of at most `step` that together are this one; none for an empty window."""
        if step <= timedelta(0):
            raise ValueError("the step must be positive")
        start = self.start
        while start < self.end:
            end = min(start + step, self.end)
            yield Window(start, end)
            start = end

    def days(self) -> Iterator[Window]:
        """Yield the parts of this window, cut at each midnight UTC."""
        start = self.start
        while start < self.end:
            midnight = start.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
            end = min(midnight, self.end)
            yield Window(start, end)
            start = end

    def day_range(self) -> tuple[str, str]:
        """Return first and last day (ISO 8601 dates) that the window touches."""
        last = max(self.start, self.end - timedelta(microseconds=1))
        return self.start.date().isoformat(), last.date().isoformat()
