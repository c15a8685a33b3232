"""Our errors in Airflow's words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_messaging.core.errors import MessagingError


@contextmanager
def no_retry_where_useless(*, soft_fail: bool = False) -> Iterator[None]:
    """Turn an error that a retry can't mend into one that Airflow does not retry.

    A sensor with `soft_fail` keeps our error: Airflow would turn one of its own into a skip, and a wrong secret is no
    reason to skip.
    """
    try:
        yield
    except MessagingError as error:
        if error.retryable or soft_fail:
            raise
        raise AirflowFailException(str(error)) from error
