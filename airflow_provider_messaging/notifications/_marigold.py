"""What notifier and e-mail backend need of Marigold: a hook in a hurry, and a sender."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import conf

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.notifications._common import Quick

if TYPE_CHECKING:
    from airflow_provider_messaging.hooks._base import Client

AIRFLOWS_OWN = "airflow@airflow"
"""What Airflow writes where ``[email] from_email`` is not set; no vendor sends from there."""


class QuickMarigoldHook(Quick, MarigoldHook):
    """A hook for callbacks."""


def sender_of(given: str | None, client: Client) -> str:
    """Return the sender: the given one, the connection's, or that of Airflow's configuration.

    :raises ConfigurationError: if there is none.
    """
    configured: str = conf.get("email", "from_email", fallback="") or ""
    for sender in (given, client.config.sender, configured):
        if sender and sender.strip() and sender != AIRFLOWS_OWN:
            return sender.strip()
    raise ConfigurationError(
        "there is no sender: name one as from_email, in the connection, or in Airflow's [email] from_email",
        vendor=client.api.vendor,
        connection=client.api.connection,
        setting="extra 'sender' of the connection",
    )
