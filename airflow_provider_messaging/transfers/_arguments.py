"""Arguments that landing and loading have in common."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.vendors.marigold.endpoints import FEEDBACK, VENDOR

KINDS = ("bounces", "complaints", "list_unsubscribes")


def checked_kinds(kinds: Sequence[str]) -> list[str]:
    """Return the kinds as a list.

    :raises ConfigurationError: if one does not exist, or there is none.
    """
    listed = [kinds] if isinstance(kinds, str) else list(kinds)
    unknown = [kind for kind in listed if kind not in FEEDBACK]
    if unknown or not listed:
        raise ConfigurationError(
            f"kinds must be some of {', '.join(KINDS)}, not {listed}", vendor=VENDOR, setting="kinds"
        )
    return listed


def check_positive(value: int, setting: str) -> None:
    """:raises ConfigurationError: if `value` is less than 1."""
    if value < 1:
        raise ConfigurationError(f"{setting} must be at least 1", vendor=VENDOR, setting=setting)
