"""Inputs and shards on object storage: what is read, what is written, and the record of how it was cut."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import IO, Any, cast

import msgspec

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.delivery.shards import Shard
from airflow_provider_messaging.hooks._storage import line_file, open_binary, parquet_file, storage_path

RECORD = "shards.json"
VERSION = 1
_ENCODER = msgspec.json.Encoder()
_ROWS = 1_000
"""Rows of a Parquet file that are held at once."""
_NAME = re.compile(r"\d{5,}\.ndjson(\.gz)?")


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """The task that cut an input."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int


class Record(msgspec.Struct, kw_only=True):
    """How an input was cut: ``shards.json``, written once all shards are in their places."""

    version: int = VERSION
    origin: Origin
    sources: list[str]
    rows: int
    rejected: int
    shards: list[Shard]


def is_parquet(path: str) -> bool:
    return path.lower().endswith(".parquet")


def shard_name(number: int, *, compressed: bool) -> str:
    return f"{number:05}.ndjson{'.gz' if compressed else ''}"


def lines_of_all(paths: Iterable[str], setting: str) -> Iterator[bytes]:
    """Yield the rows of files, one after the other, as JSON that is at most one line long each.

    :raises ConfigurationError: if a file does not exist, or is no Parquet though it is called so.
    """
    for path in paths:
        yield from _parquet_lines(path, setting) if is_parquet(path) else _ndjson_lines(path, setting)


def _ndjson_lines(path: str, setting: str) -> Iterator[bytes]:
    with open_binary(path, setting) as stream:
        for line in stream:
            # As the sends read it: a blank line is no row.
            if stripped := line.strip():
                yield stripped


def _parquet_lines(path: str, setting: str) -> Iterator[bytes]:
    with open_binary(path, setting) as stream:
        try:
            for batch in parquet_file(stream, path, setting).iter_batches(batch_size=_ROWS):
                for row in batch.to_pylist():
                    yield _ENCODER.encode(_without_nulls(row))
        except TypeError as error:
            raise ConfigurationError(f"{path!r} has a column that JSON can't hold ({error})", setting=setting) from None


def _without_nulls(value: Any) -> Any:
    """Return a row of a table as one that was written by hand: a column without a value is no field."""
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_nulls(each) for each in value]
    return value


def read_record(folder: str, setting: str) -> Record | None:
    """Return how a folder's shards were cut, None where that is not recorded.

    :raises ConfigurationError: if the record can't be read.
    """
    path = storage_path(f"{folder.rstrip('/')}/{RECORD}", setting)
    if not path.fs.exists(path.path):
        return None
    try:
        with path.open("rb") as stream:
            record = msgspec.json.decode(cast("IO[bytes]", stream).read(), type=Record)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{folder!r} has a {RECORD} that is none of ours ({error})", setting=setting) from None
    if record.version != VERSION:
        message = f"{RECORD} in {folder!r} is of version {record.version}, this release reads {VERSION}"
        raise ConfigurationError(message, setting=setting)
    return record


def write_record(folder: str, record: Record, setting: str) -> None:
    file = line_file(f"{folder.rstrip('/')}/{RECORD}", setting)
    assert file is not None
    file.write_line(_ENCODER.encode(record))
    file.finish()


def remove_others(folder: str, names: Iterable[str], setting: str) -> None:
    """Remove shards that a try left which never came to its end; nothing else in the folder is touched."""
    path = storage_path(folder, setting)
    keep = set(names)
    if not path.fs.isdir(path.path):
        return
    for found in path.fs.ls(path.path, detail=False):
        name = found.rstrip("/").rpartition("/")[2]
        if _NAME.fullmatch(name) and name not in keep:
            path.fs.rm_file(found)
