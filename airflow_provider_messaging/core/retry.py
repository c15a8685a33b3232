"""When to repeat a request, and how long to wait before."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from airflow_provider_messaging.core.endpoint import Safety
from airflow_provider_messaging.core.http import Failure, FailureKind, Reply

_ALWAYS_SAFE_STATUSES = frozenset({429, 503})
_REPEATABLE_STATUSES = _ALWAYS_SAFE_STATUSES | {408, 500, 502, 504}
_HOPELESS = frozenset({FailureKind.TLS, FailureKind.TOO_LARGE})


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Waits grow from `base` by doubling up to `cap`, with jitter, within `budget` seconds altogether.

    A wait that the vendor asks for (``Retry-After``) is kept in full, or not begun where the budget is too small.
    """

    max_attempts: int = 5
    base: float = 0.5
    cap: float = 60.0
    budget: float = 300.0


@dataclass(slots=True)
class Backoff:
    """The retries of one call."""

    policy: RetryPolicy
    rng: Callable[[], float] = random.random
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    attempts: int = field(default=0, init=False)
    slept: float = field(default=0.0, init=False)

    def pause(self, reply: Reply, safety: Safety) -> float | None:
        """Return the seconds to wait before the request is repeated, None when it must not or need not be."""
        self.attempts += 1
        if not repeatable(reply, safety) or self.attempts >= self.policy.max_attempts:
            return None
        asked = None if isinstance(reply, Failure) else retry_after(reply.headers, now=self.clock())
        seconds: float
        if asked is None:
            ceiling = min(self.policy.cap, self.policy.base * 2.0 ** min(self.attempts - 1, 60))
            seconds = ceiling * (0.5 + self.rng() / 2)
        else:
            seconds = asked + min(1.0, asked / 10) * self.rng()
        if self.slept + seconds > self.policy.budget:
            return None
        self.slept += seconds
        return seconds


def repeatable(reply: Reply, safety: Safety) -> bool:
    """Tell whether a repeat is both allowed and of use."""
    if isinstance(reply, Failure):
        if reply.kind in _HOPELESS:
            return False
        if safety is not Safety.UNSAFE or reply.status is None:
            return safety is not Safety.UNSAFE or reply.kind.surely_not_taken
    return reply.status in (_ALWAYS_SAFE_STATUSES if safety is Safety.UNSAFE else _REPEATABLE_STATUSES)


def retry_after(headers: Mapping[str, str], *, now: datetime | None = None) -> float | None:
    """Return the seconds of a ``Retry-After`` header, given as seconds or as an HTTP date; ≤ 0 is no hint."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            when = parsedate_to_datetime(value)
        except (ValueError, OverflowError):
            return None
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)
        seconds = (when - (now or datetime.now(UTC))).total_seconds()
    return seconds if 0 < seconds < float("inf") else None
