"""A retry policy for tasks of this provider (Airflow 3.3)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy

from airflow_provider_messaging.core.errors import MessagingError, RateLimitedError


class VendorRetryPolicy(RetryPolicy):
    """Waits between two tries as long as the vendor asked for, and does not retry what a retry can't mend.

    ``SendEmailBatchOperator(..., retries=5, retry_policy=VendorRetryPolicy())``. Errors of other origin follow the
    task's own settings.

    :param longest: seconds that a vendor's wish is obeyed at most.
    """

    def __init__(self, longest: float = 3600.0) -> None:
        self.longest = longest

    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: Any = None) -> RetryDecision:
        error = next((cause for cause in _causes(exception) if isinstance(cause, MessagingError)), None)
        if error is None:
            return RetryDecision.default()
        if not error.retryable:
            return RetryDecision.fail(f"{type(error).__name__}: a retry can't mend it")
        if isinstance(error, RateLimitedError) and error.retry_after is not None:
            delay = min(error.retry_after, self.longest)
            return RetryDecision.retry(timedelta(seconds=delay), f"the vendor asked to wait {delay:.0f} s")
        return RetryDecision.default()

    def serialize(self) -> dict[str, Any]:
        return {"longest": self.longest}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> VendorRetryPolicy:
        return cls(**data)


def _causes(exception: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = exception
    while current is not None:
        yield current
        current = current.__cause__
