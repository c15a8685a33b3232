"""Reading the vendor's errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_messaging.core.errors import FieldError
from airflow_provider_messaging.core.flow import Problem
from airflow_provider_messaging.core.http import Response
from airflow_provider_messaging.core.redact import Redactor
from airflow_provider_messaging.vendors.messangi.config import MessangiConfig
from airflow_provider_messaging.vendors.messangi.envelope import Envelope, read_envelope

_REFUSED_LOGIN = frozenset({400, 401, 403, 422})


def read_problem(config: MessangiConfig, response: Response) -> Problem:
    """Read an error, whatever there is of it, and say which setting of the connection it is about."""
    setting, credentials = "", False
    if response.status == 401:
        setting = "extra 'api_key' (keys may expire)" if config.api_key else "login (user name) and password"
    elif response.status == 402:
        credentials = True
        setting = "extra 'two_factor_token'" + (
            " (the vendor does not take this one)" if config.two_factor_token else " (the vendor asks for one)"
        )
    elif response.status == 403:
        setting = "the scopes of the API key" if config.api_key else "login, password, or the scopes of the user"
    return _problem(config, response, setting, credentials)


def read_login_problem(config: MessangiConfig, response: Response) -> Problem:
    """The same for a login: bad credentials are answered by 403."""
    if response.status in _REFUSED_LOGIN:
        return _problem(config, response, "login (user name) and password", True)
    return read_problem(config, response)


def _problem(config: MessangiConfig, response: Response, setting: str, credentials: bool) -> Problem:
    try:
        envelope = read_envelope(response)
    except ValueError:
        envelope = Envelope()
    # What the vendor writes may quote what it was sent.
    redact = Redactor([config.password, config.api_key, config.two_factor_token])
    errors = tuple((None, _field_error(detail, envelope.reason, redact)) for detail in envelope.errors.details)
    return Problem(
        message=redact(envelope.reason),
        code=errors[0][1].code if errors else "",
        trace_id=envelope.meta.transaction_id,
        errors=errors,
        setting=setting,
        credentials=credentials,
    )


def _field_error(detail: Mapping[str, Any], reason: str, redact: Redactor) -> FieldError:
    known = {name: redact(str(value)) for name, value in detail.items() if isinstance(value, str | int)}
    message = known.get("message") or known.get("description") or redact(reason)
    return FieldError(
        field=known.get("field", ""),
        code=known.get("code") or "VENDOR_REJECTED",
        message=message or ", ".join(f"{name}: {value}" for name, value in known.items()),
    )
