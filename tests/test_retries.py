"""The retry policy does as the vendor asks, and lets no retry be wasted."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_messaging.core.errors import AuthenticationError, RateLimitedError, VendorError

pytestmark = pytest.mark.airflow33


@pytest.mark.parametrize(("asked", "delay"), [(90.0, 90), (7200.0, 3600)])
def test_the_vendors_wish_is_the_delay_up_to_a_limit(asked: float, delay: int) -> None:
    from airflow.sdk.definitions.retry_policy import RetryAction

    from airflow_provider_messaging.retries import VendorRetryPolicy

    decision = VendorRetryPolicy().evaluate(RateLimitedError("HTTP 429", retry_after=asked), 1, 3)
    assert decision.action is RetryAction.RETRY
    assert decision.retry_delay == timedelta(seconds=delay)


def test_what_a_retry_cannot_mend_fails_at_once() -> None:
    from airflow.sdk.definitions.retry_policy import RetryAction

    from airflow_provider_messaging.retries import VendorRetryPolicy

    assert VendorRetryPolicy().evaluate(AuthenticationError("HTTP 401"), 1, 3).action is RetryAction.FAIL


@pytest.mark.parametrize(
    "error", [RateLimitedError("HTTP 429"), VendorError("HTTP 502", retryable=True), RuntimeError("ours is none")]
)
def test_everything_else_follows_the_task(error: Exception) -> None:
    from airflow.sdk.definitions.retry_policy import RetryAction

    from airflow_provider_messaging.retries import VendorRetryPolicy

    assert VendorRetryPolicy().evaluate(error, 1, 3).action is RetryAction.DEFAULT


def test_an_error_of_ours_is_found_below_another() -> None:
    from airflow.sdk.definitions.retry_policy import RetryAction

    from airflow_provider_messaging.retries import VendorRetryPolicy

    outer = RuntimeError("wrapped")
    outer.__cause__ = RateLimitedError("HTTP 503", retry_after=5)
    assert VendorRetryPolicy().evaluate(outer, 1, 3).action is RetryAction.RETRY


def test_it_survives_serialisation() -> None:
    from airflow_provider_messaging.retries import VendorRetryPolicy

    assert VendorRetryPolicy.deserialize(VendorRetryPolicy(longest=5).serialize()).longest == 5
