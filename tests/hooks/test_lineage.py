"""What Airflow is told of the data that was moved."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import HookLineageCollector
from airflow.sdk import Asset, AssetAlias
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_messaging.hooks._lineage import (
    Dataset,
    Lineage,
    as_uri,
    collect_hook_lineage,
    emit_asset_events,
)

FEEDBACK = Asset("s3://bucket/feedback")
ANY = AssetAlias("feedback")


def emitted(*outlets: Any, extra: dict[str, Any] | None = None) -> OutletEventAccessors:
    events = OutletEventAccessors()
    context = {"task": SimpleNamespace(outlets=list(outlets)), "outlet_events": events}
    emit_asset_events(context, location="s3://bucket/feedback", extra=extra or {"rows": {"bounces": 3}})
    return events


def test_the_event_of_an_asset_says_how_much_and_where() -> None:
    assert emitted(FEEDBACK)[FEEDBACK].extra == {"rows": {"bounces": 3}, "location": "s3://bucket/feedback"}


def test_what_the_author_says_of_the_event_is_kept() -> None:
    events = OutletEventAccessors()
    events[FEEDBACK].extra = {"team": "mail"}
    context = {"task": SimpleNamespace(outlets=[FEEDBACK]), "outlet_events": events}
    emit_asset_events(context, location="x", extra={"rows": 1})
    assert events[FEEDBACK].extra == {"team": "mail", "rows": 1, "location": "x"}


def test_an_alias_gets_an_event_of_the_place() -> None:
    (event,) = emitted(ANY)[ANY].asset_alias_events
    assert event.dest_asset_key.uri == "s3://bucket/feedback"
    assert event.extra == {"rows": {"bounces": 3}, "location": "s3://bucket/feedback"}


def test_an_alias_of_a_local_path_gets_a_file_uri(tmp_path: Path) -> None:
    events = OutletEventAccessors()
    context = {"task": SimpleNamespace(outlets=[ANY]), "outlet_events": events}
    emit_asset_events(context, location=str(tmp_path), extra={})
    assert events[ANY].asset_alias_events[0].dest_asset_key.uri == f"file://{tmp_path}"


@pytest.mark.parametrize("context", [{}, {"task": SimpleNamespace(outlets=[]), "outlet_events": {}}])
def test_a_task_without_outlets_emits_nothing(context: dict[str, Any]) -> None:
    emit_asset_events(context, location="x", extra={})


def test_hook_lineage_knows_what_was_read_and_written(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.common.compat.lineage import hook as compat

    collector = HookLineageCollector()
    monkeypatch.setattr(compat, "get_hook_lineage_collector", lambda: collector)
    collect_hook_lineage(object(), inputs=["https://example.com/api/bounces"], outputs=["/data/a", "s3://b/c"])
    found = collector.collected_assets
    assert [each.asset.uri for each in found.inputs] == ["https://example.com/api/bounces"]
    assert [each.asset.uri for each in found.outputs] == ["file:///data/a", "s3://b/c"]


@pytest.mark.parametrize(
    ("uri", "namespace", "name"),
    [
        ("s3://bucket/feedback/", "s3://bucket", "feedback"),
        ("gs://bucket", "gs://bucket", "/"),
        ("/data/feedback", "file", "/data/feedback"),
        ("file:///data/feedback", "file", "/data/feedback"),
        ("https://eu.example.com/api/bounces/v1/bounces", "https://eu.example.com", "api/bounces/v1/bounces"),
        ("https://user:secret@example.com/x?token=secret", "https://example.com", "x"),
    ],
)
def test_a_dataset_is_named_by_its_place_without_secrets(uri: str, namespace: str, name: str) -> None:
    found = Dataset.at(uri)
    assert (found.namespace, found.name) == (namespace, name)


def test_a_relative_path_is_one_of_this_machine() -> None:
    assert as_uri("feedback") == f"file://{Path.cwd()}/feedback"


def test_openlineage_gets_inputs_outputs_counts_and_columns() -> None:
    lineage = Lineage(
        inputs=[Dataset.at("https://example.com/bounces")],
        outputs=[Dataset.at("s3://bucket/feedback", rows=7, columns=[("event_id", "text", "digest")])],
    ).as_openlineage()
    assert lineage is not None
    assert [(each.namespace, each.name) for each in lineage.inputs] == [("https://example.com", "bounces")]
    (output,) = lineage.outputs
    assert output.outputFacets["outputStatistics"].rowCount == 7
    (field,) = output.facets["schema"].fields
    assert (field.name, field.type, field.description) == ("event_id", "text", "digest")


def test_without_openlineage_there_is_nothing_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "airflow.providers.openlineage.extractors", None)
    assert Lineage().as_openlineage() is None
