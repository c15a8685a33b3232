"""What the sandbox keeps of the messages that it accepted, read through the vendor's archive."""

from __future__ import annotations

import email
from collections.abc import Callable
from email.policy import default
from typing import Any

from airflow_provider_messaging.sandbox.process import Sandbox
from tests.sandbox.conftest import Marigold

Archived = Callable[[], dict[str, Any]]


def archived_messages(sandbox: Sandbox, marigold: Marigold) -> dict[str, Any]:
    """Return every archived message, parsed, by its recipient, in the order of acceptance."""
    found: dict[str, Any] = {}
    for each in sandbox.deliveries():
        answer = marigold.get(f"/api/archive/v1/{each['profile']}/{each['reference']}/download")
        assert answer.status_code == 200, each
        found[each["recipient"]] = email.message_from_bytes(answer.content, policy=default)
    return found
