"""The section ``[messaging]`` of Airflow's configuration: an installation's own defaults. Read when a task runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.core.numbers import count, seconds
from airflow_provider_messaging.transport.options import read_option

log = logging.getLogger(__name__)

SECTION = "messaging"
_OF_THE_TRANSPORT = ("connect_timeout", "read_timeout", "user_agent", "pool_size")
_OF_RETRIES: Mapping[str, Callable[[object], object]] = {"retry_attempts": count, "retry_budget": seconds}


def with_defaults(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return a connection's extra, completed with what the installation sets for all connections.

    :raises ConfigurationError: naming the setting that makes no sense.
    """
    readers = {name: _reader(name) for name in _OF_THE_TRANSPORT} | dict(_OF_RETRIES)
    settings = {name: setting(name, read) for name, read in readers.items() if extra.get(name) in (None, "")}
    return {**extra, **{name: value for name, value in settings.items() if value is not None}}


def limited(max_concurrency: int) -> int:
    """Return how many requests a task may have in flight that asks for `max_concurrency`.

    :raises ConfigurationError: if the setting makes no sense.
    """
    limit: int | None = setting("concurrency_limit", count)
    if limit is None or max_concurrency <= limit:
        return max_concurrency
    log.info("%d requests in flight instead of %d: [%s] concurrency_limit", limit, max_concurrency, SECTION)
    return limit


def setting(name: str, read: Callable[[object], Any]) -> Any:
    """Return a setting as `read` understands it, None where nobody set it.

    :param read: raises ValueError, saying what the value must be.
    :raises ConfigurationError: naming the setting that makes no sense.
    """
    from airflow.providers.common.compat.sdk import conf

    value = conf.get(SECTION, name, fallback=None)
    if value in (None, ""):
        return None
    try:
        return read(value)
    except ValueError as error:
        raise ConfigurationError(
            f"[{SECTION}] {name} {error}",
            setting=f"{name} in section [{SECTION}] of airflow.cfg, or AIRFLOW__{SECTION.upper()}__{name.upper()}",
        ) from None


def _reader(name: str) -> Callable[[object], object]:
    return lambda value: read_option(name, value)
