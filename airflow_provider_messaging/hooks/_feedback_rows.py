"""The events in a landed file: NDJSON of the vendor's rows or of its webhook's, or Parquet of the data contract."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from typing import IO, Any, cast

import msgspec

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.core.feedback import FEEDBACK, SCHEMA_VERSION, FeedbackEvent
from airflow_provider_messaging.hooks._storage import parquet_file
from airflow_provider_messaging.vendors.marigold.feedback import normalise
from airflow_provider_messaging.vendors.marigold.webhooks import normalise_event

_ROWS = 2_000
"""Of a Parquet file, at once."""

_DECODER = msgspec.json.Decoder(dict[str, Any])


def ndjson_events(stream: IO[bytes], name: str, kind: str, setting: str) -> Iterator[FeedbackEvent]:
    """Yield the events of a file of the vendor's rows, or of its CloudEvents, in its order.

    A CloudEvent that is no feedback, of a message sent for instance, is left out.

    :raises ConfigurationError: at a line that is no row, or where the file is damaged.
    """
    number = -1
    try:
        for line in stream:
            number += 1
            if text := line.strip():
                row = json_object(text)
                if not is_cloud_event(row):
                    yield normalise(kind, row, raw=text.decode("utf-8", "replace"))
                elif (event := normalise_event(row)) is not None:
                    yield event
    except ValueError:
        message = f"line {number} of {name!r} is not a JSON object"
        raise ConfigurationError(message, setting=setting) from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        message = f"{name!r} is damaged behind line {number} ({error}): have it written again"
        raise ConfigurationError(message, setting=setting) from None


def is_cloud_event(row: Mapping[str, Any]) -> bool:
    """Tell a line of a segment from a row of the feedback reads, which never has these members."""
    return "specversion" in row and "type" in row


def json_object(text: bytes) -> dict[str, Any]:
    """Return the object that a line holds. Characters that are none are replaced: no reason to lose a row.

    :raises ValueError: if it is no JSON object.
    """
    try:
        return _DECODER.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        value = json.loads(text.decode("utf-8", "replace"))
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    # Half of a surrogate pair is valid JSON and no valid text.
    whole = json.dumps(value, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return cast("dict[str, Any]", json.loads(whole))


def parquet_events(stream: IO[bytes], name: str, setting: str) -> Iterator[FeedbackEvent]:
    """Yield the events of a file with the columns of the data contract; one that an older version lacks is None.

    :raises ConfigurationError: if it is no such file, or was written by a newer version.
    """
    file = parquet_file(stream, name, setting)
    import pyarrow

    there = set(file.schema_arrow.names)
    missing = [column.name for column in FEEDBACK if column.required and column.name not in there]
    if missing:
        message = f"{name!r} is no landed feedback: it has no column {', '.join(missing)}"
        raise ConfigurationError(message, setting=setting)
    names = [column.name for column in FEEDBACK]
    wanted = [column for column in names if column in there]
    for batch in file.iter_batches(batch_size=_ROWS, columns=wanted):
        columns: dict[str, list[Any]] = {column: [None] * batch.num_rows for column in names}
        for column in wanted:
            values = batch.column(column)
            if pyarrow.types.is_timestamp(values.type):
                values = values.cast(pyarrow.timestamp("us", "UTC"), safe=False)
            columns[column] = values.to_pylist()
        newest = max(columns["schema_version"], default=0)
        if newest > SCHEMA_VERSION:
            message = f"{name!r} has schema_version {newest} and this release knows {SCHEMA_VERSION}: it is too old"
            raise ConfigurationError(message, setting="the installation")
        for row in zip(*columns.values(), strict=True):
            yield cast("FeedbackEvent", dict(zip(names, row, strict=True)))
