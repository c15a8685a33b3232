"""Our errors in Airflow's words."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_messaging.core.documentation import documentation
from airflow_provider_messaging.core.errors import MessagingError

log = logging.getLogger(__name__)


@contextmanager
def no_retry_where_useless(*, soft_fail: bool = False) -> Iterator[None]:
    """Turn an error that a retry can't mend into one that Airflow does not retry.

    A sensor with `soft_fail` keeps our error: Airflow would turn one of its own into a skip, and a wrong secret is no
    reason to skip.
    """
    try:
        yield
    except MessagingError as error:
        log.error("What %s means, what was sent, and what to do: %s", type(error).__name__, help_url(error))
        if error.retryable or soft_fail:
            raise
        raise AirflowFailException(str(error)) from error


def help_url(error: MessagingError) -> str:
    """Return where the catalogue of errors explains this one, or the nearest of its parents that it knows."""
    known = next(kind for kind in type(error).__mro__ if kind.__module__ == MessagingError.__module__)
    return documentation("errors", known.__name__.lower())
