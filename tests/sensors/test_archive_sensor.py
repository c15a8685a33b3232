"""`ArchiveExportSensor` and `ArchiveTrigger`: waiting for the archive, and exporting in the task."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.sandbox.process import Sandbox
from airflow_provider_messaging.sensors.marigold import ArchiveExportSensor
from airflow_provider_messaging.triggers.marigold import ArchiveTrigger
from tests.archive.conftest import index, row, seeded
from tests.contexts import task_context
from tests.sensors.test_delivery_sensor import only_event

OPTIONS: dict[str, Any] = {
    "marigold_conn_id": "shoes",
    "references": ["a"],
    "profile_ids": None,
    "start": "2026-03-10T12:00:00+00:00",
    "end": "2026-03-11T12:00:00+00:00",
    "min_count": 3,
    "settled": {"archived": ["c"]},
    "poll_interval": 0.5,
    "max_poll_interval": 3.0,
    "max_concurrency": 2,
}


@pytest.fixture(autouse=True)
def connected(marigold_conn: str) -> None:
    """Everything finds the sandbox."""


@pytest.fixture
def hook() -> Iterator[MarigoldHook]:
    with MarigoldHook() as hook:
        yield hook


def sensor(**options: Any) -> ArchiveExportSensor:
    defaults = {"poke_interval": 0.1, "timeout": 10, "deferrable": False}
    return ArchiveExportSensor(task_id="wait", **{**defaults, **options})


def trigger(**options: Any) -> ArchiveTrigger:
    return ArchiveTrigger(**{"marigold_conn_id": "marigold_default", "poll_interval": 0.1, **options})


def manifest(path: Path, **profiles: str | None) -> str:
    lines = [{"reference": name, "profile": profile, "outcome": "accepted"} for name, profile in profiles.items()]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def test_messages_are_waited_for_by_tracking(hook: MarigoldHook, sandbox: Sandbox) -> None:
    sandbox.settings(archive_delay=0.5)
    hook.send_email([row("m-1"), row("m-2")])
    found = sensor(references=["m-1", "m-2"]).execute(task_context())
    assert (found["states"], found["references"]) == ({"archived": 2}, {"archived": ["m-1", "m-2"]})
    assert "archive_list" not in {each["operation"] for each in sandbox.requests()}


def test_a_message_that_is_not_archived_is_waited_for(hook: MarigoldHook) -> None:
    hook.send_email([row("m-1", archive_enabled=False)])
    found = sensor(references=["m-1", "m-2"]).poke(task_context())
    assert (found.is_done, found.xcom_value["states"]) == (False, {"unknown": 1, "waiting": 1})


def test_profiles_are_waited_for_by_listing(hook: MarigoldHook, sandbox: Sandbox) -> None:
    hook.send_email([row("m-1", "p-1"), row("m-2", "p-1"), row("m-3", "p-2")])
    found = sensor(profile_ids=["p-1", "p-2"], min_count="2").poke(task_context())
    assert (found.is_done, found.xcom_value["profile_ids"]) == (False, {"archived": ["p-1"], "waiting": ["p-2"]})
    assert "track" not in {each["operation"] for each in sandbox.requests()}


def test_only_messages_of_the_window_count(sandbox: Sandbox) -> None:
    sandbox.seed_archive("p-1", [seeded("m-1", "2026-03-10T12:00:00Z")])
    assert sensor(profile_ids=["p-1"], start="2026-03-10", end="2026-03-11").poke(task_context()).is_done
    assert not sensor(profile_ids=["p-1"], start="2026-03-11").poke(task_context()).is_done


def test_it_exports_only_the_messages_of_the_manifest(hook: MarigoldHook, tmp_path: Path) -> None:
    hook.send_email([row("m-1", "p-1"), row("m-2", "p-1"), row("m-3", "p-2")])
    path = manifest(tmp_path / "manifest", **{"m-1": "p-1", "m-3": "p-2"})
    target = tmp_path / "export"
    found = sensor(manifest_path=path, export_path=str(target), previews=("pdf",)).execute(task_context())
    assert (found["export"]["exported"], found["export"]["files"]) == (2, 4)
    assert {line["message_id"] for line in index(target / "index.ndjson")} == {"m-1", "m-3"}


def test_it_exports_only_the_given_references_of_the_given_profiles(
    hook: MarigoldHook, sandbox: Sandbox, tmp_path: Path
) -> None:
    hook.send_email([row("m-1", "p-1"), row("m-2", "p-1")])
    # The page's samples show ids that are longer than the reference.
    sandbox.seed_archive("p-1", [seeded("m-1_92233793802426"), seeded("m-10_1")])
    found = sensor(references=["m-1"], profile_ids=["p-1"], export_path=str(tmp_path / "x")).execute(task_context())
    assert {line["message_id"] for line in index(found["export"]["index_path"])} == {"m-1", "m-1_92233793802426"}


def test_it_exports_all_messages_of_profiles(hook: MarigoldHook, tmp_path: Path) -> None:
    hook.send_email([row("m-1", "p-1"), row("m-2", "p-1")])
    found = sensor(profile_ids=["p-1"], export_path=str(tmp_path / "x")).execute(task_context())
    assert found["export"]["exported"] == 2


def test_a_message_without_a_profile_can_not_be_exported_and_is_said_to_be(
    hook: MarigoldHook, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    hook.send_email([row("m-1"), row("m-2", profile=None)])
    path = manifest(tmp_path / "manifest", **{"m-1": "p-1", "m-2": None})
    found = sensor(manifest_path=path, export_path=str(tmp_path / "x")).execute(task_context())
    assert found["export"]["exported"] == 1
    assert "1 messages have no profile" in caplog.text + capfd.readouterr().out


def test_it_exports_after_the_wait_in_the_triggerer(hook: MarigoldHook, sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.settings(archive_delay=1)
    hook.send_email([row("m-1")])
    arguments = {"references": ["m-1"], "profile_ids": ["p-1"], "export_path": str(tmp_path / "x")}
    with pytest.raises(TaskDeferred) as deferred:
        sensor(**arguments, deferrable=True).execute(task_context())
    assert not (tmp_path / "x").exists()
    event = asyncio.run(only_event(deferred.value.trigger))
    assert not (tmp_path / "x").exists()
    assert {each["operation"] for each in sandbox.requests()} == {"token", "send_email", "track"}
    found = sensor(**arguments).execute_complete(task_context(), event)
    assert (found["states"], found["export"]["exported"]) == ({"archived": 1}, 1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "say what to wait for"),
        ({"references": ["a"], "manifest_path": "x"}, "references or manifest_path"),
        ({"profile_ids": ["a"], "manifest_path": "x"}, "do not give both"),
        ({"references": ["a"], "export_path": "x"}, "say nothing of their profiles"),
        ({"profile_ids": ["a"], "min_count": "x"}, "min_count"),
        ({"profile_ids": ["a"], "previews": "pdf"}, "previews"),
        ({"profile_ids": "a"}, "must be a list"),
    ],
)
def test_arguments_that_make_no_sense_fail_without_a_retry(options: dict[str, Any], words: str) -> None:
    for deferrable in (False, True):
        with pytest.raises(AirflowFailException, match=words):
            sensor(**options, deferrable=deferrable).execute(task_context())


# -------------------------------------------------------------------------------------------------- trigger


def test_the_options_of_a_trigger_survive_serialisation() -> None:
    path, options = ArchiveTrigger(**OPTIONS).serialize()
    assert options == OPTIONS
    name, _, attribute = path.rpartition(".")
    again = getattr(import_module(name), attribute)(**json.loads(json.dumps(options)))
    assert again.serialize() == (path, options)
    names = set(inspect.signature(ArchiveTrigger.__init__).parameters) - {"self"}
    assert set(options) == names == set(OPTIONS)


async def test_the_trigger_waits_for_profiles(sandbox: Sandbox) -> None:
    waiting = asyncio.create_task(only_event(trigger(profile_ids=["p-1"], min_count=2)))
    await asyncio.sleep(0.3)
    await asyncio.to_thread(sandbox.seed_archive, "p-1", [seeded("m-1"), seeded("m-2")])
    event = await waiting
    assert (event["states"], event["profile_ids"]) == ({"archived": 1}, {"archived": ["p-1"]})


async def test_the_trigger_only_reads(sandbox: Sandbox) -> None:
    sandbox.seed_archive("p-1", [seeded("m-1")])
    await only_event(trigger(profile_ids=["p-1"]))
    assert {each["operation"] for each in sandbox.requests()} == {"token", "archive_list"}


async def test_a_link_to_another_host_is_an_event_and_not_followed(sandbox: Sandbox) -> None:
    body = json.dumps({"value": [], "@next_link": "http://127.0.0.2:9/x"})
    sandbox.faults([{"operation": "archive_list", "fault": "status", "status": 200, "body": body}])
    event = await only_event(trigger(profile_ids=["p-1"]))
    assert (event["status"], event["code"], event["retryable"]) == ("error", "VendorError", False)
