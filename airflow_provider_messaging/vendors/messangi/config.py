"""What a `messangi` connection says, checked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from airflow_provider_messaging.core.connection import ConnectionParts
from airflow_provider_messaging.core.endpoint import check_overrides
from airflow_provider_messaging.core.redact import fingerprint
from airflow_provider_messaging.vendors.messangi.endpoints import BELOW_PREFIX, ENDPOINTS, HOST

_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")
_REGION = re.compile(r"[A-Z]{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MessangiConfig:
    """URLs and credentials of one user.

    :param overrides: paths by endpoint; those below the subscribers' prefix are in it wherever that is known.
    """

    connection: str
    base_url: str
    username: str = ""
    password: str = field(default="", repr=False)
    api_key: str = field(default="", repr=False)
    two_factor_token: str = field(default="", repr=False)
    overrides: dict[str, str] = field(default_factory=dict)
    sender: str = ""
    default_region: str = ""
    lookup_by_reference: bool = False

    @property
    def cache_key(self) -> tuple[str, ...]:
        """Identifies the login without holding the password."""
        secret = fingerprint(self.password)
        return ("messangi", self.base_url, self.overrides.get("login", ""), self.username, secret)

    @classmethod
    def read(cls, parts: ConnectionParts) -> MessangiConfig:
        """Read a connection: an extra ``api_key``, or login = user name and password; the rest as in
        ``docs/connections.md``.

        :raises ConfigurationError: naming the field to change.
        """
        api_key = re.sub(r"^bearer\s+", "", parts.text("api_key"), flags=re.IGNORECASE)
        username = password = ""
        if not api_key:
            if not parts.login and not parts.password:
                raise parts.error(
                    "neither an API key nor a user name is given", "extra 'api_key', or login (user name) and password"
                )
            username = parts.require(parts.login, "login (user name)")
            password = parts.require(parts.password, "password")
        return cls(
            connection=parts.id,
            base_url=parts.host_url() or HOST,
            username=username,
            password=password,
            api_key=_header_text(parts, api_key, "api_key"),
            two_factor_token=_header_text(parts, parts.text("two_factor_token"), "two_factor_token"),
            overrides=_overrides(parts),
            sender=parts.text("sender"),
            default_region=_region(parts),
            lookup_by_reference=parts.flag("lookup_by_reference", False),
        )


def _header_text(parts: ConnectionParts, secret: str, name: str) -> str:
    # A line break in a header would be an error of the HTTP library, which may quote it.
    if not (secret.isascii() and secret.isprintable()) or " " in secret:
        raise parts.error(f"extra {name!r} holds characters that no such key has", f"extra {name!r}")
    return secret


def _overrides(parts: ConnectionParts) -> dict[str, str]:
    given = check_overrides(parts.vendor, ENDPOINTS, parts.mapping("endpoints"))
    prefix = parts.text("subscribers_prefix").rstrip("/")
    if not prefix:
        return given
    if not _PREFIX.fullmatch(prefix):
        raise parts.error("extra 'subscribers_prefix' must be a path such as /name/v1", "extra 'subscribers_prefix'")
    return {name: prefix + endpoint.path for name, endpoint in BELOW_PREFIX.items()} | given


def _region(parts: ConnectionParts) -> str:
    region = parts.text("default_region").upper()
    if region and not _REGION.fullmatch(region):
        raise parts.error(
            "extra 'default_region' must be a country's two letters, such as BR", "extra 'default_region'"
        )
    return region
