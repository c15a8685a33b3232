"""What the section ``[messaging]`` of Airflow's configuration says about the receiver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.core.numbers import count, seconds
from airflow_provider_messaging.hooks._settings import SECTION, setting

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
        if self.retention_days < 2:
            raise _error("retention_days", "must be at least 2: the vendor repeats an event for a day")


def is_enabled() -> bool:
    """Tell whether the API server is to receive webhooks.

    :raises ConfigurationError: if the option is no boolean.
    """
    return bool(setting(f"{PREFIX}enabled", _flag))


def read_settings() -> Settings:
    """Return the settings of Airflow's configuration, its secrets masked in logs from now on.

    :raises ConfigurationError: naming the option that is missing or wrong, never a secret.
    """
    secrets = tuple(secret for name in ("secret", "secret_previous") if (secret := setting(PREFIX + name, _text)))
    _mask(*secrets)
    given = {name: value for name, read in _READERS.items() if (value := setting(PREFIX + name, read)) is not None}
    return Settings(path=setting(f"{PREFIX}path", _text) or "", inbox=_inbox(), secrets=secrets, **given)


def _inbox() -> str:
    """Return the URL of the inbox, that of the option or of the Airflow connection it names."""
    if url := setting(f"{PREFIX}inbox", _text):
        return str(url)
    conn_id = setting(f"{PREFIX}inbox_conn_id", _text)
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


def _text(value: object) -> str:
    return str(value).strip()


def _flag(value: object) -> bool:
    text = str(value).strip().lower()
    if text not in _FLAGS:
        raise ValueError("must be True or False")
    return _FLAGS[text]


def _days(value: object) -> float:
    try:
        return seconds(value)
    except ValueError:
        raise ValueError(f"must be a number of days above 0, not {value!r}") from None


def _mask(*secrets: str) -> None:
    from airflow.sdk.log import mask_secret

    for secret in secrets:
        mask_secret(secret)


def _error(name: str, says: str) -> ConfigurationError:
    option = f"[{SECTION}] {PREFIX}{name}"
    return ConfigurationError(f"{option} {says}", setting=option)


_FLAGS = {"true": True, "t": True, "1": True, "yes": True, "false": False, "f": False, "0": False, "no": False}
_READERS: Mapping[str, Callable[[object], object]] = {
    "gzip": _flag,
    "seal_seconds": seconds,
    "seal_seconds_deliveries": seconds,
    "seal_events": count,
    "seal_bytes": count,
    "max_body_bytes": count,
    "max_requests": count,
    "read_timeout": seconds,
    "retention_days": _days,
}
