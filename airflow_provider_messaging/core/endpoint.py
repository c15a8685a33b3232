"""A vendor's operation as data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote

from airflow_provider_messaging.core.errors import ConfigurationError, ValidationError

_SEGMENT = re.compile(r"\{([a-z_]+)\}")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One operation: `path` is a template such as ``/archive/v1/{profile_id}`` below a base URL."""

    vendor: str
    name: str
    method: str
    path: str
    safety: Safety
    evidence: Evidence

    @property
    def operation(self) -> str:
        return f"{self.vendor}.{self.name}"

    def url(self, base_url: str, overrides: Mapping[str, str] | None = None, **segments: str) -> str:
        """Return the URL below `base_url`, with every segment percent-encoded.

        :param overrides: paths from the connection's extra ``endpoints``, by endpoint name.
        :raises ConfigurationError: if an override lacks its leading slash or the last segment, or names an unknown one.
        :raises ValidationError: if a segment is empty, ``.`` or ``..``, or no text.
        """
        path = (overrides or {}).get(self.name, self.path)
        encoded = {name: self._encode(name, value) for name, value in segments.items()}
        names = set(_SEGMENT.findall(path))
        problem = ""
        if not path.startswith("/") or path.startswith("//"):
            problem = "must start with exactly one '/'"
        elif re.search(r"[{}]", _SEGMENT.sub("", path)):
            problem = "may hold braces around the name of a segment only"
        elif not names.issuperset(_SEGMENT.findall(self.path)[-1:]):
            # One listing for all would be taken for the answer about one.
            problem = f"must name the segment {{{_SEGMENT.findall(self.path)[-1]}}}"
        elif names - encoded.keys():
            unknown = sorted(names - encoded.keys())[0]
            problem = f"names an unknown segment {{{unknown}}}; known: {', '.join(encoded) or 'none'}"
        if problem:
            raise ConfigurationError(
                f"the path {path!r} {problem}",
                vendor=self.vendor,
                operation=self.name,
                setting=f"extra 'endpoints' → {self.name!r}",
            )
        return base_url.rstrip("/") + _SEGMENT.sub(lambda match: encoded[match[1]], path)

    def _encode(self, name: str, value: str) -> str:
        try:
            if value not in {"", ".", ".."}:
                return quote(value, safe="")
        except UnicodeEncodeError:
            pass
        raise ValidationError(f"{name} must not be {value!r}", vendor=self.vendor, operation=self.name)


def check_overrides(vendor: str, endpoints: Mapping[str, Endpoint], overrides: object) -> dict[str, str]:
    """Return the connection's extra ``endpoints`` as a map of known names to paths.

    :raises ConfigurationError: if it is no such map or names an endpoint that does not exist.
    """
    if not isinstance(overrides, Mapping) or not all(isinstance(v, str) for v in overrides.values()):
        raise ConfigurationError(
            "must be a JSON object of endpoint name → path", vendor=vendor, setting="extra 'endpoints'"
        )
    unknown = sorted(set(overrides) - set(endpoints))
    if unknown:
        raise ConfigurationError(
            f"unknown endpoint {unknown[0]!r}; known: {', '.join(sorted(endpoints))}",
            vendor=vendor,
            setting="extra 'endpoints'",
        )
    return dict(overrides)
