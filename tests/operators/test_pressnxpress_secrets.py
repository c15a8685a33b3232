"""Both of the vendor's secrets sit in the URL. Nothing shows them, whatever becomes of a request."""

from __future__ import annotations

import json
import logging
import socket
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_messaging.core.connection import ConnectionParts
from airflow_provider_messaging.core.retry import RetryPolicy
from airflow_provider_messaging.hooks._base import Client
from airflow_provider_messaging.hooks.pressnxpress import PressnxpressHook
from airflow_provider_messaging.operators.pressnxpress import EnqueueFeedbackOperator
from tests.contexts import StateStore, task_context
from tests.transport.servers import Answer, Babbler, Seen, Server, Stand, reply

KEY, TOKEN, NAMED = "k3yk3y/+ &%", "t0k3n=?é#", "n4m3d:t0k3n"
SECRETS = ("k3yk3y", "t0k3n")
"""What is left of them in every encoding of a URL."""
CONTACTS = [{"email": f"user{number}@example.com"} for number in range(3)]


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    servers: list[Server] = []
    yield Stand(servers)
    for server in servers:
        server.stop()


@pytest.fixture
def unmasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow hides nothing, and asyncio tells all it knows: what would be hidden by luck must be seen here."""
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    masker = "airflow.sdk._shared.secrets_masker.SecretsMasker.add_mask"
    monkeypatch.setattr(masker, lambda *args, **kwargs: None)


Connect = Callable[..., None]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    def make(host: str, **extra: Any) -> None:
        fields = {
            "conn_type": "pressnxpress",
            "host": host,
            "password": KEY,
            "extra": {"touchpoint_token": TOKEN, "touchpoint_tokens": {"named": NAMED}, "read_timeout": 0.4, **extra},
        }
        monkeypatch.setenv("AIRFLOW_CONN_FEEDBACK", json.dumps(fields))

    return make


class Everything:
    """All that was said: logs of every logger at DEBUG, standard output and error, exceptions, results, reprs."""

    def __init__(self, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
        self._caplog = caplog
        self._capfd = capfd
        self._texts: list[str] = []
        caplog.set_level(logging.DEBUG)
        for name in list(logging.root.manager.loggerDict):
            caplog.set_level(logging.DEBUG, logger=name)

    def add(self, *values: object) -> None:
        for value in values:
            self._texts += [str(value), repr(value)]

    def attempt(self, call: Callable[[], object]) -> bool:
        """Call, and keep the result or the error with its causes, its context and the values of its frames."""
        try:
            self.add(call())
        except Exception as error:
            chain: BaseException | None = error
            while chain is not None:
                self.add(chain, vars(chain), chain.args)
                chain = chain.__cause__ or chain.__context__
            shown = traceback.TracebackException.from_exception(error, capture_locals=True)
            # Frames of ours: this module's hold the secrets of the test.
            self._texts += [line for line in shown.format(chain=True) if "test_pressnxpress_secrets" not in line]
            return False
        return True

    def text(self) -> str:
        out, err = self._capfd.readouterr()
        logged = [f"{record.getMessage()} {record.__dict__}" for record in self._caplog.records]
        return "\n".join([*self._texts, *logged, self._caplog.text, out, err])


@pytest.fixture
def everything(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Everything:
    return Everything(caplog, capfd)


def leaked(text: str) -> list[str]:
    return [line for line in text.splitlines() if any(secret in line for secret in SECRETS)]


def echo(status: int) -> Callable[[Seen], Answer]:
    """Answers with the URL that was asked for, as many servers do in their errors."""

    def script(seen: Seen) -> Answer:
        body = json.dumps({"message": f"{seen.method} {seen.target} for {TOKEN} with {KEY} ({NAMED})"})
        return reply(status, body.encode(), f"Location: {seen.target}", f"X-Request: {seen.target}")

    return script


def refused(stand: Stand) -> str:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


def throttled(stand: Stand) -> str:
    first = echo(429)(Seen("POST", f"/{TOKEN}?apiKey={KEY}", (), b"", 1))
    return stand([first, reply(200, b"{}")]).url


OUTCOMES: dict[str, Callable[[Stand], str]] = {
    **{
        f"echo {status}": (lambda stand, status=status: stand(echo(status)).url)  # type: ignore[misc]
        for status in (200, 302, 400, 401, 403, 404, 413, 500, 502)
    },
    "throttled": throttled,
    "no JSON": lambda stand: stand(reply(500, f"<html>{KEY} {TOKEN}".encode())).url,
    "refused": refused,
    "unknown host": lambda stand: "https://nothing.invalid",
    "reset": lambda stand: stand(Answer(reset=True)).url,
    "closed": lambda stand: stand(Answer(close=True)).url,
    "half a head": lambda stand: stand(Answer(b"HTTP/1.1 200 OK\r\nX: y", close=True)).url,
    "garbage": lambda stand: stand(Answer(b"what?\r\n\r\n", close=True)).url,
    "broken body": lambda stand: stand(Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", close=True)).url,
    "timeout": lambda stand: stand(Answer(stall=True)).url,
    "tls": lambda stand: stand.add(Babbler(reply())).url.replace("http:", "https:"),
}


class ImpatientHook(PressnxpressHook):
    """Repeats at once what others repeat after a pause."""

    def build_client(self, parts: ConnectionParts) -> Client:
        client = super().build_client(parts)
        return replace(client, api=replace(client.api, retry=RetryPolicy(base=0.01)))


class ImpatientOperator(EnqueueFeedbackOperator):
    def make_hook(self) -> PressnxpressHook:
        return ImpatientHook(self.pressnxpress_conn_id)


def use_everything(everything: Everything, tmp_path: Path) -> list[bool]:
    """One contact, many contacts, and a task with both of its files; tell what succeeded."""
    with closing(ImpatientHook("feedback")) as hook:
        everything.add(hook, hook.client, hook.get_conn(), hook.channel(hook.client), vars(hook))
        done = [
            everything.attempt(lambda: hook.enqueue(CONTACTS[0])),
            everything.attempt(lambda: hook.enqueue({"phone": "+4930123456"}, "sms", touchpoint="named")),
            everything.attempt(lambda: hook.enqueue_many(CONTACTS)),
            everything.attempt(hook.test_connection),
        ]
    manifest, rejects = tmp_path / "manifest.ndjson", tmp_path / "rejects.ndjson"
    operator = ImpatientOperator(
        task_id="ask",
        contacts=CONTACTS,
        manifest_path=str(manifest),
        rejects_path=str(rejects),
        pressnxpress_conn_id="feedback",
    )
    store = StateStore()
    done.append(everything.attempt(lambda: operator.execute(task_context(store=store, task=operator))))
    everything.add(operator, vars(operator), store.values)
    everything.add({name: getattr(operator, name) for name in operator.template_fields})
    everything.add(*(path.read_text() for path in (manifest, rejects) if path.exists()))
    return done


@pytest.mark.usefixtures("unmasked")
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_nothing_shows_a_secret(
    connect: Connect, stand: Stand, everything: Everything, tmp_path: Path, outcome: str
) -> None:
    connect(OUTCOMES[outcome](stand))
    done = use_everything(everything, tmp_path)
    text = everything.text()
    assert "enqueue_email" in text, "something was said"
    assert leaked(text) == []
    assert all(done) == (outcome in {"echo 200", "throttled"})


@pytest.mark.usefixtures("unmasked")
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("status", [407, 502, None], ids=["407", "502", "refused"])
def test_no_error_of_a_proxy_shows_a_secret(
    connect: Connect, stand: Stand, everything: Everything, tmp_path: Path, scheme: str, status: int | None
) -> None:
    proxy = refused(stand) if status is None else stand.proxy(echo(status)).url
    target = "https://vendor.invalid" if scheme == "https" else stand(reply()).url
    connect(target, proxy=proxy)
    assert not any(use_everything(everything, tmp_path)[:3])
    assert leaked(everything.text()) == []


@pytest.mark.usefixtures("unmasked")
@pytest.mark.parametrize(
    "extra",
    [
        {"endpoints": {"enqueue_email": f"/mail/{TOKEN}"}},
        {"endpoints": {"enqueue_email": f"/{{touchpoint_token}}?apiKey={KEY}"}},
        {"touchpoint_tokens": {"named": [NAMED]}},
        {"touchpoint_tokens": f"{{{NAMED}"},
        {"touchpoint_token": [TOKEN]},
        {"content_type": "xml"},
    ],
)
def test_no_error_of_a_connection_shows_a_secret(
    connect: Connect, everything: Everything, tmp_path: Path, extra: dict[str, Any]
) -> None:
    connect("http://127.0.0.1:1", **extra)
    with pytest.raises(Exception, match="extra") as caught:
        _ = PressnxpressHook("feedback").client
    works, text = PressnxpressHook("feedback").test_connection()
    everything.add(caught.value, vars(caught.value), "".join(traceback.format_exception(caught.value)), text)
    assert not works
    assert leaked(everything.text()) == []


@pytest.mark.usefixtures("unmasked")
def test_neither_a_serialized_dag_nor_rendered_fields_hold_a_secret(connect: Connect, stand: Stand) -> None:
    from airflow.sdk import DAG
    from airflow.serialization import serialized_objects

    connect(stand(reply()).url)
    with DAG("feedback", schedule=None) as dag:
        operator = EnqueueFeedbackOperator(
            task_id="ask", contacts=CONTACTS, touchpoint="named", pressnxpress_conn_id="feedback"
        )
    operator.execute(task_context(store=StateStore(), task=operator))
    # Before 3.2, the class of the serialized DAG did this itself.
    name = "DagSerialization" if hasattr(serialized_objects, "DagSerialization") else "SerializedDAG"
    serialized = json.dumps(getattr(serialized_objects, name).to_dict(dag), default=repr)
    assert '"named"' in serialized
    assert leaked(serialized) == []


def test_airflow_is_told_to_mask_every_secret_in_each_of_its_spellings(
    connect: Connect, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked: list[object] = []
    monkeypatch.setattr("airflow.sdk.log.mask_secret", lambda secret, name=None: masked.append(secret))
    connect(stand(reply()).url)
    _ = PressnxpressHook("feedback").client
    assert {KEY, TOKEN, NAMED, "k3yk3y%2F%2B%20%26%25", "t0k3n%3D%3F%C3%A9%23", "n4m3d%3At0k3n"} <= {
        secret for secret in masked if isinstance(secret, str)
    }


@pytest.mark.parametrize("content_type", ["json", "form"])
def test_the_vendor_gets_both_secrets_whatever_their_characters(
    connect: Connect, stand: Stand, content_type: Any
) -> None:
    server = stand(reply(200, b"{}"))
    connect(f"{server.url}/v2")
    with closing(PressnxpressHook("feedback")) as hook:
        hook.enqueue(CONTACTS[0], content_type=content_type)
        hook.enqueue_many(CONTACTS[:1], touchpoint="named", content_type=content_type)
    first, second = server.requests
    assert first.target == "/v2/channel/mail/t0k3n%3D%3F%C3%A9%23/enqueue?apiKey=k3yk3y%2F%2B%20%26%25"
    assert second.target == "/v2/channel/mail/n4m3d%3At0k3n/enqueue?apiKey=k3yk3y%2F%2B%20%26%25"
    kind = {"json": "application/json", "form": "application/x-www-form-urlencoded"}[content_type]
    assert [seen.header("Content-Type") for seen in server.requests] == [kind, kind]
    assert first.header("Authorization") is None


def test_test_connection_sends_neither_secret(connect: Connect, stand: Stand) -> None:
    server = stand(reply(404, b"{}"))
    connect(server.url)
    assert PressnxpressHook("feedback").test_connection()[0]
    [seen] = server.requests
    assert (seen.method, seen.target) == ("GET", "/")
    assert leaked(repr(seen)) == []


def test_connections_are_used_again(connect: Connect, stand: Stand) -> None:
    server = stand(reply(200, b"{}"))
    connect(server.url)
    with closing(PressnxpressHook("feedback")) as hook:
        counts = hook.enqueue_many([{"email": f"user{n}@example.com"} for n in range(200)], max_concurrency=4)
    assert counts["accepted"] == len(server.requests) == 200
    assert server.connections <= 4
