"""``airflow-messaging webhooks serve``; the receiver itself is tested in tests/webhooks."""

from __future__ import annotations

from pathlib import Path

from tests.cli.commands import run


def test_a_setting_that_the_receiver_can_not_do_without_is_named(tmp_path: Path) -> None:
    env = {"AIRFLOW__MESSAGING__WEBHOOKS_ENABLED": "True", "AIRFLOW__MESSAGING__WEBHOOKS_SECRET": ""}
    done = run("webhooks", "serve", "--port", "0", env=env, code=2)
    assert "error: " in done.err
    assert "webhooks_" in done.err
