"""Rows of a table of manifests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import msgspec

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.hooks._feedback_rows import json_object
from airflow_provider_messaging.hooks._storage import open_binary
from airflow_provider_messaging.transfers._contracts import MANIFEST_TABLE

_MEMBERS = frozenset(
    {"reference", "recipient", "profile", "tags", "dag_id", "run_id", "task_id", "map_index", "row", "outcome", "at"}
)
# Not the row: a retry may have been given the same messages in another order.
_IDENTIFYING = ("dag_id", "run_id", "task_id", "map_index", "reference")
_ENCODER = msgspec.json.Encoder()


def manifest_rows(name: str, setting: str) -> Iterator[dict[str, Any]]:
    """Yield a row for each line of a manifest.

    :raises ConfigurationError: at a line that is none.
    """
    with open_binary(name, setting) as stream:
        for number, line in enumerate(stream):
            if not (text := line.strip()):
                continue
            try:
                row = _row(json_object(text))
            except ValueError:
                message = f"line {number} of {name!r} is not a line of a manifest"
                raise ConfigurationError(message, setting=setting) from None
            yield row


def _row(line: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(line.get("reference"), str) or not isinstance(line.get("outcome"), str):
        raise ValueError("no reference, or no outcome")
    identity = "\x1f".join(str(line.get(name)) for name in _IDENTIFYING)
    return {
        "manifest_id": blake2b(identity.encode(), digest_size=16).hexdigest(),
        "schema_version": MANIFEST_TABLE.version,
        "reference": line["reference"],
        "recipient": _text(line.get("recipient")),
        "profile": _text(line.get("profile")),
        "tags": _json(line.get("tags")),
        "dag_id": _text(line.get("dag_id")),
        "run_id": _text(line.get("run_id")),
        "task_id": _text(line.get("task_id")),
        "map_index": _integer(line.get("map_index")),
        "source_row": _integer(line.get("row")),
        "outcome": line["outcome"],
        "outcome_at": _moment(line.get("at")),
        "details": _json({name: value for name, value in line.items() if name not in _MEMBERS}),
    }


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _json(value: object) -> str | None:
    return _ENCODER.encode(value).decode() if value else None


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    moment = datetime.fromisoformat(value)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
