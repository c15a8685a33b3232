"""The watchers beside an Airflow that can't run them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from airflow.triggers.base import BaseEventTrigger

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.triggers.marigold import FeedbackEventTrigger, WebhookEventTrigger


def test_it_can_be_imported_without_what_airflow_33_brings() -> None:
    hide = "import sys; sys.modules['airflow.triggers.shared_stream'] = None"
    code = f"{hide}; from airflow_provider_messaging.triggers.marigold import FeedbackEventTrigger, WebhookEventTrigger"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("make", [FeedbackEventTrigger, lambda: WebhookEventTrigger(path="/webhooks")])
def test_an_older_airflow_is_told_when_the_dag_is_read(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], object]
) -> None:
    monkeypatch.delattr(BaseEventTrigger, "create_shared_stream_producer", raising=False)
    with pytest.raises(ConfigurationError, match=r"needs Airflow 3\.3"):
        make()
