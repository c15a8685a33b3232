"""What a campaign send is watched for, and the look that tells how far it is.

The words for its states are not published: which of them are final is an argument.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.core.flow import Api, Flow
from airflow_provider_messaging.core.watch import UNKNOWN, Goal
from airflow_provider_messaging.vendors.engageone.campaigns import send_status
from airflow_provider_messaging.vendors.engageone.endpoints import VENDOR

SUCCESS_STATES = ("COMPLETED", "COMPLETE", "DONE", "FINISHED", "SENT", "SUCCEEDED", "SUCCESS")
FAILURE_STATES = ("FAILED", "FAILURE", "ABORTED", "CANCELED", "CANCELLED", "ERROR", "REJECTED")
_WORDS = re.compile(r"[\w .-]{1,64}")


def send_goal(success_states: Iterable[str], failure_states: Iterable[str]) -> Goal:
    """:raises ConfigurationError: if no state is a success, or one is both."""
    reached, lost = frozenset(map(_plain, success_states)), frozenset(map(_plain, failure_states))
    if not reached:
        raise ConfigurationError("no state is a success", vendor=VENDOR, setting="success_states")
    if reached & lost:
        raise ConfigurationError(
            f"{', '.join(sorted(reached & lost))} can't be both a success and a failure",
            vendor=VENDOR,
            setting="success_states or failure_states",
        )
    return Goal(reached=reached, lost=lost)


def send_state(api: Api, send_id: str) -> Flow[str]:
    """Return the state of a send in capitals; ``unknown`` where the answer names none."""
    document = yield from send_status(api, send_id)
    state = _plain(document.get("status") or "")
    # A state is shown in logs and events: what is no word for one has no place there.
    return state if _WORDS.fullmatch(state) else UNKNOWN


def _plain(state: object) -> str:
    return str(state).strip().upper()
