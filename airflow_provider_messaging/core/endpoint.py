"""A vendor's operation as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from string import Formatter
from urllib.parse import quote

from airflow_provider_messaging.core.errors import ConfigurationError, ValidationError


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
        :raises ConfigurationError: if an override lacks its leading slash or names an unknown segment.
        :raises ValidationError: if a segment is empty, ``.`` or ``..``.
        """
        path = (overrides or {}).get(self.name, self.path)
        if not path.startswith("/") or path.startswith("//"):
            raise ConfigurationError(
                f"the path {path!r} must start with exactly one '/'",
                vendor=self.vendor,
                operation=self.name,
                setting=f"extra 'endpoints' → {self.name!r}",
            )
        for name in {field for _, field, _, _ in Formatter().parse(path) if field is not None} - segments.keys():
            raise ConfigurationError(
                f"the path {path!r} names an unknown segment {{{name}}}; known: {', '.join(segments) or 'none'}",
                vendor=self.vendor,
                operation=self.name,
                setting=f"extra 'endpoints' → {self.name!r}",
            )
        for name, value in segments.items():
            if value in {"", ".", ".."}:
                raise ValidationError(f"{name} must not be {value!r}", vendor=self.vendor, operation=self.name)
        return base_url.rstrip("/") + path.format(**{k: quote(v, safe="") for k, v in segments.items()})


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
