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


def error_event(error: Exception) -> dict[str, Any]:
    """Return the event of an error. The vendor's own words stay out of it, and so do those of a foreign error."""
    known = error if isinstance(error, MessagingError) else MessagingError("")
    return {
        "status": "error",
        "code": type(error).__name__,
        "message": _message(error),
        "http_status": getattr(error, "status", None),
        # What is not ours may well be a passing failure of Airflow: the task's own settings decide.
        "retryable": known.retryable if error is known else True,
        "retry_after": getattr(error, "retry_after", None),
        "vendor": known.vendor,
        "operation": known.operation,
        "connection": known.connection,
        "setting": known.setting,
    }


def _message(error: Exception) -> str:
    if isinstance(error, ConfigurationError):
        return error.message
    if isinstance(error, AuthenticationError):
        return "the vendor refuses the credentials, or they lack the scope for this operation"
    if isinstance(error, MessagingError):
        status = getattr(error, "status", None)
        return f"HTTP {status}" if status else "no answer"
    return f"{type(error).__name__}, see the triggerer's log"


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
    if isinstance(error, VendorError):
        error.status = event.get("http_status")
    if isinstance(error, RateLimitedError):
        error.retry_after = event.get("retry_after")
    raise error
