"""Rows to load, and the load."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from airflow_provider_messaging.transfers.marigold import FeedbackToSqlOperator
from tests.contexts import task_context
from tests.transfers.conftest import Database

Row = dict[str, Any]


def bounce(reference: str = "m-1", **more: Any) -> Row:
    row = {
        "account_id": "account",
        "external_reference": reference,
        "timestamp": "2026-03-10T12:00:00.1234567Z",
        "domain": "example.com",
        "mapping": "hard",
        "mode": "direct",
        "finalize_reason": "hardBounce",
        "outcome": "550 5.1.1 No such user",
        "outcome_category": "badUser",
    }
    return {**row, **more}


def write(path: Path, rows: list[Row]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return str(path)


def load(database: Database, source_path: Any, **arguments: Any) -> dict[str, Any]:
    made = FeedbackToSqlOperator(
        task_id="load",
        source_path=source_path,
        **{"table": database.table, "sql_conn_id": database.conn_id, "create_table": True, **arguments},
    )
    return made.execute(task_context())
