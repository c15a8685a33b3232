"""A sandbox in a process of its own, for tests, demonstrations and benchmarks."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlencode

_ROOT = Path(__file__).resolve().parents[2]


class SandboxError(Exception):
    """The sandbox did not start, or refused an admin request."""


class Sandbox:
    """A running sandbox: its ``url`` and ``pid``, the Airflow ``connections`` to it, and its admin routes."""

    def __init__(self, url: str, pid: int, connections: Mapping[str, str]) -> None:
        self.url = url
        self.pid = pid
        self.connections = dict(connections)

    def vendor_url(self, vendor: str) -> str:
        return f"{self.url}/{vendor}"

    def reset(self, vendor: str | None = None) -> None:
        """Forget everything of one vendor, or of all: deliveries, log, tokens, faults, seeds, settings."""
        self._call("POST", "reset", {} if vendor is None else {"vendor": vendor})

    def faults(self, faults: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Add faults; the answer lists all that are in force with how often each fired."""
        return self._value("POST", "faults", list(faults))

    def fault_report(self) -> list[dict[str, Any]]:
        return self._value("GET", "faults")

    def clear_faults(self, vendor: str | None = None) -> None:
        self._call("DELETE", "faults", query={"vendor": vendor})

    def deliveries(
        self,
        *,
        vendor: str | None = None,
        reference: str | None = None,
        limit: int = 100_000,
        offset: int = 0,
    ) -> list[dict[str, Any]]:
        """What was accepted, oldest first; one row for each time it was accepted."""
        query = {"vendor": vendor, "reference": reference, "limit": limit, "offset": offset}
        return self._value("GET", "deliveries", query=query)

    def counts(self, vendor: str | None = None) -> dict[str, int]:
        """``total``, ``distinct`` and ``duplicates`` of the deliveries."""
        counts: dict[str, int] = self._call("GET", "deliveries", query={"vendor": vendor, "summary": "counts"})
        return counts

    def iter_deliveries(self, vendor: str | None = None) -> Iterator[dict[str, Any]]:
        """All deliveries as a stream."""
        with self._open("GET", "deliveries", None, {"vendor": vendor, "format": "ndjson"}) as lines:
            for line in lines:
                yield json.loads(line)

    def state(self, kind: str, *, vendor: str) -> list[dict[str, Any]]:
        """What a vendor keeps beside deliveries, a blacklist for instance, in the order it came."""
        return self._value("GET", "state", query={"vendor": vendor, "kind": kind})

    def requests(
        self,
        *,
        vendor: str | None = None,
        operation: str | None = None,
        since: float | None = None,
        after: int | None = None,
        limit: int = 200_000,
    ) -> list[dict[str, Any]]:
        """The request log, oldest first: from ``since`` (epoch seconds), behind request number ``after``."""
        query = {"vendor": vendor, "operation": operation, "since": since, "after": after, "limit": limit}
        return self._value("GET", "requests", query=query)

    def request_counts(self) -> list[dict[str, Any]]:
        """Counts by vendor, operation and status, of all requests since the reset."""
        return self._value("GET", "requests", query={"summary": "counts"})

    def seed(
        self,
        kind: str,
        rows: int,
        start: str,
        end: str,
        *,
        seed: int = 1,
        vendor: str = "marigold",
        **more: Any,
    ) -> dict[str, Any]:
        """Add generated feedback rows, their timestamps rising evenly from ``start`` to ``end``."""
        order = {
            "vendor": vendor,
            "kind": kind,
            "rows": rows,
            "start": start,
            "end": end,
            "seed": seed,
            **more,
        }
        seeded: dict[str, Any] = self._call("POST", "seed", order)
        return seeded

    def seed_archive(
        self, profile: str, messages: Sequence[Mapping[str, Any]], *, vendor: str = "marigold", **more: Any
    ) -> None:
        """Add archived messages of a profile: ``message_id``, ``timestamp``, ``attachments`` and more of each."""
        order = {"vendor": vendor, "kind": "archive", "profile": profile, "messages": list(messages), **more}
        self._call("POST", "seed", order)

    def seed_listing(self, kind: str, count: int, *, vendor: str, **more: Any) -> dict[str, Any]:
        """Add ``count`` generated rows to a listing; the answer names the first and the last of them."""
        order = {"vendor": vendor, "kind": kind, "count": count, **more}
        seeded: dict[str, Any] = self._call("POST", "seed", order)
        return seeded

    def subscribe(self, url: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> dict[str, Any]:
        """Have Marigold's events posted to a URL on this machine, each with these headers, from now on."""
        order = {"vendor": "marigold", "kind": "subscription", "url": url, "headers": dict(headers or {}), **more}
        subscription: dict[str, Any] = self._call("POST", "seed", order)
        return subscription

    def settings(self, vendor: str = "marigold", **changes: Any) -> dict[str, Any]:
        """Change settings; without changes, read them."""
        if changes:
            changed: dict[str, Any] = self._call("POST", "settings", {"vendor": vendor, **changes})
            return changed
        read: dict[str, Any] = self._call("GET", "settings", query={"vendor": vendor})[vendor]
        return read

    def health(self) -> dict[str, Any]:
        health: dict[str, Any] = self._call("GET", "health")
        return health

    def _value(
        self, method: str, route: str, document: Any = None, query: Mapping[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        value: list[dict[str, Any]] = self._call(method, route, document, query)["value"]
        return value

    def _call(self, method: str, route: str, document: Any = None, query: Mapping[str, Any] | None = None) -> Any:
        with self._open(method, route, document, query or {}) as answer:
            return json.load(answer)

    def _open(self, method: str, route: str, document: Any, query: Mapping[str, Any]) -> IO[bytes]:
        given = urlencode({name: value for name, value in query.items() if value is not None})
        url = f"{self.url}/_sandbox/{route}" + (f"?{given}" if given else "")
        body = None if document is None else json.dumps(document).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(url, data=body, headers=headers, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            answer: IO[bytes] = opener.open(request, timeout=60)
        except urllib.error.HTTPError as error:
            with error:
                raise SandboxError(f"{method} {route}: {error.read().decode()}") from None
        return answer


@contextmanager
def running_sandbox(port: int = 0, *, log_level: str = "warning", start_timeout: float = 30) -> Iterator[Sandbox]:
    """Start a sandbox as a child process and stop it at the end; it stops as well when this process dies.

    :param port: 0 takes a free one.
    :param start_timeout: seconds until a child that does not listen is given up.
    :raises SandboxError: it did not start; the message holds what it wrote to standard error.
    """
    command = [sys.executable, "-m", "airflow_provider_messaging.sandbox"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--log-level", log_level, "--stop-on-eof"]
    path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
        try:
            lines = _announced(child, start_timeout)
            if lines is None:
                _stop(child)
                errors.seek(0)
                raise SandboxError(f"the sandbox did not start: {errors.read().decode(errors='replace')}")
            yield Sandbox(lines.pop("SANDBOX_URL"), child.pid, lines)
        finally:
            _stop(child)


def _announced(child: subprocess.Popen[bytes], timeout: float) -> dict[str, str] | None:
    """The lines that the child prints when it listens, by name; None if it ends or takes too long."""
    assert child.stdout is not None
    overdue = threading.Timer(timeout, child.kill)
    overdue.start()
    announced: dict[str, str] = {}
    try:
        for line in child.stdout:
            text = line.decode().strip()
            if text.startswith("#"):
                return announced
            name, _, value = text.partition("=")
            announced[name] = shlex.split(value)[0]
    finally:
        overdue.cancel()
    return None


def _stop(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(5)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    for stream in (child.stdin, child.stdout):
        if stream is not None:
            stream.close()
