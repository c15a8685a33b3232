"""Files on object storage: read as a stream, written as a whole or not at all."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, cast

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.delivery.outputs import LineFile, Publish, copy_to
from airflow_provider_messaging.delivery.source import Line, lines

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath
    from pyarrow.parquet import ParquetFile

_GZIP_SUFFIXES = (".gz", ".gzip")
_BUFFER_BYTES = 256 * 1024
_LOCAL = frozenset({"", "file", "local"})


def storage_path(path: str, setting: str) -> ObjectStoragePath:
    """Return the path, local or on any object storage that Airflow knows.

    :raises ConfigurationError: if there is no file system for its scheme.
    """
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    try:
        found = ObjectStoragePath(path)
        # Only here does Airflow look for the file system: one that no provider brings is an error of the argument.
        _ = found.fs
        return found
    except (ValueError, ImportError) as error:
        raise ConfigurationError(f"{path!r} can't be used ({error})", setting=setting) from None


def is_local(path: ObjectStoragePath) -> bool:
    return path.protocol in _LOCAL


def is_compressed(path: str) -> bool:
    return path.endswith(_GZIP_SUFFIXES)


@contextmanager
def open_binary(path: str, setting: str) -> Iterator[IO[bytes]]:
    """Open a file for reading, unpacked if its name ends in ``.gz``.

    :raises ConfigurationError: if it does not exist, or is a folder.
    """
    found = storage_path(path, setting)
    try:
        # Files of object storage find the end of a line in Python, at a tenth of a millisecond each.
        raw = io.BufferedReader(found.fs.open(found.path, "rb"), _BUFFER_BYTES)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise ConfigurationError(f"there is no file {path!r}", setting=setting) from None
    with raw:
        if is_compressed(path):
            with gzip.GzipFile(fileobj=raw) as unpacked:
                yield cast("IO[bytes]", unpacked)
        else:
            yield raw


def rows_of(path: str, setting: str) -> Callable[[], Iterator[Line]]:
    """Return a function that yields the lines of the NDJSON file from its start."""

    def rows() -> Iterator[Line]:
        with open_binary(path, setting) as stream:
            yield from lines(stream)

    return rows


def lines_of(path: str, setting: str) -> Callable[[], Iterator[Any]]:
    """Return a function that yields what each line of the NDJSON file says, from its start."""
    return lambda: map(Line.value, rows_of(path, setting)())


def parquet_file(stream: IO[bytes], name: str, setting: str) -> ParquetFile:
    """Open a Parquet file for reading.

    :raises ConfigurationError: if it is none, or there is no pyarrow.
    """
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ImportError:
        message = "Parquet needs pyarrow: install airflow-provider-messaging[parquet]"
        raise ConfigurationError(message, setting="the installation") from None
    try:
        return ParquetFile(stream)
    except pyarrow.ArrowInvalid as error:
        raise ConfigurationError(f"{name!r} is no Parquet file ({error})", setting=setting) from None


def publisher(path: str, setting: str) -> Publish:
    """Return what puts a local file in the place of `path`, all or nothing."""
    target = storage_path(path, setting)
    if is_local(target):
        return copy_to(target.path)
    return lambda name: target.fs.put_file(name, target.path)


def line_file(path: str | None, setting: str) -> LineFile | None:
    """Return a file for NDJSON lines that is published under `path`, None where there is no path."""
    if path is None:
        return None
    return LineFile(publisher(path, setting), compressed=is_compressed(path))
