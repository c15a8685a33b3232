"""The sandbox as a process: its command line, its start and its end."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_provider_messaging.sandbox.admin import _is_loopback
from airflow_provider_messaging.sandbox.process import Sandbox, SandboxError, running_sandbox
from airflow_provider_messaging.sandbox.registry import VENDORS

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "airflow_provider_messaging.sandbox"]
CONNECTION = {
    "conn_type": "marigold",
    "host": "http://127.0.0.1:1234/marigold",
    "login": "sandbox",
    "password": "sandbox-secret",
    "extra": {"account_id": "sandbox-account", "tracking_verified": True},
}


@pytest.fixture
def child() -> Iterator[subprocess.Popen[str]]:
    started = subprocess.Popen(
        [*COMMAND, "--port", "0"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    yield started
    started.kill()
    started.communicate()


def announced(child: subprocess.Popen[str]) -> list[str]:
    assert child.stdout is not None
    lines: list[str] = []
    while not lines or not lines[-1].startswith("#"):
        lines.append(child.stdout.readline().rstrip("\n"))
        assert lines[-1], child.stderr
    return lines


def gone(pid: int, seconds: float = 5) -> bool:
    """Whether the process ends in time; it must not be a child of this one."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_first_line_is_the_url_and_it_answers_at_once(child: subprocess.Popen[str]) -> None:
    name, _, url = announced(child)[0].partition("=")
    assert name == "SANDBOX_URL"
    health = httpx.get(f"{url}/_sandbox/health", trust_env=False).json()
    assert health == {"status": "ok", "vendors": sorted(vendor.name for vendor in VENDORS)}


def test_lines_are_fit_for_a_shell(child: subprocess.Popen[str]) -> None:
    lines = announced(child)
    shell = subprocess.run(
        ["/bin/sh", "-c", "\n".join(lines) + '\nprintf %s "$AIRFLOW_CONN_MARIGOLD_DEFAULT"'],
        capture_output=True,
        text=True,
        check=True,
    )
    url = lines[0].partition("=")[2]
    assert json.loads(shell.stdout) == {**CONNECTION, "host": f"{url}/marigold"}


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_it_quickly_with_requests_open(child: subprocess.Popen[str], stop: signal.Signals) -> None:
    url = announced(child)[0].partition("=")[2]
    faults = [{"operation": "token", "fault": "hang", "times": 1}, {"fault": "latency", "delay": 600}]
    httpx.post(f"{url}/_sandbox/faults", json=faults, trust_env=False)
    address = ("127.0.0.1", int(url.rpartition(":")[2]))
    open_requests = [socket.create_connection(address, timeout=5) for _ in range(3)]
    try:
        for connection in open_requests[:2]:
            connection.sendall(b"POST /marigold/oauth/token HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        time.sleep(0.3)
        start = time.monotonic()
        child.send_signal(stop)
        assert child.wait(5) == 0
        assert time.monotonic() - start < 2
    finally:
        for connection in open_requests:
            connection.close()
    assert child.stderr is not None
    assert child.stderr.read() == ""


def test_connections_only_starts_nothing() -> None:
    done = subprocess.run(
        [*COMMAND, "--connections-only", "--port", "1234"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    url, connection, *others = done.stdout.splitlines()
    assert url == "SANDBOX_URL=http://127.0.0.1:1234"
    name, _, value = connection.partition("=")
    assert name == "AIRFLOW_CONN_MARIGOLD_DEFAULT"
    assert json.loads(shlex.split(value)[0]) == CONNECTION
    assert all("http://127.0.0.1:1234/" in line for line in others)


def test_connections_only_needs_a_port() -> None:
    done = subprocess.run([*COMMAND, "--connections-only", "--port", "0"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2


def test_quiet_prints_the_url_only() -> None:
    with subprocess.Popen([*COMMAND, "--port", "0", "--quiet"], cwd=ROOT, stdout=subprocess.PIPE, text=True) as quiet:
        try:
            assert [line.partition("=")[0] for line in announced(quiet)] == ["SANDBOX_URL", "# ready"]
        finally:
            quiet.terminate()


def test_sandbox_of_a_test_has_what_it_needs() -> None:
    with running_sandbox() as sandbox:
        assert sandbox.health()["status"] == "ok"
        assert sandbox.pid != os.getpid()
        connection = json.loads(sandbox.connections["AIRFLOW_CONN_MARIGOLD_DEFAULT"])
        assert connection == {**CONNECTION, "host": f"{sandbox.url}/marigold"}
    assert gone(sandbox.pid)


def test_two_sandboxes_know_nothing_of_each_other(sandbox: Any, marigold: Any, email: Any) -> None:
    with running_sandbox() as other:
        marigold.send_email(email())
        assert (sandbox.counts()["total"], other.counts()["total"]) == (1, 0)


def test_port_in_use_is_an_error_that_says_so(sandbox: Sandbox) -> None:
    port = int(sandbox.url.rpartition(":")[2])
    with pytest.raises(SandboxError, match=r"did not start: (?s:.*)in use"), running_sandbox(port):
        pass


def test_sandbox_ends_with_the_process_that_started_it() -> None:
    script = (
        "import os\nfrom airflow_provider_messaging.sandbox.process import running_sandbox\n"
        "with running_sandbox() as sandbox:\n    print(sandbox.pid, flush=True)\n    os._exit(1)\n"
    )
    parent = subprocess.run([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=30)
    assert gone(int(parent.stdout))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("192.0.2.1", False),
        ("10.0.0.1", False),
        ("::ffff:192.0.2.1", False),
        ("2001:db8::1", False),
        ("localhost", False),
    ],
)
def test_loopback_addresses_only(host: str, expected: bool) -> None:
    assert _is_loopback(host) is expected
