"""The events that the sandbox posts, and what becomes of those that nobody takes."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from airflow_provider_messaging.sandbox.process import Sandbox, SandboxError
from dev.processes import wait_until
from tests.sandbox.conftest import Build, Marigold

SUBSCRIPTIONS = "/api/webhooks/v1/admin/subscriptions/"
KINDS = {
    "com.sdc.deliveries.email.failed": "bounces",
    "com.sdc.bounces.email.bounced": "bounces",
    "com.sdc.bounces.email.complaintfiled": "complaints",
    "com.sdc.bounces.email.listunsubscribed": "listunsubscribes",
}


@dataclass
class Taker:
    """Takes posts, or refuses them."""

    url: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    answer: Callable[[dict[str, Any]], int] = lambda event: 204

    def ids(self) -> Counter[str]:
        return Counter(event["id"] for event in self.events)


@contextmanager
def taking() -> Iterator[Taker]:
    taker = Taker()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            taker.headers.append(dict(self.headers))
            taker.times.append(time.monotonic())
            taker.events.append(event)
            self.send_response(taker.answer(event))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        taker.url = f"http://127.0.0.1:{server.server_port}/hook"
        try:
            yield taker
        finally:
            server.shutdown()


@pytest.fixture
def taker(sandbox: Sandbox) -> Iterator[Taker]:
    with taking() as taker:
        yield taker
        sandbox.reset()  # so that nothing is posted to a server that is gone


@pytest.fixture
def bring(marigold: Marigold, email: Build) -> Callable[..., list[str]]:
    """Sends a message to each recipient and returns the references."""
    sent: list[str] = []

    def send(*recipients: str) -> list[str]:
        references = [f"hooked-{len(sent) + number}" for number in range(len(recipients))]
        sent.extend(references)
        messages = [
            email(reference, headers__to__address=f"{local}@example.com")
            for reference, local in zip(references, recipients, strict=True)
        ]
        assert marigold.send_email(*messages).status_code == 202
        return references

    return send


def posted(taker: Taker, count: int) -> None:
    wait_until(lambda: len(taker.events) >= count, timeout=20, what=f"{count} posts", every=0.05)
    time.sleep(0.3)
    assert len(taker.events) == count


def state(sandbox: Sandbox, kind: str) -> list[dict[str, Any]]:
    return sandbox.state(kind, vendor="marigold")


def test_each_kind_of_message_brings_its_events(sandbox: Sandbox, taker: Taker, bring: Callable[..., Any]) -> None:
    sandbox.subscribe(taker.url)
    recipients = ("ada", "hard-bounce", "soft-bounce", "spam-bounce", "complaint", "unsubscribe", "failed", "deferred")
    references = dict(zip(bring(*recipients), recipients, strict=True))
    posted(taker, 10)
    seen: dict[str, set[str]] = {}
    for event in taker.events:
        local = references[event["data"]["external_reference"]]
        seen.setdefault(local, set()).add(event["type"].removeprefix("com.sdc."))
    assert seen == {
        "ada": {"deliveries.email.sent"},
        "hard-bounce": {"deliveries.email.failed"},
        "soft-bounce": {"deliveries.email.failed"},
        "spam-bounce": {"deliveries.email.sent", "bounces.email.bounced"},
        "complaint": {"deliveries.email.sent", "bounces.email.complaintfiled"},
        "unsubscribe": {"deliveries.email.sent", "bounces.email.listunsubscribed"},
        "failed": {"deliveries.email.failed"},
    }


def test_events_have_the_documented_members(sandbox: Sandbox, taker: Taker, bring: Callable[..., Any]) -> None:
    sandbox.subscribe(taker.url)
    bring("ada", "hard-bounce", "complaint")
    posted(taker, 4)
    envelope = {"id", "source", "type", "time", "specversion", "datacontenttype", "subject", "data"}
    delivered = {"outcome", "recipient", "external_reference", "timestamp", "account_id", "context", "result"}
    members = {
        "com.sdc.deliveries.email.sent": delivered | {"outcome_category"},
        "com.sdc.deliveries.email.failed": delivered | {"outcome_category", "finalize_reason"},
        "com.sdc.bounces.email.complaintfiled": {"account_id", "external_reference", "subject", "mailbox", "timestamp"},
    }
    for event in taker.events:
        assert set(event) == envelope
        assert set(event["data"]) == members[event["type"]]
        assert (event["source"], event["specversion"]) == ("/sdc", "1.0")
        assert len(event["id"]) == 32
        assert event["time"].endswith("Z")
    assert {event["id"] for event in taker.events} == set(taker.ids())


def test_events_and_the_rows_of_the_feedback_say_the_same(
    sandbox: Sandbox, taker: Taker, marigold: Marigold, bring: Callable[..., Any]
) -> None:
    sandbox.settings(clock_skew=90, feedback_delay=0.2)
    sandbox.subscribe(taker.url)
    bring("hard-bounce", "soft-bounce", "indirect-bounce", "complaint", "unsubscribe")
    posted(taker, 8)
    rows = {
        (row["external_reference"], kind): row
        for kind in set(KINDS.values())
        for row in marigold.feedback(kind).json()["value"]
    }
    events = [event for event in taker.events if event["type"] in KINDS]
    assert len(events) == len(rows) == 5
    for event in events:
        data = event["data"]
        row = rows[data["external_reference"], KINDS[event["type"]]]
        assert data["timestamp"][:27] == row["timestamp"][:27]
        shared = {"account_id", "mailbox", "outcome", "outcome_category", "finalize_reason"} & data.keys() & row.keys()
        assert {name: data[name] for name in shared} == {name: row[name] for name in shared}
        assert "account_id" in shared


def test_only_the_types_asked_for_are_posted(sandbox: Sandbox, taker: Taker, bring: Callable[..., Any]) -> None:
    sandbox.subscribe(taker.url, types=["com.sdc.deliveries.email.failed"])
    bring("ada", "complaint", "hard-bounce")
    posted(taker, 1)
    assert taker.events[0]["data"]["recipient"] == "hard-bounce@example.com"


def test_the_secret_goes_with_each_post_and_is_shown_nowhere(
    sandbox: Sandbox, taker: Taker, bring: Callable[..., Any]
) -> None:
    sandbox.subscribe(taker.url, headers={"X-Secret": "s3cret"})
    bring("ada")
    posted(taker, 1)
    assert taker.headers[0]["X-Secret"] == "s3cret"
    assert taker.headers[0]["Content-Type"] == "application/json"
    shown = json.dumps([state(sandbox, kind) for kind in ("subscriptions", "webhook_events")])
    assert "X-Secret" in shown
    assert "s3cret" not in shown


def test_what_is_refused_comes_again_and_later_each_time(
    sandbox: Sandbox, taker: Taker, bring: Callable[..., Any]
) -> None:
    sandbox.settings(webhook_backoff=0.1)
    answers = iter((500, 503, 302, 204))
    taker.answer = lambda event: next(answers)
    sandbox.subscribe(taker.url)
    bring("ada")
    posted(taker, 4)
    assert set(taker.ids().values()) == {4}
    pauses = [after - before for before, after in zip(taker.times, taker.times[1:], strict=False)]
    assert all(pause >= 0.1 * 2**number for number, pause in enumerate(pauses))
    (event,) = state(sandbox, "webhook_events")
    assert (event["posts"], len(event["delivered_at"])) == (4, 1)
    assert state(sandbox, "dead_letters") == []


def test_what_nobody_takes_is_a_dead_letter_after_five_posts(
    sandbox: Sandbox, taker: Taker, bring: Callable[..., Any]
) -> None:
    sandbox.settings(webhook_backoff=0.01)
    taker.answer = lambda event: 401
    subscription = sandbox.subscribe(taker.url)
    bring("ada")
    posted(taker, 5)
    (dead,) = state(sandbox, "dead_letters")
    assert (dead["subscription"], dead["posts"], dead["last"]) == (subscription["id"], 5, "HTTP 401")
    assert dead["event"] == taker.events[0]


def test_a_receiver_that_is_down_gets_the_events_when_it_is_back(sandbox: Sandbox, bring: Callable[..., Any]) -> None:
    with taking() as gone:
        pass
    sandbox.settings(webhook_backoff=0.01)
    sandbox.subscribe(gone.url)
    bring("ada")
    wait_until(lambda: bool(state(sandbox, "dead_letters")), timeout=20, what="a dead letter", every=0.05)
    assert state(sandbox, "dead_letters")[0]["last"].startswith("Client")
    sandbox.reset()


def test_some_events_come_twice_others_not_at_all(sandbox: Sandbox, taker: Taker, bring: Callable[..., Any]) -> None:
    sandbox.settings(webhook_duplicates=3, webhook_losses=4)
    sandbox.subscribe(taker.url)
    bring(*[f"ada-{number}" for number in range(60)])
    planned = state(sandbox, "webhook_events")
    lost = {entry["event"]["id"] for entry in planned if entry["lost"]}
    wait_until(lambda: len(taker.ids()) == 60 - len(lost), timeout=20, what="all others", every=0.05)
    wait_until(lambda: any(n == 2 for n in taker.ids().values()), timeout=20, what="a second copy", every=0.05)
    assert 5 <= len(lost) <= 30
    assert lost.isdisjoint(taker.ids())


def test_events_overtake_one_another(sandbox: Sandbox, taker: Taker, bring: Callable[..., Any]) -> None:
    sandbox.settings(webhook_disorder=1)
    sandbox.subscribe(taker.url)
    references = bring(*[f"ada-{number}" for number in range(30)])
    posted(taker, 30)
    came = [event["data"]["external_reference"] for event in taker.events]
    assert came != references
    assert sorted(came) == sorted(references)


@pytest.mark.parametrize(
    "url",
    [
        "http://192.0.2.1/hook",
        "https://example.com/",
        "ftp://127.0.0.1/",
        "http://127.0.0.1@example.com/",
        "http://[::ffff:192.0.2.1]/",
        "http://127.0.0.1:x/",
        "//127.0.0.1/",
    ],
)
def test_events_leave_this_machine_never(sandbox: Sandbox, marigold: Marigold, url: str) -> None:
    with pytest.raises(SandboxError, match="loopback"):
        sandbox.subscribe(url)
    assert marigold.post(SUBSCRIPTIONS, json={"url": url}).status_code == 400
    assert state(sandbox, "subscriptions") == []


def test_subscriptions_are_listed_and_deleted(
    marigold: Marigold, sandbox: Sandbox, taker: Taker, bring: Callable[..., Any]
) -> None:
    made = marigold.post(SUBSCRIPTIONS, json={"url": taker.url, "headers": {"X-Secret": "s3cret"}})
    assert made.status_code == 201
    assert marigold.get(SUBSCRIPTIONS).json() == {"value": [made.json()]}
    assert "s3cret" not in made.text
    bring("ada")
    posted(taker, 1)
    for status in (204, 404):
        assert marigold.delete(SUBSCRIPTIONS + made.json()["id"]).status_code == status
    bring("bob")
    posted(taker, 1)
    assert marigold.get(SUBSCRIPTIONS).json() == {"value": []}


@pytest.mark.parametrize("body", ["[]", '{"url": 1}', '{"url": "http://127.0.0.1/", "what": 1}', "{", '{"url": ""}'])
def test_a_malformed_subscription_is_refused(marigold: Marigold, body: str) -> None:
    answer = marigold.post(SUBSCRIPTIONS, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["error"] == "INVALID_SUBSCRIPTION"


def test_another_account_has_its_own_subscriptions(
    marigold: Marigold, sandbox: Sandbox, taker: Taker, bring: Callable[..., Any]
) -> None:
    sandbox.settings(accounts=["sandbox-account", "other"])
    sandbox.subscribe(taker.url, account="other")
    assert marigold.get(SUBSCRIPTIONS).json() == {"value": []}
    bring("ada")
    marigold.login(account_id="other")
    (reference,) = bring("bob")
    posted(taker, 1)
    assert taker.events[0]["data"]["external_reference"] == reference
    assert taker.events[0]["data"]["account_id"] == "other"
