"""What a `pressnxpress` connection says, checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from airflow_provider_messaging.core.connection import ConnectionParts
from airflow_provider_messaging.core.endpoint import check_overrides
from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.core.redact import MASK, Redactor
from airflow_provider_messaging.vendors.pressnxpress.endpoints import ENDPOINTS, TOKEN_SEGMENT, VENDOR

DEFAULT_URL = "https://api.pressnxpress.com/v2"
ContentType = Literal["json", "form"]
CONTENT_TYPES: tuple[ContentType, ...] = ("json", "form")

_KEY = "password (API key)"
_TOKEN = "extra 'touchpoint_token'"
_TOKENS = "extra 'touchpoint_tokens'"


@dataclass(frozen=True, slots=True, kw_only=True)
class PressnxpressConfig:
    """URL and credentials of one organization."""

    connection: str
    base_url: str
    api_key: str = field(repr=False)
    touchpoint_token: str = field(repr=False)
    """Of the touchpoint that is meant where none is named; may be empty."""
    touchpoint_tokens: dict[str, str] = field(repr=False)
    """More touchpoints: name of ours → token."""
    content_type: ContentType
    overrides: dict[str, str]

    @classmethod
    def read(cls, parts: ConnectionParts) -> PressnxpressConfig:
        """Read a connection: password = API key, extras as in ``docs/pressnxpress.md``.

        A host replaces ``https://api.pressnxpress.com/v2`` as a whole.

        :raises ConfigurationError: naming the field to change, never its secret.
        """
        api_key = _sendable(parts, parts.require(parts.password, _KEY), _KEY)
        token = _sendable(parts, parts.text("touchpoint_token"), _TOKEN)
        touchpoint_tokens = {
            name: _named_token(parts, name, value) for name, value in parts.mapping("touchpoint_tokens").items()
        }
        if not token and not touchpoint_tokens:
            raise parts.error(f"{_TOKEN} is missing", f"{_TOKEN} (or {_TOKENS}, for several)")
        return cls(
            connection=parts.id,
            base_url=parts.host_url() or DEFAULT_URL,
            api_key=api_key,
            touchpoint_token=token,
            touchpoint_tokens=touchpoint_tokens,
            content_type="form" if parts.choice("content_type", CONTENT_TYPES, "json") == "form" else "json",
            overrides=_overrides(parts),
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        """Everything that no text may show."""
        return tuple(
            secret for secret in (self.api_key, self.touchpoint_token, *self.touchpoint_tokens.values()) if secret
        )

    @property
    def redactor(self) -> Redactor:
        return Redactor(self.secrets)

    def token_of(self, touchpoint: str | None) -> str:
        """Return the token of a touchpoint by the name it has in the connection, the connection's own for None.

        :raises ConfigurationError: if there is none.
        """
        if touchpoint is None:
            if self.touchpoint_token:
                return self.touchpoint_token
            raise self._error(f"no touchpoint is named; known: {self._known}", f"touchpoint (or {_TOKEN})")
        if touchpoint in self.touchpoint_tokens:
            return self.touchpoint_tokens[touchpoint]
        # Whoever gives the token itself must not find it in the log.
        shown = "a name" if touchpoint in self.secrets else repr(self.redactor(touchpoint))
        raise self._error(
            f"the connection has no touchpoint of {shown}; known: {self._known}", f"touchpoint, {_TOKENS}"
        )

    @property
    def _known(self) -> str:
        return ", ".join(sorted(self.touchpoint_tokens)) or "none"

    def _error(self, message: str, setting: str) -> ConfigurationError:
        return ConfigurationError(message, vendor=VENDOR, connection=self.connection, setting=setting)


def _sendable(parts: ConnectionParts, secret: str, setting: str) -> str:
    """Return a secret that can stand in a URL; what can't would be quoted by the error of whoever tries."""
    if not secret.isprintable() or secret in {".", ".."}:
        raise parts.error(f"{setting} has characters that no such key has", setting)
    return secret


def _named_token(parts: ConnectionParts, name: str, value: Any) -> str:
    setting = f"{_TOKENS} → {name!r}"
    if not isinstance(value, str) or not value.strip():
        raise parts.error(f"{setting} must be the touchpoint's token, as text", setting)
    if value == MASK:
        raise parts.error(f"{setting} is literally {MASK!r}; type it anew", setting)
    return _sendable(parts, value.strip(), setting)


def _overrides(parts: ConnectionParts) -> dict[str, str]:
    overrides = check_overrides(parts.vendor, ENDPOINTS, parts.mapping("endpoints"))
    for name, path in overrides.items():
        # Told here without the path: somebody may have written a secret into it.
        if f"{{{TOKEN_SEGMENT}}}" not in path or "?" in path:
            raise parts.error(
                f"the path must name the segment {{{TOKEN_SEGMENT}}} and have no query: the token itself belongs into "
                f"{_TOKEN}, the API key into the password",
                f"extra 'endpoints' → {name!r}",
            )
    return overrides
