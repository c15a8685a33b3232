"""What the tables hold: columns, key, indexes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from airflow_provider_messaging.core.feedback import FEEDBACK, SCHEMA_VERSION, Column

LOADED = (
    Column("first_loaded_at", "timestamp", "when the row came in; never changes", required=True),
    Column("loaded_at", "timestamp", "when the row came in, or changed last", required=True),
)
"""The columns that tables have and files have not."""


@dataclass(frozen=True, slots=True)
class Contract:
    """The rows of one table, each known by its key.

    :param columns: the first is the key.
    :param indexes: what a new table is indexed by, beside the key.
    :param kept: columns whose value is never replaced by none.
    """

    noun: str
    version: int
    columns: tuple[Column, ...]
    indexes: tuple[tuple[str, ...], ...]
    kept: frozenset[str] = frozenset()
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(column.name for column in self.columns))

    @property
    def key(self) -> str:
        return self.names[0]

    @property
    def changing(self) -> tuple[str, ...]:
        """All columns but the key."""
        return self.names[1:]

    def fit(self, row: dict[str, Any]) -> None:
        """Make the texts of a row fit for any database: no NUL, nothing longer than its column."""
        for name, length in _TEXTS[self.noun]:
            text = row[name]
            if text is None:
                continue
            if "\0" in text:
                text = row[name] = text.replace("\0", "\ufffd")
            if length is not None and len(text) > length:
                row[name] = text[:length]


FEEDBACK_TABLE = Contract(
    "feedback",
    SCHEMA_VERSION,
    FEEDBACK,
    indexes=(
        ("reference",),
        ("occurred_at",),
        ("kind", "bounce_type", "occurred_at"),
        ("domain", "occurred_at"),
    ),
    kept=frozenset({"recipient"}),
)

MANIFEST_TABLE = Contract(
    "manifest",
    1,
    (
        Column("manifest_id", "text", "digest of run, task and reference", required=True, length=32),
        Column("schema_version", "integer", "version of this contract", required=True),
        Column("reference", "text", "the message's reference", required=True, length=255),
        Column("recipient", "text", "the address, or the phone number", length=320),
        Column("profile", "text", "the sender's name of the recipient", length=255),
        Column("tags", "text", "JSON array"),
        Column("dag_id", "text", "who sent it", length=250),
        Column("run_id", "text", "who sent it", length=250),
        Column("task_id", "text", "who sent it", length=250),
        Column("map_index", "integer", "-1 where the task is not mapped"),
        Column("source_row", "integer", "`row` of the manifest: 0-based, in the input"),
        Column("outcome", "text", "`accepted`, `rejected`, `ambiguous`", required=True, length=32),
        Column("outcome_at", "timestamp", "`at` of the manifest: when that was known"),
        Column("details", "text", "JSON object of what else the vendor said, such as a send id"),
    ),
    indexes=(("reference",), ("recipient",), ("outcome_at",)),
)

_TEXTS = {
    contract.noun: tuple((column.name, column.length) for column in contract.columns if column.type == "text")
    for contract in (FEEDBACK_TABLE, MANIFEST_TABLE)
}
