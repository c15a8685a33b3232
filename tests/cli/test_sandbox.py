"""``airflow-messaging sandbox`` starts the sandbox and says how to reach it."""

from __future__ import annotations

import json
import signal
import subprocess

import httpx

from tests.cli.commands import COMMAND, run


def test_the_sandbox_starts_says_its_connections_and_ends_on_an_interrupt() -> None:
    child = subprocess.Popen([COMMAND, "sandbox", "--port", "0", "--json"], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        started = json.loads(child.stdout.readline())
        assert httpx.get(f"{started['url']}/_sandbox/requests", trust_env=False).status_code == 200
        done = run("check", "marigold_default", env=started["connections"])
        assert done.out.startswith("ok  marigold_default (marigold): ")
    finally:
        child.send_signal(signal.SIGINT)
        rest, _ = child.communicate(timeout=60)
    assert rest == ""
    assert child.returncode == 0


def test_people_get_lines_for_a_shell() -> None:
    with subprocess.Popen(
        [COMMAND, "sandbox", "--port", "0", "--stop-on-eof"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        assert child.stdout.readline().startswith("SANDBOX_URL=http://127.0.0.1:")
        child.stdin.close()
        assert "AIRFLOW_CONN_MARIGOLD_DEFAULT=" in child.stdout.read()
    assert child.returncode == 0
