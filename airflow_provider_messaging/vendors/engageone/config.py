"""What an `engageone` connection says, checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_provider_messaging.core.connection import ConnectionParts
from airflow_provider_messaging.core.endpoint import check_overrides
from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.core.redact import fingerprint
from airflow_provider_messaging.vendors.engageone.endpoints import (
    API,
    ENDPOINTS,
    PRIVATE,
    PUBLIC,
    SERVICES,
    USERS,
    VENDOR,
)

_DOMAIN = "communicate.engageone.co"
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_HEADER_VALUE = re.compile(r"[!-~]+(?: [!-~]+)*")
DEFAULT_REGION = "us-east-1"
_OWN_SETTINGS = {USERS: "users_url", PUBLIC: "public_url"}


def eocm_customer_id(company_name: str) -> str:
    """Return the customer id that older accounts have: the company's name behind ``eocm-``, with hyphens for spaces.

    Ids are case sensitive. Newer accounts have ids of another form, so nothing adds this prefix by itself.

    :raises ValueError: if the name is empty.
    """
    name = company_name.strip()
    if not name:
        raise ValueError("company_name must not be empty")
    return "eocm-" + name.replace(" ", "-")


def service_name(service: str) -> str:
    """Return a service's name as `SERVICES` has it: ``document_channel`` and ``document-channel`` are the same.

    :raises ConfigurationError: if there is none of that name.
    """
    name = str(service).strip().lower().replace("_", "-")
    if name not in SERVICES:
        raise ConfigurationError(
            f"there is no service {service!r}; there are {', '.join(SERVICES)}", vendor=VENDOR, setting="service"
        )
    return name


@dataclass(frozen=True, slots=True, kw_only=True)
class EngageOneConfig:
    """URLs and credentials of one company account."""

    connection: str
    client_id: str
    secret: str = field(repr=False)
    customer_id: str
    urls: Mapping[str, str]
    """Base URLs by service; most services have none unless the connection gives it."""
    overrides: Mapping[str, str]
    has_host: bool = False
    """The URLs were made of the connection's host."""
    unblacklist_verified: bool = False
    """Somebody has seen that the path of removals is right: a 404 then means an address that is not on the list."""

    @property
    def cache_key(self) -> tuple[str, ...]:
        """Identifies the credentials without holding the secret."""
        return (VENDOR, self.url(USERS), self.client_id, fingerprint(self.secret), self.customer_id)

    def url(self, service: str) -> str:
        """Return the base URL of a service.

        :raises ConfigurationError: naming the setting, if the connection has to give it and does not.
        """
        name = service_name(service)
        if name not in self.urls:
            raise ConfigurationError(
                f"the base URL of the service {name!r} is not published",
                vendor=VENDOR,
                connection=self.connection,
                setting=self.url_setting(name),
            )
        return self.urls[name]

    def url_setting(self, service: str) -> str:
        """Return where the connection says what a service's base URL is."""
        return "host" if self.has_host else _setting(service_name(service))

    @classmethod
    def read(cls, parts: ConnectionParts) -> EngageOneConfig:
        """Read a connection: login = client id, password = secret, extras as in ``docs/engageone.md``.

        A host replaces the URLs of all services, which are then below it, each under its name.

        :raises ConfigurationError: naming the field to change.
        """
        client_id = parts.require(parts.login, "login (client id)")
        secret = parts.require(parts.password, "password (secret)")
        customer_id = parts.require(parts.text("customer_id"), "extra 'customer_id'")
        if not _HEADER_VALUE.fullmatch(customer_id):
            raise parts.error("a customer id has ASCII characters only", "extra 'customer_id'")
        region = parts.text("region", DEFAULT_REGION).lower()
        if not _LABEL.fullmatch(region):
            raise parts.error(f"{region!r} is not part of a host name", "extra 'region'")
        return cls(
            connection=parts.id,
            client_id=client_id,
            secret=secret,
            customer_id=customer_id,
            urls=_urls(parts, region),
            overrides=check_overrides(parts.vendor, ENDPOINTS, parts.mapping("endpoints")),
            has_host=bool((parts.host or "").strip()),
            unblacklist_verified=parts.flag("unblacklist_verified", False),
        )


def _urls(parts: ConnectionParts, region: str) -> dict[str, str]:
    given = _given_urls(parts)
    host = parts.host_url()
    if host is not None:
        return {name: f"{host}/{PRIVATE if name == API else name}" for name in SERVICES}
    api = f"https://api.{region}.{_DOMAIN}"
    return {USERS: f"https://usersapi.{_DOMAIN}", PRIVATE: api, API: api, **given}


def _given_urls(parts: ConnectionParts) -> dict[str, str]:
    """Read ``users_url``, ``public_url`` and the map ``services``, which may name each of the others."""
    urls = {
        name: parts.base_url(url, _setting(name))
        for name, setting in _OWN_SETTINGS.items()
        if (url := parts.text(setting))
    }
    for given, url in parts.mapping("services").items():
        try:
            name = service_name(given)
        except ConfigurationError as error:
            raise parts.error(error.message, "extra 'services'") from None
        if name in _OWN_SETTINGS:
            raise parts.error(f"the URL of {name!r} has a setting of its own", _setting(name))
        if not isinstance(url, str) or not url:
            raise parts.error("extra 'services' must be a JSON object of service → URL", "extra 'services'")
        urls[name] = parts.base_url(url, _setting(name))
    return urls


def _setting(service: str) -> str:
    own = _OWN_SETTINGS.get(service)
    return f"extra {own!r}" if own else f"extra 'services' → {service!r}"
