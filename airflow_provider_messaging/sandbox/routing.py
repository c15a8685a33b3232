"""Paths to handlers, matched on the encoded path, so that an encoded slash stays within its segment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from airflow_provider_messaging.sandbox.http import Answer, Request

Handler = Callable[[Request], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of a vendor; ``{name}`` in the path takes one segment, decoded."""

    operation: str
    method: str
    path: str
    handler: Handler
    max_body: int = 4_000_000
    """Bytes of body that are kept; a handler sees a longer one as ``request.too_large``."""
    secret_params: frozenset[str] = frozenset()
    """Path parameters that the request log must not show."""


@dataclass(frozen=True, slots=True)
class Match:
    """What a path leads to: a route, or the methods that would have been allowed, or neither."""

    route: Route | None
    params: Mapping[str, str]
    allowed: tuple[str, ...] = ()


NOTHING = Match(None, {})


class Router:
    """The routes of one vendor."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._by_length: dict[int, list[tuple[tuple[str, ...], Route]]] = {}
        for route in self.routes:
            segments = tuple(route.path.split("/"))
            self._by_length.setdefault(len(segments), []).append((segments, route))

    @property
    def operations(self) -> frozenset[str]:
        return frozenset(route.operation for route in self.routes)

    def match(self, method: str, path: str) -> Match:
        """Find the route for the encoded ``path`` below the vendor's prefix."""
        given = path.split("/")
        allowed: list[str] = []
        for pattern, route in self._by_length.get(len(given), ()):
            params = _params(pattern, given)
            if params is None:
                continue
            if route.method == method:
                return Match(route, params)
            allowed.append(route.method)
        return Match(None, {}, tuple(sorted(set(allowed)))) if allowed else NOTHING


def _params(pattern: tuple[str, ...], given: list[str]) -> dict[str, str] | None:
    params: dict[str, str] = {}
    for expected, segment in zip(pattern, given, strict=True):
        if expected.startswith("{"):
            try:
                value = unquote(segment, errors="strict")
            except UnicodeDecodeError:
                return None
            if not value:
                return None
            params[expected[1:-1]] = value
        elif expected != segment:
            return None
    return params
