"""An Airflow connection as a plain value, read with the same rules by every vendor."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.core.numbers import count, seconds
from airflow_provider_messaging.core.redact import MASK
from airflow_provider_messaging.core.retry import RetryPolicy

N = TypeVar("N", int, float)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionParts:
    """What a connection holds. Values of `extra` may all be strings: that is how a connection URI gives them."""

    id: str
    vendor: str
    host: str | None = None
    port: int | None = None
    schema: str | None = None
    login: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def error(self, message: str, setting: str) -> ConfigurationError:
        return ConfigurationError(message, vendor=self.vendor, connection=self.id, setting=setting)

    def require(self, value: str | None, setting: str) -> str:
        """Return `value`; an empty one, or a redacted one that a form gave back, is an error."""
        text = (value or "").strip()
        if not text:
            raise self.error(f"{setting} is missing", setting)
        if text == MASK:
            raise self.error(
                f"{setting} is literally {MASK!r}: the form was saved with a hidden value; type it anew",
                setting,
            )
        return text

    def text(self, name: str, default: str = "") -> str:
        """Return an extra as text, the default where it is missing or empty."""
        value = self.extra.get(name)
        if value is None or value == "":
            return default
        if isinstance(value, Mapping | list):
            raise self.error(f"extra {name!r} must be text", f"extra {name!r}")
        if value == MASK:
            raise self.error(f"extra {name!r} is literally {MASK!r}; type it anew", f"extra {name!r}")
        return str(value).strip()

    def choice(self, name: str, values: Sequence[str], default: str) -> str:
        """Return an extra that must be one of `values`, compared without case."""
        value = self.text(name, default).lower()
        if value not in values:
            raise self.error(f"extra {name!r} is {value!r}; it must be one of {', '.join(values)}", f"extra {name!r}")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """Return an extra that is true or false, given as such or as text."""
        value = self.text(name, str(default)).lower()
        if value not in {"true", "false"}:
            raise self.error(f"extra {name!r} is {value!r}; it must be true or false", f"extra {name!r}")
        return value == "true"

    def mapping(self, name: str) -> dict[str, Any]:
        """Return an extra that is a JSON object, given as such or as its text."""
        value = self.extra.get(name)
        if value is None or value == "":
            return {}
        if isinstance(value, str):
            import json

            try:
                value = json.loads(value)
            except ValueError:
                value = None
        if not isinstance(value, Mapping):
            raise self.error(f"extra {name!r} must be a JSON object", f"extra {name!r}")
        return dict(value)

    def retry(self) -> RetryPolicy:
        """Return how often and how long a call of this connection is repeated."""
        usual = RetryPolicy()
        attempts = self._number("retry_attempts", count, usual.max_attempts)
        return replace(usual, max_attempts=attempts, budget=self._number("retry_budget", seconds, usual.budget))

    def _number(self, name: str, read: Callable[[object], N], default: N) -> N:
        value = self.extra.get(name)
        if value is None or value == "":
            return default
        try:
            return read(value)
        except ValueError as error:
            raise self.error(f"extra {name!r} {error}", f"extra {name!r}") from None

    def host_url(self) -> str | None:
        """Return the host field, with scheme and port where they stand beside it, None where it is empty."""
        host = (self.host or "").strip()
        if not host:
            return None
        if "://" not in host:
            scheme = self.schema if self.schema in {"http", "https"} else "https"
            host = f"{scheme}://{host}"
        parts = _split(host)
        if self.port and parts is not None and parts.port is None:
            host = parts._replace(netloc=f"{parts.netloc}:{self.port}").geturl()
        return self.base_url(host, "host")

    def base_url(self, url: str, setting: str) -> str:
        """Return `url` if a request with credentials may go there: https, or http on loopback.

        :raises ConfigurationError: for anything else.
        """
        parts = _split(url)
        # Raised here, not where splitting failed: that error quotes the URL, and would come along.
        if parts is None:
            raise self.error(f"{setting} is not a URL", setting)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise self.error(f"{setting} must be a URL such as https://example.com", setting)
        if parts.username is not None or parts.password is not None:
            raise self.error(f"{setting} must not hold a user name or password", setting)
        if parts.query or parts.fragment:
            raise self.error(f"{setting} must not hold a query or fragment", setting)
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise self.error(f"{setting} must start with https:// (http:// is allowed for this machine only)", setting)
        return url.rstrip("/")


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


def is_loopback(host: str) -> bool:
    """Tell whether `host` is ``localhost`` or a loopback address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
