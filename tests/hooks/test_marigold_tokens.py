"""One token for all hooks of one connection, whatever happens at the same time; and never a secret in a text."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier

import pytest

from airflow_provider_messaging.core.auth import TOKENS, BearerAuth
from airflow_provider_messaging.core.errors import AuthenticationError, MessagingError
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.hooks.conftest import Connect
from tests.hooks.test_marigold_calls import row
from tests.hooks.test_marigold_test_connection import without_waiting

THREADS = 8


def token_requests(sandbox: Sandbox) -> int:
    return len(sandbox.requests(operation="token"))


def track_from_many_threads(calls: int) -> None:
    """Each thread has a hook of its own; all start at once."""
    together = Barrier(THREADS)

    def work(number: int) -> None:
        with MarigoldHook("mailing") as hook:
            together.wait(10)
            for call in range(calls):
                hook.track(f"{number}-{call}")

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS)))


def test_many_threads_with_hooks_of_their_own_fetch_one_token(to_sandbox: Connect, sandbox: Sandbox) -> None:
    to_sandbox()
    sandbox.faults([{"operation": "token", "fault": "latency", "delay": 0.2}])
    track_from_many_threads(calls=20)
    assert token_requests(sandbox) == 1
    tracked = sandbox.requests(operation="track")
    assert len(tracked) == THREADS * 20
    assert len({request["token"] for request in tracked}) == 1


def test_many_threads_whose_token_expired_renew_it_once(to_sandbox: Connect, sandbox: Sandbox) -> None:
    to_sandbox().track("the first token")
    sandbox.faults([{"operation": "track", "fault": "expire_token", "times": 1}])
    track_from_many_threads(calls=20)
    assert token_requests(sandbox) == 2
    good = [request for request in sandbox.requests(operation="track") if request["status"] == 404]
    assert len(good) == THREADS * 20 + 1


def test_hooks_one_after_the_other_share_a_token(to_sandbox: Connect, sandbox: Sandbox) -> None:
    for _ in range(3):
        with to_sandbox() as hook:
            hook.track("m-1")
    assert token_requests(sandbox) == 1


@pytest.mark.parametrize(
    "change", [{"extra": {"account_id": "other"}}, {"extra": {"audience": "https://sdc.slgnt.us"}}]
)
def test_another_account_or_audience_has_a_token_of_its_own(
    to_sandbox: Connect, sandbox: Sandbox, change: dict[str, dict[str, str]]
) -> None:
    sandbox.settings(accounts=["sandbox-account", "other"])
    for fields in ({}, change, {}, change):
        with to_sandbox(**fields) as hook:
            hook.track("m-1")
    assert token_requests(sandbox) == 2


def test_a_changed_secret_does_not_live_on_the_old_ones_token(to_sandbox: Connect) -> None:
    with to_sandbox() as hook:
        hook.track("m-1")
    with to_sandbox(password="wr0ng-wr0ng") as hook, pytest.raises(AuthenticationError):
        hook.track("m-1")


def test_a_token_is_renewed_before_it_expires(hook: MarigoldHook, sandbox: Sandbox) -> None:
    sandbox.settings(token_lifetime=2)
    hook.track("m-1")
    time.sleep(1.9)
    hook.track("m-1")
    assert token_requests(sandbox) == 2
    assert 401 not in {request["status"] for request in sandbox.requests()}


def test_a_refused_token_is_renewed_once_and_the_call_succeeds(hook: MarigoldHook, sandbox: Sandbox) -> None:
    hook.send_email([row("m-1")])
    sandbox.faults([{"operation": "send_email", "fault": "expire_token", "times": 1}])
    assert hook.send_email([row("m-2")]) == 1
    assert [(each["operation"], each["status"]) for each in sandbox.requests()] == [
        ("token", 200),
        ("send_email", 202),
        ("send_email", 401),
        ("token", 200),
        ("send_email", 202),
    ]
    assert sandbox.counts() == {"total": 2, "distinct": 2, "duplicates": 0}


def test_a_refusal_that_a_new_token_does_not_mend_ends_the_call(hook: MarigoldHook, sandbox: Sandbox) -> None:
    sandbox.faults([{"operation": "track", "fault": "status", "status": 401}])
    with pytest.raises(AuthenticationError):
        hook.track("m-1")
    assert [each["operation"] for each in sandbox.requests()] == ["token", "track", "token", "track"]


def test_a_failed_fetch_leaves_the_next_call_free_to_fetch(hook: MarigoldHook, sandbox: Sandbox) -> None:
    sandbox.faults([{"operation": "token", "fault": "status", "status": 401, "times": 1}])
    with pytest.raises(AuthenticationError):
        hook.track("m-1")
    assert hook.track("m-1") == []


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_fetches_a_token_of_its_own(hook: MarigoldHook) -> None:
    hook.track("m-1")
    assert TOKENS.claim("somebody else's")
    child = os.fork()
    if child == 0:  # pragma: no cover
        with suppress(BaseException):
            auth = hook.client.api.auth
            assert isinstance(auth, BearerAuth)
            assert auth.cache.get(auth.key) is None
            assert auth.cache.claim("somebody else's")
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


class Everything(logging.Handler):
    """Keeps every record of every logger, formatted."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def everything() -> Iterator[Everything]:
    handler = Everything()
    root = logging.getLogger()
    loggers = [root, *[each for each in root.manager.loggerDict.values() if isinstance(each, logging.Logger)]]
    before = [(logger, logger.level, logger.disabled) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
        logger.disabled = False
    root.addHandler(handler)
    yield handler
    root.removeHandler(handler)
    for logger, level, disabled in before:
        logger.setLevel(level)
        logger.disabled = disabled


def token_of(hook: MarigoldHook) -> str:
    auth = hook.client.api.auth
    assert isinstance(auth, BearerAuth)
    token = auth.cache.get(auth.key)
    assert token is not None
    return token.value


def test_no_log_line_of_any_logger_holds_secret_token_address_or_text(
    hook: MarigoldHook, sandbox: Sandbox, everything: Everything
) -> None:
    sandbox.faults(
        [
            {"operation": "send_email", "fault": "expire_token", "times": 1},
            {"operation": "send_email", "fault": "status", "status": 503, "skip": 1, "times": 1},
            {"operation": "track", "fault": "drop", "times": 1},
        ]
    )
    hook = without_waiting(hook)
    hook.send_email([row("m-1", to="jane.doe@example.com", subject="Top secret subject")])
    hook.track("m-1")
    hook.test_connection()
    sandbox.faults([{"operation": "send_email", "fault": "status", "status": 500}])
    with suppress(MessagingError):
        hook.send_email([row("m-2", to="jane.doe@example.com")])
    text = "\n".join(everything.lines)
    assert "marigold.send_email: HTTP 202" in text, "the DEBUG lines are there"
    for secret in ("sandbox-secret", token_of(hook), "jane.doe", "Top secret subject", "Bearer"):
        assert secret not in text


def test_no_repr_or_str_holds_a_secret(hook: MarigoldHook) -> None:
    hook.track("m-1")
    client = hook.client
    auth = client.api.auth
    assert isinstance(auth, BearerAuth)
    token = auth.cache.get(auth.key)
    shown = [f"{each!r} {each}" for each in (hook, client, client.api, client.config, client.options, auth, token)]
    shown += [f"{vars(hook)!r}", f"{auth.key!r}"]
    for secret in ("sandbox-secret", token_of(hook)):
        assert secret not in " ".join(shown)


def test_airflow_is_told_to_mask_every_token(
    hook: MarigoldHook, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked: list[object] = []
    monkeypatch.setattr("airflow.sdk.log.mask_secret", lambda secret, name=None: masked.append(secret))
    hook.track("m-1")
    first = token_of(hook)
    sandbox.faults([{"operation": "track", "fault": "expire_token", "times": 1}])
    hook.track("m-1")
    assert first in masked
    assert token_of(hook) in masked
    assert first != token_of(hook)
