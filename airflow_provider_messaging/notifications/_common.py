"""What the notifiers of all vendors share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.transport.options import TransportOptions

if TYPE_CHECKING:
    from airflow_provider_messaging.core.connection import ConnectionParts
    from airflow_provider_messaging.hooks._base import Client, MessagingHook

    _Hook = MessagingHook
else:
    _Hook = object

MOST_ATTEMPTS, LONGEST_PAUSES = 3, 20.0
CONNECT_TIMEOUT, READ_TIMEOUT = 5.0, 15.0
_SEPARATORS = re.compile(r"[,;]")


class Quick(_Hook):
    """Mixed into a hook: whoever runs a callback waits, and the DAG processor gives it less than a minute.

    A connection that asks for less keeps that.
    """

    def build_client(self, parts: ConnectionParts) -> Client:
        retry, options = parts.retry(), TransportOptions.from_extra(parts.vendor, parts.extra)
        quick = {
            "retry_attempts": min(retry.max_attempts, MOST_ATTEMPTS),
            "retry_budget": min(retry.budget, LONGEST_PAUSES),
            "connect_timeout": min(options.connect_timeout, CONNECT_TIMEOUT),
            "read_timeout": min(options.read_timeout, READ_TIMEOUT),
        }
        return super().build_client(replace(parts, extra={**parts.extra, **quick}))  # type: ignore[safe-super]


def recipients(to: str | Sequence[str] | None, *, vendor: str, required: bool = True) -> list[str]:
    """Return the recipients of a list, or of a text with commas or semicolons between them, each once.

    :raises ConfigurationError: if there are none and there must be.
    """
    given = _SEPARATORS.split(to) if isinstance(to, str) else list(to or ())
    found = list(dict.fromkeys(text for each in given if (text := str(each).strip())))
    if required and not found:
        raise ConfigurationError("there is nobody to send to", vendor=vendor, setting="to")
    return found
