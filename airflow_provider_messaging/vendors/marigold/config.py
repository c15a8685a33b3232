"""What a `marigold` connection says, checked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from airflow_provider_messaging.core.connection import ConnectionParts
from airflow_provider_messaging.core.endpoint import check_overrides
from airflow_provider_messaging.core.redact import fingerprint
from airflow_provider_messaging.vendors.marigold.endpoints import ENDPOINTS, TOKEN

_CUSTOMER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
DEFAULT_AUDIENCE = "https://sdc.slgnt.eu"
REGIONS = ("eu", "us")


@dataclass(frozen=True, slots=True, kw_only=True)
class MarigoldConfig:
    """URLs and credentials of one account."""

    connection: str
    base_url: str
    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    account_id: str
    audience: str
    overrides: dict[str, str]
    tracking_verified: bool = False
    sender: str = ""
    """From whom alerts come that name no sender."""

    @property
    def cache_key(self) -> tuple[str, ...]:
        """Identifies the credentials without holding the secret."""
        secret = fingerprint(self.client_secret)
        return ("marigold", self.token_url, self.client_id, secret, self.account_id, self.audience)

    @classmethod
    def read(cls, parts: ConnectionParts) -> MarigoldConfig:
        """Read a connection: login = client id, password = client secret, extras as in ``docs/connections.md``.

        A host replaces ``https://{customer}.sdc.slgnt.eu``; the API is then below ``{host}/api`` and the token at
        ``{host}/oauth/token``.

        :raises ConfigurationError: naming the field to change.
        """
        client_id = parts.require(parts.login, "login (client id)")
        client_secret = parts.require(parts.password, "password (client secret)")
        account_id = parts.require(parts.text("account_id"), "extra 'account_id'")
        region = parts.choice("region", REGIONS, "eu")
        overrides = check_overrides(parts.vendor, ENDPOINTS, parts.mapping("endpoints"))
        root = parts.host_url()
        if root is not None:
            root = root.removesuffix("/api")
            token_url = root + overrides.get(TOKEN.name, TOKEN.path)
        else:
            customer = parts.text("customer")
            if not customer:
                raise parts.error(
                    "neither a customer nor a host is given: the base URL is https://{customer}.sdc.slgnt.eu",
                    "extra 'customer' (or the host)",
                )
            if not _CUSTOMER.fullmatch(customer):
                raise parts.error(f"{customer!r} is not the first part of a host name", "extra 'customer'")
            root = f"https://{customer}.sdc.slgnt.{region}"
            token_url = f"https://auth.slgnt.{region}" + overrides.get(TOKEN.name, TOKEN.path)
        token_url = parts.base_url(parts.text("token_url", token_url), "extra 'token_url'")
        return cls(
            connection=parts.id,
            base_url=f"{root}/api",
            token_url=token_url,
            client_id=client_id,
            client_secret=client_secret,
            account_id=account_id,
            audience=parts.text("audience", DEFAULT_AUDIENCE),
            overrides=overrides,
            tracking_verified=parts.flag("tracking_verified", False),
            sender=parts.text("sender"),
        )
