"""The data contract of feedback, in code and in the docs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_type_hints

import pytest

from airflow_provider_messaging.core.feedback import FEEDBACK, SCHEMA_VERSION, Column, FeedbackEvent
from airflow_provider_messaging.transfers._contracts import FEEDBACK_TABLE, LOADED, MANIFEST_TABLE

DOCS = (Path(__file__).parents[2] / "docs" / "feedback.md").read_text()
TYPES = {"text": "str", "integer": "int", "timestamp": "datetime"}


def test_the_type_of_an_event_is_what_the_contract_says() -> None:
    found = {
        name: getattr(hint, "__name__", None) or str(hint).rpartition(".")[2]
        for name, hint in get_type_hints(FeedbackEvent).items()
    }
    assert found == {column.name: TYPES[column.type] + ("" if column.required else " | None") for column in FEEDBACK}


def test_the_columns_of_version_1_stay_as_they_are() -> None:
    """Whoever changes this list raises the version, and tells in the docs and the changelog."""
    assert SCHEMA_VERSION == 1
    assert " ".join(column.name for column in FEEDBACK) == (
        "event_id schema_version vendor kind bounce_type mode category reason outcome reference recipient domain "
        "mailbox account_id occurred_at raw"
    )


@pytest.mark.parametrize("column", [*FEEDBACK, *MANIFEST_TABLE.columns, *LOADED], ids=lambda column: column.name)
def test_the_docs_have_the_column_with_its_type_and_meaning(column: Column) -> None:
    kind = {
        "text": rf"varchar\({column.length}\)" if column.length else "text",
        "integer": "bigint",
        "timestamp": "timestamp, UTC",
    }[column.type]
    required = ", never empty" if column.required else ""
    assert re.search(
        rf"^\| `{column.name}` \| {kind}{required}(, key)? \| {re.escape(column.meaning)} \|$", DOCS, re.MULTILINE
    )


def test_the_docs_name_the_indexes() -> None:
    for contract in (FEEDBACK_TABLE, MANIFEST_TABLE):
        for columns in contract.indexes:
            assert f"`{', '.join(columns)}`" in DOCS
