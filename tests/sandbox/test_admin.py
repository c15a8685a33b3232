from __future__ import annotations

import json
import urllib.request
from typing import Any

import httpx
import pytest

from airflow_provider_messaging.sandbox.process import SandboxError


@pytest.fixture
def admin(sandbox: Any) -> Any:
    with httpx.Client(base_url=f"{sandbox.url}/_sandbox", trust_env=False) as client:
        yield client


def test_reset_forgets_everything(sandbox: Any, marigold: Any, email: Any) -> None:
    sandbox.settings(send_answer="json", feedback_order="newest")
    sandbox.faults([{"fault": "latency", "delay": 0}])
    sandbox.seed("complaints", 10, "2023-01-01", "2023-01-02")
    marigold.send_email(email(headers__to__address="hard-bounce@example.com", archive_enabled=True))
    sandbox.reset()
    assert marigold.feedback("bounces").status_code == 401, "tokens"
    assert sandbox.counts() == {"total": 0, "distinct": 0, "duplicates": 0}
    assert sandbox.fault_report() == []
    assert sandbox.settings()["send_answer"] == "empty"
    marigold.login()
    for path in ("bounces/v1/bounces", "bounces/v1/complaints", "archive/v1/LIST.1", "email/v1/statistics"):
        assert marigold.get(f"/api/{path}").json() == {"value": []}
    assert marigold.track("ref-1").status_code == 404
    assert marigold.send_email(email()).status_code == 202, "settings are in force again, too"


def test_reset_of_one_vendor_keeps_faults_for_all(sandbox: Any, marigold: Any, email: Any) -> None:
    marigold.send_email(email())
    sandbox.faults([{"fault": "latency", "delay": 0}, {"vendor": "marigold", "fault": "latency", "delay": 0}])
    sandbox.reset("marigold")
    assert sandbox.counts()["total"] == 0
    assert sandbox.requests() == []
    assert [fault["vendor"] for fault in sandbox.fault_report()] == ["*"]


def test_request_log_shows_what_came(sandbox: Any, marigold: Any, email: Any) -> None:
    sandbox.reset()
    marigold.login()
    marigold.send_email(email("a"), email("b"))
    marigold.feedback("bounces", start="2023-01-01", top=5)
    marigold.get("/api/nowhere")
    token, send, read, unknown = sandbox.requests()
    assert (token["operation"], token["status"], token["token"]) == ("token", 200, None)
    assert token["number"] < send["number"] < read["number"]
    assert (send["operation"], send["method"], send["status"], send["messages"]) == ("send_email", "POST", 202, 2)
    assert send["path"] == "/marigold/api/email/v1/messages/send"
    assert send["request_bytes"] > 500
    assert 0 < send["duration"] < 1
    assert (read["operation"], read["query"], read["messages"]) == ("bounces", "start=2023-01-01&$top=5", None)
    assert (unknown["operation"], unknown["status"]) == (None, 404)
    assert send["token"] == read["token"]


def test_request_log_counts_the_messages_of_a_refused_batch(sandbox: Any, marigold: Any, email: Any) -> None:
    marigold.send_email(*(email(f"r-{n}") for n in range(101)))
    entry = sandbox.requests(operation="send_email")[0]
    assert (entry["status"], entry["messages"]) == (400, 101)


def test_request_log_keeps_no_secret(sandbox: Any, marigold: Any) -> None:
    token = marigold.headers["Authorization"].removeprefix("Bearer ")
    marigold.get("/api/bounces/v1/bounces?apiKey=hidden-1&access_token=hidden-2&client_secret=hidden-3&top=1")
    text = json.dumps(sandbox.requests())
    for secret in ("hidden", token, "sandbox-secret"):
        assert secret not in text
    assert "apiKey=***&access_token=***&client_secret=***&top=1" in text
    marigold.login()
    marigold.feedback("bounces")
    digests = [entry["token"] for entry in sandbox.requests() if entry["token"]]
    assert len(set(digests)) == 2, "another token, another digest"


def test_request_log_is_filtered(sandbox: Any, marigold: Any) -> None:
    for kind in ("bounces", "complaints", "bounces"):
        marigold.feedback(kind)
    everything = sandbox.requests()
    assert [entry["operation"] for entry in everything] == ["token", "bounces", "complaints", "bounces"]
    assert len(sandbox.requests(operation="bounces")) == 2
    assert sandbox.requests(vendor="marigold", limit=1) == everything[-1:]
    assert sandbox.requests(after=everything[1]["number"]) == everything[2:]
    assert sandbox.requests(since=everything[2]["at"]) == everything[2:]
    counts = {(row["operation"], row["status"]): row["count"] for row in sandbox.request_counts()}
    assert counts == {("token", 200): 1, ("bounces", 200): 2, ("complaints", 200): 1}


def test_request_log_as_a_stream(sandbox: Any, admin: Any, marigold: Any) -> None:
    lines = admin.get("/requests", params={"format": "ndjson"}).text.splitlines()
    assert [json.loads(line) for line in lines] == sandbox.requests()


def test_deliveries_are_paged_and_streamed(sandbox: Any, admin: Any, marigold: Any, email: Any) -> None:
    for start in range(0, 1200, 100):
        marigold.send_email(*(email(f"r-{n}") for n in range(start, start + 100)))
    page = admin.get("/deliveries", params={"limit": 3, "offset": 5, "vendor": "marigold"}).json()
    assert [row["reference"] for row in page.pop("value")] == ["r-5", "r-6", "r-7"]
    assert page == {"total": 1200, "distinct": 1200, "duplicates": 0}
    assert [row["reference"] for row in sandbox.iter_deliveries()] == [f"r-{n}" for n in range(1200)]
    stream = admin.get("/deliveries", params={"format": "ndjson"})
    assert stream.headers["content-type"] == "application/x-ndjson"


def test_deliveries_of_one_reference(admin: Any, marigold: Any, email: Any) -> None:
    marigold.send_email(email("once"), email("twice"))
    marigold.send_email(email("twice"))
    for reference, total in (("once", 1), ("twice", 2), ("never", 0)):
        answer = admin.get("/deliveries", params={"reference": reference}).json()
        assert (answer["total"], len(answer["value"])) == (total, total)
        assert (answer["distinct"], answer["duplicates"]) == (min(total, 1), max(total - 1, 0))


def test_settings_change_by_name_and_stay(sandbox: Any) -> None:
    before = sandbox.settings()
    after = sandbox.settings(feedback_delay=1.5, clock_skew=-10)
    assert after == {**before, "feedback_delay": 1.5, "clock_skew": -10}
    assert sandbox.settings() == after


@pytest.mark.parametrize(
    "wrong", [{"speed": 1}, {"feedback_delay": -1}, {"feedback_order": "random"}, {"feedback_delay": "1"}]
)
def test_wrong_setting_is_refused_and_nothing_is_changed(sandbox: Any, wrong: dict[str, Any]) -> None:
    before = sandbox.settings()
    with pytest.raises(SandboxError, match="settings of marigold"):
        sandbox.settings(clock_skew=5, **wrong)
    assert sandbox.settings() == before


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nowhere", None, 404),
        ("GET", "/reset", None, 405),
        ("POST", "/reset", b"{", 400),
        ("POST", "/reset", b"\xff", 400),
        ("POST", "/reset", b'{"vendors": "marigold"}', 400),
        ("POST", "/reset", b'{"vendor": "nobody"}', 400),
        ("POST", "/settings", b'{"feedback_delay": 1}', 400),
        ("GET", "/deliveries?limit=-1", None, 400),
        ("GET", "/deliveries?refernce=x", None, 400),
        ("GET", "/state", None, 400),
        ("GET", "/state?vendor=marigold&kind=anything", None, 400),
        ("GET", "/requests?since=yesterday", None, 400),
        ("GET", "/requests?vendor=nobody", None, 400),
    ],
)
def test_wrong_admin_request_is_refused(admin: Any, method: str, path: str, body: bytes | None, status: int) -> None:
    answer = admin.request(method, path, content=body)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}


def test_unknown_vendor_is_named(sandbox: Any) -> None:
    answer = httpx.get(f"{sandbox.url}/somebody/api", trust_env=False)
    assert answer.status_code == 404
    assert "marigold" in answer.json()["error"]


def test_admin_needs_no_json_header(sandbox: Any) -> None:
    request = urllib.request.Request(f"{sandbox.url}/_sandbox/reset", data=b"", method="POST")
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert answer.status == 200
