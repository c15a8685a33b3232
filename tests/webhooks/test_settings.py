"""The receiver's options."""

from __future__ import annotations

from dataclasses import MISSING, fields

import pytest
from airflow.sdk.log import redact

from airflow_provider_messaging.provider_info import get_provider_info
from airflow_provider_messaging.webhooks.settings import PREFIX, Settings, read_settings

OPTIONS = get_provider_info()["config"]["messaging"]["options"]
SECRET = "a-secret-of-the-tests"


@pytest.fixture(autouse=True)
def required(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"path": "s3://lake", "inbox": "postgresql://u:pw@db/inbox", "secret": SECRET}.items():
        monkeypatch.setenv(f"AIRFLOW__MESSAGING__WEBHOOKS_{name.upper()}", value)


def test_the_documented_defaults_are_those_of_the_code() -> None:
    for each in fields(Settings):
        if each.default is not MISSING:
            assert OPTIONS[PREFIX + each.name]["default"] == str(each.default)


def test_without_more_settings_the_code_decides() -> None:
    assert read_settings() == Settings(path="s3://lake", inbox="postgresql://u:pw@db/inbox", secrets=(SECRET,))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("gzip", "True", True),
        ("seal_seconds", "0.5", 0.5),
        ("seal_seconds_deliveries", "600", 600.0),
        ("seal_events", "5", 5),
        ("seal_bytes", "1000", 1000),
        ("max_body_bytes", "1000", 1000),
        ("max_requests", "3", 3),
        ("read_timeout", "2", 2.0),
        ("retention_days", "30", 30.0),
    ],
)
def test_a_setting_is_taken(monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: object) -> None:
    monkeypatch.setenv(f"AIRFLOW__MESSAGING__WEBHOOKS_{name.upper()}", value)
    assert getattr(read_settings(), name) == expected


def test_two_secrets_are_valid_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__MESSAGING__WEBHOOKS_SECRET_PREVIOUS", "the-secret-before-that")
    assert read_settings().secrets == (SECRET, "the-secret-before-that")


def test_secrets_show_nowhere() -> None:
    settings = read_settings()
    assert SECRET not in repr(settings)
    assert "pw@db" not in repr(settings)
    assert SECRET not in str(redact(f"a line with {SECRET}"))
    assert redact({"webhooks_secret": "x", "webhooks_secret_previous": "y"}) == {
        "webhooks_secret": "***",
        "webhooks_secret_previous": "***",
    }
