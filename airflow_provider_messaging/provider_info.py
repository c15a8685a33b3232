"""What Airflow reads about this package. Imports nothing: Airflow reads it in every process."""

from __future__ import annotations

from typing import Any

_NAMES = {
    "marigold": "Marigold Engage Delivery Cloud",
    "engageone": "EngageOne Communicate",
    "messangi": "Messangi Digital Engagement",
    "pressnxpress": "Press'nXPress",
}
SITES = {
    "marigold": "https://meetmarigold.com/",
    "engageone": "https://docs.api.communicate.engageone.co/",
    "messangi": "https://www.messangi.com/",
    "pressnxpress": "https://pressnxpress.com/",
}
# Paths below the checkout, in the form that Airflow's schema asks for.
_GUIDES = {
    "marigold": ("marigold", "messages", "templates", "delivery", "feedback", "bounce-etl", "event-driven", "archive"),
    "engageone": ("engageone", "suppression"),
    "messangi": ("messangi",),
    "pressnxpress": ("pressnxpress",),
}


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata."""
    return {
        "package-name": "airflow-provider-messaging",
        "name": "Messaging",
        "description": "Marigold, EngageOne, Messangi and Press'nXPress: messages that are never sent twice and never "
        "lost, and what comes back of them.",
        "hooks": _modules("hooks", *_NAMES),
        "operators": [
            *_modules("operators", *_NAMES),
            {
                "integration-name": _NAMES["engageone"],
                "python-modules": ["airflow_provider_messaging.operators.suppression"],
            },
            {
                "integration-name": _NAMES["marigold"],
                "python-modules": ["airflow_provider_messaging.operators.sharding"],
            },
        ],
        "sensors": _modules("sensors", "marigold", "engageone"),
        "triggers": _modules("triggers", "marigold", "engageone"),
        "transfers": [
            {
                "source-integration-name": _NAMES["marigold"],
                "target-integration-name": "Object storage and SQL",
                "how-to-guide": "/docs/feedback.md",
                "python-module": "airflow_provider_messaging.transfers.marigold",
            }
        ],
        "notifications": [
            "airflow_provider_messaging.notifications.marigold.MarigoldEmailNotifier",
            "airflow_provider_messaging.notifications.messangi.MessangiNotifier",
        ],
        "email-backends": ["airflow_provider_messaging.notifications.marigold.send_email"],
        "extra-links": [
            f"airflow_provider_messaging.links.{name}"
            for name in ("ManifestLink", "RejectsLink", "RunbookLink", "VendorLink")
        ],
        "integrations": [
            {
                "integration-name": name,
                "external-doc-url": SITES[vendor],
                "how-to-guide": [f"/docs/{page}.md" for page in _GUIDES[vendor]],
                "tags": ["service"],
            }
            for vendor, name in _NAMES.items()
        ],
        # Airflow 3.2 and newer: `airflow messaging …`.
        "cli": ["airflow_provider_messaging.cli.definition.get_messaging_cli_commands"],
        "config": {
            "messaging": {
                "description": "Defaults for all connections and tasks, and the receiver of webhooks.",
                "options": _CONFIG,
            }
        },
        "connection-types": [_MARIGOLD, _ENGAGEONE, _MESSANGI, _PRESSNXPRESS],
    }


def _modules(kind: str, *vendors: str) -> list[dict[str, Any]]:
    return [
        {"integration-name": _NAMES[vendor], "python-modules": [f"airflow_provider_messaging.{kind}.{vendor}"]}
        for vendor in vendors
    ]


def _text(label: str, description: str, *, kind: str = "string", **schema: Any) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": [kind, "null"], **schema}}


def _option(
    kind: str, example: str | None, default: str | None, description: str, *, sensitive: bool = False
) -> dict[str, Any]:
    option = {
        "description": description,
        "version_added": "0.1.0",
        "type": kind,
        "example": example,
        "default": default,
    }
    return {**option, "sensitive": True} if sensitive else option


# An empty value is that of the code; what a connection's extra says goes before it.
_CONFIG = {
    "connect_timeout": _option(
        "float", "5.0", "10.0", "Seconds until a connection stands. A connection's extra goes before it.\n"
    ),
    "read_timeout": _option(
        "float", "120.0", "60.0", "Seconds without a byte of the answer. A connection's extra goes before it.\n"
    ),
    "pool_size": _option(
        "integer", "32", "16", "Connections of one task to one host. A connection's extra goes before it.\n"
    ),
    "user_agent": _option(
        "string",
        "acme-airflow/1 (ops@acme.example)",
        None,
        "What requests say they come from. A connection's extra goes before it.\n"
        "Empty: airflow-provider-messaging/<version>.\n",
    ),
    "retry_attempts": _option(
        "integer",
        "3",
        "5",
        "How often one request is sent at most, where it may be sent again. A connection's extra goes before it.\n",
    ),
    "retry_budget": _option(
        "float",
        "900.0",
        "300.0",
        "Seconds that one call may spend waiting between its requests, the vendor's Retry-After included.\n"
        "A connection's extra goes before it.\n",
    ),
    "concurrency_limit": _option(
        "integer",
        "8",
        None,
        "The most requests that one task has in flight, whatever its max_concurrency asks for. Empty: no limit.\n",
    ),
    "webhooks_enabled": _option(
        "boolean", "True", "False", "Receive the vendors' webhooks in the API server, below /messaging/webhooks.\n"
    ),
    "webhooks_path": _option(
        "string", "s3://lake/webhooks", None, "Folder that received events are landed in, on any object storage.\n"
    ),
    "webhooks_inbox": _option(
        "string",
        "postgresql://receiver@db/inbox",
        None,
        "SQLAlchemy URL of the database that keeps events until they are landed.\n"
        "PostgreSQL, or SQLite where there is one machine only.\n",
        sensitive=True,
    ),
    "webhooks_inbox_conn_id": _option(
        "string", "webhook_inbox", None, "Airflow connection of that database, instead of webhooks_inbox.\n"
    ),
    "webhooks_secret": _option(
        "string",
        None,
        None,
        "What senders have to show in X-Webhook-Secret or as bearer in Authorization; 16 characters or more.\n",
        sensitive=True,
    ),
    "webhooks_secret_previous": _option(
        "string", None, None, "A second secret that is valid too, while the first is being rotated.\n", sensitive=True
    ),
    "webhooks_gzip": _option("boolean", "True", "False", "Pack segments.\n"),
    "webhooks_seal_seconds": _option("float", "15.0", "5.0", "Age at which received feedback is landed.\n"),
    "webhooks_seal_seconds_deliveries": _option(
        "float", "300.0", "60.0", "Age at which other events are landed: messages sent, and unknown types.\n"
    ),
    "webhooks_seal_events": _option("integer", "50000", "10000", "Events of one segment at most.\n"),
    "webhooks_seal_bytes": _option(
        "integer", "64000000", "16000000", "A segment that has so many bytes, before packing, gets no more events.\n"
    ),
    "webhooks_max_body_bytes": _option("integer", "4000000", "1000000", "A larger request is refused with 413.\n"),
    "webhooks_max_requests": _option(
        "integer", "64", "256", "Requests of one process at the same time; more are refused with 503.\n"
    ),
    "webhooks_read_timeout": _option("float", "30.0", "10.0", "Seconds that the body of a request may take.\n"),
    "webhooks_retention_days": _option(
        "float", "30.0", "7.0", "Days for which an event is recognised when it comes again; at least 2.\n"
    ),
}


def _required(label: str, description: str) -> dict[str, Any]:
    """A text that the form marks with a star."""
    return {"label": label, "description": description, "schema": {"type": "string"}}


_TRANSPORT_FIELDS = {
    "connect_timeout": _text(
        "Connect timeout", "Seconds until the vendor's host is reached. Default: 10.", kind="number"
    ),
    "read_timeout": _text("Read timeout", "Seconds to wait for more of an answer. Default: 60.", kind="number"),
    "proxy": _text("Proxy", "URL of an HTTP proxy. Default: that of the worker's environment (HTTPS_PROXY)."),
    "verify": _text(
        "Verify TLS",
        "true, or the path of a file of trusted certificates on the workers, or false to trust anybody. Default: true.",
    ),
    "client_cert": _text("Client certificate", "Only if the vendor or a gateway asks for one: path of a PEM file."),
    "client_key": _text("Client key", "Path of the certificate's key, if it is a file of its own."),
}


# Those send 0 for an empty port when they test a connection, and take it for another one then.
_PORT = "443 if your Airflow is 3.3.1 or 3.3.2: Test needs it there"


def _endpoints(example: str) -> dict[str, Any]:
    return {
        "endpoints": _text(
            "Endpoint paths",
            f"Only where a default path is wrong for your account. Name of the endpoint: its path, such as {example}",
            kind="object",
        )
    }


_MARIGOLD = {
    "connection-type": "marigold",
    "hook-class-name": "airflow_provider_messaging.hooks.marigold.MarigoldHook",
    "hook-name": _NAMES["marigold"],
    "ui-field-behaviour": {
        "hidden-fields": ["schema"],
        "relabeling": {
            "login": "Client ID",
            "password": "Client secret",
            "host": "Host override",
        },
        "placeholders": {
            "login": "required: the OAuth client ID",
            "password": "required: the OAuth client secret",
            "host": "leave empty; the Customer below decides",
            "port": _PORT,
        },
    },
    "conn-fields": {
        "account_id": _required("Account ID", "The Marigold Engage account (tenant) that the client belongs to."),
        "customer": _text(
            "Customer",
            "First part of your host name: contoso in contoso.sdc.slgnt.eu. Required without a host override.",
        ),
        "region": _text(
            "Region", "eu: …sdc.slgnt.eu, us: …sdc.slgnt.us. Default: eu.", enum=["eu", "us"], default="eu"
        ),
        "audience": _text("Audience", "Only if Marigold gave you another than https://sdc.slgnt.eu."),
        "token_url": _text(
            "Token URL", "Only if tokens come from elsewhere than https://auth.slgnt.eu (or .us).", format="url"
        ),
        "sender": _text("Sender", "From whom alerts come that name no sender: an address, or Name <address>."),
        "tracking_verified": _text(
            "Tracking path verified",
            "Leave off until somebody has tracked a message that exists: from then on a 404 means that the message was "
            "not taken, and it is sent again.",
            kind="boolean",
        ),
        **_TRANSPORT_FIELDS,
        **_endpoints('{"bounces": "/bounces/v1/bounces"}'),
    },
}

_ENGAGEONE = {
    "connection-type": "engageone",
    "hook-class-name": "airflow_provider_messaging.hooks.engageone.EngageOneHook",
    "hook-name": _NAMES["engageone"],
    "ui-field-behaviour": {
        "hidden-fields": ["schema"],
        "relabeling": {"login": "Client ID", "password": "Secret", "host": "Host override"},
        "placeholders": {
            "login": "required: the client ID of the client credentials",
            "password": "required: their secret, shown once when they are made",
            "host": "leave empty; a URL here replaces those of all services",
            "port": _PORT,
        },
    },
    "conn-fields": {
        "customer_id": _required(
            "Customer ID", "As the client credentials show it, upper and lower case included: often eocm-…"
        ),
        "region": _text(
            "Region",
            "Of your account: the private API is https://api.{region}.communicate.engageone.co.",
            default="us-east-1",
        ),
        "public_url": _text(
            "Public API URL",
            "Base URL of your region's Public API, needed to blacklist and verify addresses. Ask the vendor for it.",
            format="url",
        ),
        "users_url": _text(
            "Users API URL",
            "Only if tokens come from elsewhere than https://usersapi.communicate.engageone.co.",
            format="url",
        ),
        "services": _text(
            "Service URLs",
            'Only for other services. Name of the service: its base URL, such as {"nlu": "https://…"}',
            kind="object",
        ),
        "unblacklist_verified": _text(
            "Removal path verified",
            "Leave off until somebody has taken an address off the blacklist: from then on a 404 means that it was not "
            "listed.",
            kind="boolean",
        ),
        **_TRANSPORT_FIELDS,
        **_endpoints('{"blacklist": "/blacklist"}'),
    },
}

_MESSANGI = {
    "connection-type": "messangi",
    "hook-class-name": "airflow_provider_messaging.hooks.messangi.MessangiHook",
    "hook-name": _NAMES["messangi"],
    "ui-field-behaviour": {
        "hidden-fields": ["schema"],
        "relabeling": {"login": "User name", "host": "Host override"},
        "placeholders": {
            "login": "required, unless the API key below is filled in",
            "password": "required, unless the API key below is filled in",
            "host": "leave empty for https://elastic.messangi.me",
            "port": _PORT,
        },
    },
    "conn-fields": {
        "api_key": _text(
            "API key", "Fill in this, or user name and password. If both are there, the key is used.", format="password"
        ),
        "two_factor_token": _text(
            "2FA token",
            "Only if your user has two-factor authentication: sent when the vendor asks.",
            format="password",
        ),
        "sender": _text("Sender", "From whom SMS and chat messages are that name no sender of their own."),
        "default_region": _text(
            "Default region", "Country of phone numbers without a country code, as two letters: BR."
        ),
        "subscribers_prefix": _text(
            "Subscribers prefix",
            "Needed for lists and subscribers: the path before /lists, such as /name/v1. Ask the vendor for it.",
        ),
        "lookup_by_reference": _text(
            "Look-up verified",
            "Leave off until somebody has found an SMS by its external ID: from then on a lost answer is looked up.",
            kind="boolean",
        ),
        **_TRANSPORT_FIELDS,
        **_endpoints('{"get_message": "/raven/v2/messages/{message_id}"}'),
    },
}

_PRESSNXPRESS = {
    "connection-type": "pressnxpress",
    "hook-class-name": "airflow_provider_messaging.hooks.pressnxpress.PressnxpressHook",
    "hook-name": _NAMES["pressnxpress"],
    "ui-field-behaviour": {
        "hidden-fields": ["login", "schema"],
        "relabeling": {"password": "API key", "host": "API URL"},
        "placeholders": {
            "password": "required: the organization's API token",
            "host": "leave empty for https://api.pressnxpress.com/v2",
            "port": _PORT,
        },
    },
    "conn-fields": {
        "touchpoint_token": _text(
            "Touchpoint token",
            "Of the touchpoint that feedback is asked for where a task names none.",
            format="password",
        ),
        "touchpoint_tokens": _text(
            "More touchpoint tokens",
            'Only for several touchpoints. A name of yours: its token, such as {"after-delivery": "…"}',
            kind="object",
        ),
        "content_type": _text(
            "Content type",
            "How contacts are sent. Change it only if the vendor asks for form fields. Default: json.",
            enum=["json", "form"],
            default="json",
        ),
        **_TRANSPORT_FIELDS,
        **_endpoints('{"enqueue_sms": "/channel/sms/{touchpoint_token}/enqueue"}'),
    },
}
