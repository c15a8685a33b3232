"""Landed feedback, read back as the events of the data contract."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.core.feedback import FeedbackEvent
from airflow_provider_messaging.hooks._feedback_rows import ndjson_events, parquet_events
from airflow_provider_messaging.hooks._storage import open_binary, storage_path
from airflow_provider_messaging.vendors.marigold.feedback import Kind
from airflow_provider_messaging.vendors.marigold.segments import Segment

Source = str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]]
"""A place or several, or what other tasks returned."""

KINDS = tuple(kind.value for kind in Kind)
PARQUET = ".parquet"
SUFFIXES = (".ndjson", ".ndjson.gz", PARQUET)
_DATE = re.compile(r"/date=(\d{4}-\d\d-\d\d)/")


class FeedbackFile(NamedTuple):
    """A file and the kind of feedback in it; Parquet says the kind row by row."""

    name: str
    kind: str


def feedback_files(
    source: Source,
    kinds: Sequence[str],
    *,
    since: datetime | None = None,
    setting: str = "source_path",
) -> list[FeedbackFile]:
    """Return the files that a landing or a receiver of webhooks wrote: a file, the folder, the landing's result, a
    batch of `WebhookEventTrigger`, or a list of any of these.

    :param kinds: what to take from a folder, and of segments; of a single file without ``kind=…`` in its path: what it
        holds.
    :param since: leave out folders ``date=…`` of days that ended before it.
    :raises ConfigurationError: if there is nothing there, there is no such kind, or a file does not say what it holds.
    """
    if unknown := set(kinds) - set(KINDS):
        message = f"kinds must be some of {', '.join(KINDS)}, not {sorted(unknown)}"
        raise ConfigurationError(message, setting="kinds")
    names = [name for name in _names(source, kinds, setting) if _is_asked_for(name, kinds)]
    if since is not None:
        names = [name for name in names if not _is_before(name, since.astimezone(UTC).date())]
    return [FeedbackFile(name, kind_of(name, kinds)) for name in names]


def kind_of(name: str, kinds: Sequence[str]) -> str:
    """Return the kind of feedback that a file holds, by its path, or the only one that is asked for."""
    for kind in KINDS:
        if f"/kind={kind}/" in name:
            return kind
    if name.endswith(PARQUET):
        return ""
    if len(kinds) != 1:
        raise ConfigurationError(
            f"{name!r} does not say which kind of feedback it holds; give exactly one kind", setting="kinds"
        )
    return kinds[0]


def events_of(file: FeedbackFile, setting: str = "source_path") -> Iterator[FeedbackEvent]:
    """Yield the events of a file, one after the other, in its order.

    :raises ConfigurationError: at a line that is not a row.
    """
    with open_binary(file.name, setting) as stream:
        if file.name.endswith(PARQUET):
            yield from parquet_events(stream, file.name, setting)
        else:
            yield from ndjson_events(stream, file.name, file.kind, setting)


def _names(source: Source, kinds: Sequence[str], setting: str) -> list[str]:
    if isinstance(source, Mapping):
        named = source.get("files", source.get("segments"))
        if named is None:
            message = "it is neither a landing's result nor a batch of segments: it names no files"
            raise ConfigurationError(message, setting=setting)
        return [str(name) for name in named]
    if not isinstance(source, str):
        # A file that is named twice is read once.
        return list(dict.fromkeys(name for each in source for name in _names(each, kinds, setting)))
    path = storage_path(source, setting)
    # The path's own methods may use another file system than the one that is attached in Airflow.
    if not path.fs.exists(path.path):
        raise ConfigurationError(f"there is nothing at {source!r}", setting=setting)
    if not path.fs.isdir(path.path):
        return [source]
    names: list[str] = []
    for folder in (f"/kind={kind}/" for kind in kinds):
        found = path.fs.find(path.path.rstrip("/") + folder)
        names += [source.rstrip("/") + folder + name.rpartition(folder)[2] for name in found]
    if not names and not any(path.fs.exists(f"{path.path.rstrip('/')}/kind={kind}") for kind in KINDS):
        raise ConfigurationError(
            f"the folder {source!r} has no kind=… below it, as a landing or a receiver of webhooks writes them",
            setting=setting,
        )
    # Not the parts that a landing is writing at this moment, or left behind when it was killed.
    return sorted(name for name in names if name.endswith(SUFFIXES))


def _is_asked_for(name: str, kinds: Sequence[str]) -> bool:
    """Leave out the segments of other kinds, of messages sent for instance; a landed file is taken as it is named."""
    segment = Segment.parse(name)
    return segment is None or segment.kind in kinds


def _is_before(name: str, day: date) -> bool:
    found = _DATE.search(name)
    return found is not None and found[1] < day.isoformat()
