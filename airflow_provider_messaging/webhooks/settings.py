"""What the section ``[messaging]`` of Airflow's configuration says about the receiver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from airflow_provider_messaging.core.errors import ConfigurationError

SECTION = "messaging"
PREFIX = "webhooks_"
SHORTEST_SECRET = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The receiver's settings. Each is the option of the same name, with ``webhooks_`` before it.

    :param path: the root folder of the segments, local or on any object storage that Airflow knows.
    :param inbox: SQLAlchemy URL of the inbox's database, PostgreSQL or SQLite.
    :param secrets: those that a sender may show, at least one.
    :param gzip: whether segments are packed.
    :param seal_seconds: the age at which received feedback is landed.
    :param seal_seconds_deliveries: the same of messages sent, and of unknown types.
    :param seal_events: a segment has at most that many.
    :param seal_bytes: a segment that has so many gets no more.
    :param max_body_bytes: a larger request is refused.
    :param max_requests: so many are worked on at the same time.
    :param read_timeout: seconds that the body of a request may take.
    :param retention_days: for so long an event is recognised when it comes again.
    """

    path: str
    inbox: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    gzip: bool = False
    seal_seconds: float = 5.0
    seal_seconds_deliveries: float = 60.0
    seal_events: int = 10_000
    seal_bytes: int = 16_000_000
    max_body_bytes: int = 1_000_000
    max_requests: int = 256
    read_timeout: float = 10.0
    retention_days: float = 7.0

    def __post_init__(self) -> None:
        if not self.path:
            raise _error("path", "is not set: the folder that segments are landed in")
        if not self.inbox:
            raise _error("inbox", "and webhooks_inbox_conn_id are not set: the database that keeps what was received")
        if not self.secrets:
            raise _error("secret", "is not set: whoever knows the URL could post events")
        if any(len(secret) < SHORTEST_SECRET for secret in self.secrets):
            raise _error("secret", f"and webhooks_secret_previous must have at least {SHORTEST_SECRET} characters")
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, int | float) and not isinstance(value, bool) and value <= 0:
                raise _error(each.name, f"is {value}; it must be more than 0")
        if self.retention_days < 2:
            raise _error("retention_days", "must be at least 2: the vendor repeats an event for a day")


def is_enabled() -> bool:
    """Tell whether the API server is to receive webhooks.

    :raises ValueError: if the option is no boolean.
    """
    from airflow.providers.common.compat.sdk import conf

    return bool(conf.getboolean(SECTION, f"{PREFIX}enabled", fallback=False))


def read_settings() -> Settings:
    """Return the settings of Airflow's configuration, its secrets masked in logs from now on.

    :raises ConfigurationError: naming the option that is missing or wrong, never a secret.
    """
    values: dict[str, Any] = {
        name: _number(name, kind)
        for name, kind in (
            ("seal_seconds", float),
            ("seal_seconds_deliveries", float),
            ("seal_events", int),
            ("seal_bytes", int),
            ("max_body_bytes", int),
            ("max_requests", int),
            ("read_timeout", float),
            ("retention_days", float),
        )
    }
    given = {name: value for name, value in values.items() if value is not None}
    secrets = tuple(secret for name in ("secret", "secret_previous") if (secret := _text(name)))
    _mask(*secrets)
    return Settings(path=_text("path"), inbox=_inbox(), secrets=secrets, gzip=_flag("gzip"), **given)


def _text(name: str) -> str:
    from airflow.providers.common.compat.sdk import conf

    return (conf.get(SECTION, PREFIX + name, fallback="") or "").strip()


def _number(name: str, kind: Callable[[str], Any]) -> Any:
    text = _text(name)
    if not text:
        return None
    try:
        return kind(text)
    except ValueError:
        raise _error(name, f"is {text!r}; it must be a number") from None


def _flag(name: str) -> bool:
    from airflow.providers.common.compat.sdk import conf

    try:
        return bool(conf.getboolean(SECTION, PREFIX + name, fallback=False))
    except Exception:
        raise _error(name, "must be True or False") from None


def _inbox() -> str:
    """Return the URL of the inbox, that of the option or of the Airflow connection it names."""
    if url := _text("inbox"):
        return url
    conn_id = _text("inbox_conn_id")
    if not conn_id:
        return ""
    from airflow.providers.common.compat.sdk import BaseHook

    try:
        connection = BaseHook.get_connection(conn_id)
    except Exception as error:
        raise _error("inbox_conn_id", f"names {conn_id!r}, which can't be read ({type(error).__name__})") from None
    if connection.conn_type == "sqlite":
        return f"sqlite:///{connection.host}"
    return str(connection.get_uri())


def _mask(*secrets: str) -> None:
    from airflow.sdk.log import mask_secret

    for secret in secrets:
        mask_secret(secret)


def _error(name: str, says: str) -> ConfigurationError:
    option = f"[{SECTION}] {PREFIX}{name}"
    return ConfigurationError(f"{option} {says}", setting=option)
