"""What Airflow reads about this package. Imports nothing: Airflow reads it in every process."""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata."""
    return {
        "package-name": "airflow-provider-messaging",
        "name": "Messaging",
        "description": "Marigold Engage Delivery Cloud: e-mail, never sent twice and never lost, and its feedback.",
        "hooks": [
            {
                "integration-name": "Marigold Engage Delivery Cloud",
                "python-modules": ["airflow_provider_messaging.hooks.marigold"],
            }
        ],
        "operators": [
            {
                "integration-name": "Marigold Engage Delivery Cloud",
                "python-modules": ["airflow_provider_messaging.operators.marigold"],
            }
        ],
        "sensors": [
            {
                "integration-name": "Marigold Engage Delivery Cloud",
                "python-modules": ["airflow_provider_messaging.sensors.marigold"],
            }
        ],
        "triggers": [
            {
                "integration-name": "Marigold Engage Delivery Cloud",
                "python-modules": ["airflow_provider_messaging.triggers.marigold"],
            }
        ],
        "transfers": [
            {
                "source-integration-name": "Marigold Engage Delivery Cloud",
                "target-integration-name": "Object storage and SQL",
                "python-module": "airflow_provider_messaging.transfers.marigold",
            }
        ],
        "integrations": [
            {
                "integration-name": "Marigold Engage Delivery Cloud",
                "external-doc-url": "https://meetmarigold.com/",
                "tags": ["service"],
            }
        ],
        "connection-types": [_MARIGOLD],
    }


def _text(label: str, description: str, *, kind: str = "string", **schema: Any) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": [kind, "null"], **schema}}


_TRANSPORT_FIELDS = {
    "connect_timeout": _text("Connect timeout", "Seconds until a connection stands. Default: 10.", kind="number"),
    "read_timeout": _text("Read timeout", "Seconds without a byte of the answer. Default: 60.", kind="number"),
    "proxy": _text("Proxy", "URL of an HTTP proxy. Default: the environment's."),
    "verify": _text("Verify TLS", "true, false, or the path of a file of trusted certificates. Default: true."),
    "client_cert": _text("Client certificate", "Path of a PEM file on the workers."),
    "client_key": _text("Client key", "Path of the certificate's key, where it is a file of its own."),
}

_MARIGOLD = {
    "connection-type": "marigold",
    "hook-class-name": "airflow_provider_messaging.hooks.marigold.MarigoldHook",
    "hook-name": "Marigold Engage Delivery Cloud",
    "ui-field-behaviour": {
        "hidden-fields": ["port", "schema"],
        "relabeling": {
            "login": "Client ID",
            "password": "Client secret",
            "host": "Host override",
        },
        "placeholders": {
            "login": "the OAuth client ID",
            "password": "the OAuth client secret",
            "host": "leave empty, or https://… instead of the customer's",
        },
    },
    "conn-fields": {
        "account_id": _text("Account ID", "The Marigold Engage account (tenant) that the client belongs to."),
        "customer": _text("Customer", "First part of your host name: contoso in contoso.sdc.slgnt.eu."),
        "region": _text("Region", "eu: slgnt.eu, us: slgnt.us. Default: eu.", enum=["eu", "us"], default="eu"),
        "audience": _text("Audience", "What the token is for. Default: https://sdc.slgnt.eu"),
        "token_url": _text(
            "Token URL",
            "Where tokens come from, if not from auth.slgnt.eu (us: auth.slgnt.us).",
            format="url",
        ),
        "endpoints": _text(
            "Endpoints",
            'Paths to use instead of ours, as JSON: {"bounces": "/bounces/v1/bounces"}.',
            format="json",
        ),
        "tracking_verified": _text(
            "Tracking verified",
            "Somebody has seen that the tracking path is right for this account: a 404 then means an unknown message.",
            kind="boolean",
        ),
        **_TRANSPORT_FIELDS,
    },
}
