"""A vendor's operation as data."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from urllib.parse import quote, unquote

from airflow_provider_messaging.core.errors import ConfigurationError, ValidationError

_SEGMENT = re.compile(r"\{([a-z_]+)\}")
_SEPARATORS = re.compile(r"[/\\]")


class Safety(Enum):
    """What a repeat of the request does."""

    SAFE = "safe"
    """Reads: a repeat changes nothing."""
    IDEMPOTENT = "idempotent"
    """Writes whose repeat leads to the same state."""
    UNSAFE = "unsafe"
    """Writes whose repeat may act twice: repeated only when the first was surely not taken."""


class Evidence(Enum):
    """How sure we are of an endpoint's path."""

    SPECIFIED = "S"
    OFFICIAL = "O"
    CLIENT_CODE = "C"
    UNPUBLISHED = "U"


METHODS: Mapping[str, Safety] = {
    "GET": Safety.SAFE,
    "HEAD": Safety.SAFE,
    "OPTIONS": Safety.SAFE,
    "PUT": Safety.IDEMPOTENT,
    "DELETE": Safety.IDEMPOTENT,
    "POST": Safety.UNSAFE,
    "PATCH": Safety.UNSAFE,
}
"""The methods of requests that a DAG author writes, and what HTTP promises of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One operation: `path` is a template such as ``/archive/v1/{profile_id}`` below a base URL."""

    vendor: str
    name: str
    method: str
    path: str
    safety: Safety
    evidence: Evidence
    setting: str = ""
    """What to change where the path is wrong; empty for one that the connection's extra ``endpoints`` may replace."""

    @classmethod
    def custom(
        cls,
        vendor: str,
        method: str,
        path: str,
        *,
        name: str = "request",
        evidence: Evidence = Evidence.UNPUBLISHED,
        base_url_setting: str = "host of the connection",
    ) -> Endpoint:
        """Return the endpoint of a request that a DAG author writes; its safety is that of the method.

        :param method: one of `METHODS`, in any case.
        :param path: the whole path below the base URL, percent-encoded where that is needed; braces have no meaning.
        :param base_url_setting: where the base URL comes from, for the error of a path that the vendor does not know.
        :raises ConfigurationError: if the method is none of these, or the path could mean another place.
        """

        def wrong(argument: str, problem: str) -> ConfigurationError:
            return ConfigurationError(f"the {argument} {problem}", vendor=vendor, operation=name, setting=argument)

        verb = str(method).upper()
        if verb not in METHODS:
            raise wrong("method", f"{method!r} is none of {', '.join(METHODS)}")
        if problem := _path_problem(path):
            raise wrong("path", f"{path!r} {problem}")
        return cls(
            vendor=vendor,
            name=name,
            method=verb,
            path=path.replace("{", "%7B").replace("}", "%7D"),
            safety=METHODS[verb],
            evidence=evidence,
            setting=f"path, or {base_url_setting}",
        )

    @property
    def operation(self) -> str:
        return f"{self.vendor}.{self.name}"

    def url(self, base_url: str, overrides: Mapping[str, str] | None = None, **segments: str) -> str:
        """Return the URL below `base_url`, with every segment percent-encoded.

        :param overrides: paths from the connection's extra ``endpoints``, by endpoint name.
        :raises ConfigurationError: if an override lacks its leading slash or the last segment, or names an unknown one.
        :raises ValidationError: if a segment is empty, ``.`` or ``..``, or no text.
        """
        path = self.path if self.setting else (overrides or {}).get(self.name, self.path)
        encoded = {name: self._encode(name, value) for name, value in segments.items()}
        names, problem = _template(path)
        if not problem:
            needed = _template(self.path)[0][-1:]
            unknown = sorted(set(names) - encoded.keys())
            if needed and needed[0] not in names:
                # One listing for all would be taken for the answer about one.
                problem = f"must name the segment {{{needed[0]}}}"
            elif unknown:
                problem = f"names an unknown segment {{{unknown[0]}}}; known: {', '.join(encoded) or 'none'}"
        if problem:
            raise ConfigurationError(
                f"the path {path!r} {problem}",
                vendor=self.vendor,
                operation=self.name,
                setting=f"extra 'endpoints' → {self.name!r}",
            )
        return base_url.rstrip("/") + _SEGMENT.sub(lambda match: encoded[match[1]], path)

    def _encode(self, name: str, value: str) -> str:
        problem = f"must not be {value!r}"
        if value not in {"", ".", ".."}:
            with suppress(UnicodeEncodeError):
                return quote(value, safe="")
            problem = "is no text that UTF-8 can hold"
        raise ValidationError(f"{name} {problem}", vendor=self.vendor, operation=self.name)


@lru_cache(maxsize=256)
def _template(path: str) -> tuple[tuple[str, ...], str]:
    """Return the names of the segments, in their order, and what is wrong with the path."""
    problem = ""
    if not path.startswith("/") or path.startswith("//"):
        problem = "must start with exactly one '/'"
    elif re.search(r"[{}]", _SEGMENT.sub("", path)):
        problem = "may hold braces around the name of a segment only"
    return tuple(_SEGMENT.findall(path)), problem


def _path_problem(path: object) -> str:
    if not isinstance(path, str) or not path.startswith("/"):
        return "must start with one '/'; the base URL comes from the connection"
    if "//" in path:
        return "must not hold '//'"
    if "?" in path or "#" in path:
        return "must not hold '?' or '#'; query parameters have an argument of their own"
    if not path.isprintable() or any(letter.isspace() for letter in path):
        return "must not hold whitespace or control characters"
    if {".", ".."} & set(_SEPARATORS.split(unquote(path))):
        return "must not hold the segments '.' and '..'"
    return ""


def endpoints_of(vendor: str) -> Callable[[str, str, str, Safety, Evidence], Endpoint]:
    """Return what makes a vendor's endpoints of name, method, path, safety and evidence."""

    def endpoint(name: str, method: str, path: str, safety: Safety, evidence: Evidence) -> Endpoint:
        return Endpoint(vendor=vendor, name=name, method=method, path=path, safety=safety, evidence=evidence)

    return endpoint


def check_overrides(vendor: str, endpoints: Mapping[str, Endpoint], overrides: object) -> dict[str, str]:
    """Return the connection's extra ``endpoints`` as a map of known names to paths.

    :raises ConfigurationError: if it is no such map or names an endpoint that does not exist.
    """
    if not isinstance(overrides, Mapping) or not all(isinstance(v, str) for v in overrides.values()):
        raise ConfigurationError(
            "extra 'endpoints' must be a JSON object of endpoint name → path",
            vendor=vendor,
            setting="extra 'endpoints'",
        )
    unknown = sorted(set(overrides) - set(endpoints))
    if unknown:
        raise ConfigurationError(
            f"unknown endpoint {unknown[0]!r}; known: {', '.join(sorted(endpoints))}",
            vendor=vendor,
            setting="extra 'endpoints'",
        )
    return dict(overrides)
