"""Reading the vendor's answers: success and failure look alike, only the status tells them apart."""

from __future__ import annotations

from airflow_provider_messaging.core.flow import Problem
from airflow_provider_messaging.core.http import Response

_LONGEST = 1_000
_SETTINGS = {
    401: "password (API key) of the connection",
    403: "password (API key) and extra 'touchpoint_token' of the connection",
    404: "extra 'touchpoint_token' of the connection (or its host: the vendor's pages name two)",
}


def read_message(response: Response) -> str:
    """Return the vendor's sentence, empty where the answer holds none."""
    document = response.json_or_none()
    message = document.get("message") if isinstance(document, dict) else None
    if not isinstance(message, str):
        return ""
    # Never cut: half a secret would not be recognised as one.
    return message if len(message) <= _LONGEST else f"a message of {len(message)} characters"


def read_problem(response: Response) -> Problem:
    """Read an answer that is no success."""
    return Problem(message=read_message(response), setting=_SETTINGS.get(response.status, ""))
