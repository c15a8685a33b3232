"""Connections outside of a task: from Airflow, or as whoever calls gives them."""

from __future__ import annotations

import os
import sys
from typing import Any

from airflow_provider_messaging.core.errors import ConfigurationError

GIVEN_ID = "messaging_given"
"""The id of a connection that was given as a URI or as JSON."""
_STAND_INS = {
    "marigold": '{"conn_type": "marigold", "login": "nobody", "password": "no-password", '
    '"extra": {"account_id": "none", "customer": "none"}}',
    "engageone": '{"conn_type": "engageone", "login": "nobody", "password": "no-password", '
    '"extra": {"customer_id": "none", "public_url": "https://none.invalid"}}',
    "messangi": '{"conn_type": "messangi", "login": "nobody", "password": "no-password", '
    '"extra": {"subscribers_prefix": "/none"}}',
    "pressnxpress": '{"conn_type": "pressnxpress", "password": "no-password", '
    '"extra": {"touchpoint_token": "no-touchpoint"}}',
}


def hook_of(given: str) -> Any:
    """Return the hook of a connection.

    :param given: the id of one that Airflow knows, or a URI, or JSON, or ``-`` for either on standard input.
    :raises ConfigurationError: if there is no such connection, or none of ours.
    """
    connection = _find(given)
    hooks = _hook_classes()
    if connection.conn_type not in hooks:
        raise ConfigurationError(
            f"connection {connection.conn_id!r} has the type {connection.conn_type!r}; ours are {', '.join(hooks)}",
            setting="the connection's type (conn_type)",
        )
    # Hooks find it there, whatever Airflow runs this.
    os.environ[f"AIRFLOW_CONN_{connection.conn_id.upper()}"] = connection.as_json()
    module, _, name = hooks[connection.conn_type].rpartition(".")
    from importlib import import_module

    hook = getattr(import_module(module), name)
    return hook(**{hook.conn_name_attr: connection.conn_id})


def stand_in(vendor: str) -> str:
    """Make a connection that reaches nobody, for rules that need none, and return its id."""
    conn_id = f"messaging_stand_in_{vendor}"
    os.environ[f"AIRFLOW_CONN_{conn_id.upper()}"] = _STAND_INS[vendor]
    return conn_id


def _hook_classes() -> dict[str, str]:
    from airflow_provider_messaging.provider_info import get_provider_info

    return {each["connection-type"]: each["hook-class-name"] for each in get_provider_info()["connection-types"]}


def _find(given: str) -> Any:
    text = sys.stdin.read().strip() if given == "-" else given.strip()
    if text.startswith("{") or "://" in text:
        return _parse(text)
    if given == "-":
        raise ConfigurationError("standard input has neither a URI nor JSON", setting="the connection")
    # As Airflow's own commands do it: else newer releases do not look into the metadata database.
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    from airflow.exceptions import AirflowNotFoundException
    from airflow.models.connection import Connection

    try:
        return Connection.get_connection_from_secrets(text)
    except AirflowNotFoundException:
        raise ConfigurationError(
            f"there is no connection {text!r}, neither in the environment (AIRFLOW_CONN_{text.upper()}) nor in a "
            "secrets backend nor in the metadata database",
            setting="the connection id; a URI or JSON can be given instead, `-` reads it from standard input",
        ) from None


def _parse(text: str) -> Any:
    from airflow.exceptions import AirflowException
    from airflow.models.connection import Connection

    try:
        if text.startswith("{"):
            return Connection.from_json(text, conn_id=GIVEN_ID)
        return Connection(conn_id=GIVEN_ID, uri=text)
    except (ValueError, TypeError, AirflowException):
        # The error may quote what it could not read, secrets included.
        raise ConfigurationError(
            "what was given is neither a connection's URI nor its JSON", setting="the connection"
        ) from None
