"""Spreading messages over time: a fixed rate, slowed down when the vendor throttles."""

from __future__ import annotations

from dataclasses import dataclass, field

SLOWEST = 50.0
"""Messages a second that are kept up however often the vendor throttles: a full request every two seconds.

A `rate` of less than four times that keeps up a quarter of itself."""
RECOVERY_SECONDS = 10.0
"""Quiet seconds after which a reduced pace doubles."""
_MEASURE_SECONDS = 10.0


@dataclass(slots=True)
class Pacer:
    """Reserves time for messages. Pure: `now` is the caller's monotonic clock, in seconds.

    After `throttled` nothing starts before the vendor's pause is over, and the pace is half of what was reached; it
    doubles every 10 quiet seconds until it is back where the vendor first throttled, and is then free again.

    :param rate: messages a second, None for no limit.
    """

    rate: float | None = None
    _adapted: float | None = field(default=None, init=False)
    _reached: float = field(default=0.0, init=False)
    _adapted_at: float = field(default=0.0, init=False)
    _next: float = field(default=float("-inf"), init=False)
    _since: float = field(default=float("-inf"), init=False)
    _count: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        if self.rate is not None and self.rate <= 0:
            raise ValueError("rate must be positive")

    def reserve(self, messages: int, now: float) -> float:
        """Count `messages` as started and return the seconds to wait before they really do."""
        elapsed = now - self._since
        if elapsed > _MEASURE_SECONDS:
            kept = _MEASURE_SECONDS / 2 if self._count else 0.0
            self._since, self._count = now - kept, self._count * kept / elapsed
        self._count += messages
        start = max(now, self._next)
        rate = self.allowed(now)
        if rate is not None:
            self._next = start + messages / rate
        return start - now

    def throttled(self, pause: float, now: float) -> None:
        """Note that the vendor throttles and wants `pause` seconds of rest.

        Several requests in flight are throttled together: within one pause only the first halves the pace.
        """
        again = self._adapted is not None and now < self._adapted_at
        self._next = max(self._next, now + pause)
        if again:
            return
        measured = self._count / max(now - self._since, 1.0)
        current = self.allowed(now)
        if current is None:
            current = self._reached = measured
        elif self._adapted is None:
            self._reached = current
        self._adapted = max(current / 2, SLOWEST if self.rate is None else min(SLOWEST, self.rate / 4))
        self._adapted_at = now + pause

    def allowed(self, now: float) -> float | None:
        """Return the messages a second allowed at `now`, None for no limit."""
        while self._adapted is not None and now - self._adapted_at >= RECOVERY_SECONDS:
            self._adapted_at += RECOVERY_SECONDS
            self._adapted *= 2
            if self._adapted >= self._reached:
                self._adapted = None
        return self.rate if self._adapted is None else self._adapted
