"""The log of requests, bounded, without secrets."""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Iterator
from urllib.parse import quote

import msgspec

from airflow_provider_messaging.sandbox.http import Request
from airflow_provider_messaging.sandbox.routing import Route, takes_rest

KEPT = 200_000
_SECRET_NAMES = ("key", "token", "secret", "password")


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One request to a vendor; ``status`` is None when no answer was given."""

    number: int
    at: float
    """Seconds since 1970 when the request's head arrived."""
    vendor: str
    operation: str | None
    method: str
    path: str
    query: str
    status: int | None
    request_bytes: int
    messages: int | None
    duration: float
    """Seconds until the answer was ready to be sent."""
    fault: str | None
    token: str | None
    """A short digest of the Authorization header: equal for equal tokens, no help to guess one."""


class RequestLog:
    """The newest requests and counts of all."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._counts: Counter[tuple[str, str | None, int | None]] = Counter()

    def add(self, entry: Entry) -> None:
        self._entries.append(entry)
        self._counts[entry.vendor, entry.operation, entry.status] += 1

    def clear(self, vendor: str | None = None) -> None:
        kept = [entry for entry in self._entries if vendor is not None and entry.vendor != vendor]
        self._entries = deque(kept, maxlen=KEPT)
        self._counts = Counter({key: n for key, n in self._counts.items() if vendor is not None and key[0] != vendor})

    def counts(self) -> list[dict[str, object]]:
        """How many requests of each vendor, operation and status, older ones than are kept included."""
        return [
            {"vendor": vendor, "operation": operation, "status": status, "count": count}
            for (vendor, operation, status), count in self._counts.items()
        ]

    def select(self, vendor: str | None, operation: str | None, since: float, after: int) -> Iterator[Entry]:
        """Entries oldest first, from ``since`` (epoch seconds) on and behind request number ``after``."""
        for entry in self._entries:
            if (
                entry.number > after
                and entry.at >= since
                and (vendor is None or entry.vendor == vendor)
                and (operation is None or entry.operation == operation)
            ):
                yield entry


def shown_path(request: Request, prefix: str, route: Route | None) -> str:
    """The path as it was sent, or the route's with its secret parameters masked."""
    if route is None or not route.secret_params:
        return request.path
    segments = []
    for segment in route.path.split("/"):
        name = segment[1:-1].removesuffix("*") if segment.startswith("{") else None
        if name is None:
            segments.append(segment)
        elif name in route.secret_params:
            segments.append("***")
        else:
            value = request.params[name]
            segments.append(value if takes_rest(segment) else quote(value, safe=""))
    return prefix + "/".join(segments)


def shown_query(query: list[tuple[str, str]]) -> str:
    return "&".join(f"{name}={'***' if _is_secret(name) else value}" for name, value in query)


def _is_secret(name: str) -> bool:
    lowered = name.lower()
    return any(part in lowered for part in _SECRET_NAMES)


def token_digest(authorization: str | None) -> str | None:
    if not authorization:
        return None
    return hashlib.sha256(authorization.encode()).hexdigest()[:12]
