"""Paths to handlers, matched on the encoded path, so that an encoded slash stays within its segment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from urllib.parse import unquote

from airflow_provider_messaging.sandbox.http import Answer, Request

Handler = Callable[[Request], Answer]
ANY = "*"
"""The method of a route that takes every method."""


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of a vendor.

    ``{name}`` in the path takes one segment, decoded. ``{name*}`` at its end takes all that is left, at least one
    segment, as it was sent: decoded, an encoded slash could not be told from one between segments.
    """

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
    other: Route | None = None
    """A route of the same path with another method, if there is none with this one."""


NOTHING = Match(None, {})


class Router:
    """The routes of one vendor."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._by_length: dict[int, list[tuple[tuple[str, ...], Route]]] = {}
        self._open: list[tuple[tuple[str, ...], Route]] = []
        for route in self.routes:
            segments = tuple(route.path.split("/"))
            same = self._open if takes_rest(segments[-1]) else self._by_length.setdefault(len(segments), [])
            same.append((segments, route))

    @property
    def operations(self) -> frozenset[str]:
        return frozenset(route.operation for route in self.routes)

    def match(self, method: str, path: str) -> Match:
        """Find the route for the encoded ``path`` below the vendor's prefix; those with an open end come last."""
        given = path.split("/")
        others: list[tuple[Route, dict[str, str]]] = []
        for pattern, route in chain(self._by_length.get(len(given), ()), self._open):
            params = _params(pattern, given)
            if params is None:
                continue
            if route.method in (method, ANY):
                return Match(route, params)
            others.append((route, params))
        if not others:
            return NOTHING
        route, params = others[0]
        return Match(None, params, tuple(sorted({route.method for route, _ in others})), route)


def takes_rest(segment: str) -> bool:
    """Whether a segment of a route's path stands for all that is left."""
    return segment.endswith("*}")


def _params(pattern: tuple[str, ...], given: list[str]) -> dict[str, str] | None:
    params: dict[str, str] = {}
    if takes_rest(pattern[-1]):
        fixed = len(pattern) - 1
        if len(given) <= fixed:
            return None
        params[pattern[-1][1:-2]] = "/".join(given[fixed:])
        pattern, given = pattern[:-1], given[:fixed]
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
