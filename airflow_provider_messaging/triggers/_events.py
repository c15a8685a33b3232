"""The events of our triggers: counts, ids and codes. Airflow writes them into its logs as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_messaging.core.errors import (
    AuthenticationError,
    ConfigurationError,
    MessagingError,
    RateLimitedError,
    VendorError,
)

_BY_CODE: dict[str, type[MessagingError]] = {
    error.__name__: error for error in (AuthenticationError, ConfigurationError, RateLimitedError, VendorError)
}


def error_event(error: MessagingError) -> dict[str, Any]:
    """Return the event of an error. The vendor's own words stay out of it."""
    status = getattr(error, "status", None)
    own_words = isinstance(error, ConfigurationError | AuthenticationError)
    return {
        "status": "error",
        "code": type(error).__name__,
        "message": error.message if own_words else (f"HTTP {status}" if status else "no answer"),
        "http_status": status,
        "retryable": error.retryable,
        "retry_after": getattr(error, "retry_after", None),
        "vendor": error.vendor,
        "operation": error.operation,
        "connection": error.connection,
        "setting": error.setting,
    }


def read_event(event: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the payload of a success.

    :raises MessagingError: the error that the trigger met.
    :raises ValueError: if the event is not one of ours.
    """
    if not isinstance(event, Mapping) or event.get("status") not in {"success", "error"}:
        raise ValueError("the trigger's event is not one of this provider's")
    if event["status"] == "success":
        return {key: value for key, value in event.items() if key != "status"}
    error = _BY_CODE.get(str(event.get("code")), MessagingError)(
        str(event.get("message") or "the trigger failed"),
        **{name: str(event.get(name) or "") for name in ("vendor", "operation", "connection", "setting")},
    )
    error.retryable = bool(event.get("retryable"))
    if isinstance(error, RateLimitedError):
        error.retry_after = event.get("retry_after")
    raise error
