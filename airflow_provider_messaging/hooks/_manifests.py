"""Manifests of what was sent, read back."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.delivery.attribution import Sent
from airflow_provider_messaging.hooks._feedback_files import Source
from airflow_provider_messaging.hooks._storage import open_binary, storage_path
from airflow_provider_messaging.vendors.marigold.segments import DELIVERIES
from airflow_provider_messaging.vendors.marigold.webhooks import SENT, canonical_type

SUFFIXES = (".ndjson", ".ndjson.gz")
_MAGIC = re.compile(r"[*?\[]")
_SENT_SEGMENTS = f"/kind={DELIVERIES}"
_PART = re.compile(r"\.part-\d+$")
"""What is being written at this moment, or was when its task was killed."""


class _Line(msgspec.Struct, gc=False):
    reference: str
    recipient: str
    outcome: str = "accepted"


class _SentTo(msgspec.Struct, gc=False):
    external_reference: str
    recipient: str


class _SentEvent(msgspec.Struct, gc=False):
    """The webhook's event of a message sent: it knows the recipient as a manifest does."""

    type: str
    specversion: str
    data: _SentTo


_DECODER = msgspec.json.Decoder(_Line)
_EVENTS = msgspec.json.Decoder(_SentEvent)


def manifest_files(source: Source, setting: str = "manifest_path") -> list[str]:
    """Return the manifests: of a file, a glob, a folder of manifests, a list of these, or the result of a send.

    :raises ConfigurationError: if there is none at one of the places.
    """
    if isinstance(source, Mapping):
        if not isinstance(source.get("manifest_path"), str):
            raise ConfigurationError(
                f"{setting} is not the result of a send with a manifest: it names no manifest_path", setting=setting
            )
        source = str(source["manifest_path"])
    if isinstance(source, str):
        return _found(source, setting)
    # What is named twice, by overlapping globs for instance, is read once.
    return list(dict.fromkeys(name for each in source for name in manifest_files(each, setting)))


def sent_messages(name: str, setting: str = "manifest_path") -> Iterator[Sent]:
    """Yield the messages of a manifest that were sent, or may have been; or those of a segment of deliveries.

    A message that the vendor refused was not, and its reference may have been used again for another recipient.

    :raises ConfigurationError: at a line that is none of a manifest.
    """
    number = -1
    with open_binary(name, setting) as stream:
        try:
            for number, line in enumerate(stream):  # noqa: B007
                if text := line.strip():
                    sent = _sent(text)
                    if sent is not None:
                        yield sent
        except (msgspec.DecodeError, UnicodeDecodeError):
            message = f"line {number} of {name!r} is not a line of a manifest of messages to recipients"
            raise ConfigurationError(message, setting=setting) from None
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            message = f"{name!r} is damaged behind line {number} ({error}): have it written again"
            raise ConfigurationError(message, setting=setting) from None


def _sent(line: bytes) -> Sent | None:
    try:
        read = _DECODER.decode(line)
    except msgspec.ValidationError:
        event = _EVENTS.decode(line)
        if canonical_type(event.type) != SENT:
            return None
        return Sent(event.data.external_reference, event.data.recipient, True)
    return None if read.outcome == "rejected" else Sent(read.reference, read.recipient, read.outcome == "accepted")


def _found(source: str, setting: str) -> list[str]:
    path = storage_path(source, setting)
    # The path's own methods may use another file system than the one that is attached in Airflow.
    if path.fs.isdir(path.path):
        names = _named(source.rstrip("/"), setting, path.fs.find(path.path))
        return [name for name in names if name.endswith(SUFFIXES)]
    if source.rstrip("/").endswith(_SENT_SEGMENTS) and not path.fs.exists(path.path):
        # The receiver makes the folder with the first segment; until then nobody has been told of a message.
        return []
    magic = _MAGIC.search(source)
    if magic is None or path.fs.exists(path.path):
        return [source]
    found = (name for name, info in path.fs.glob(path.path, detail=True).items() if info["type"] == "file")
    names = _named(source[: magic.start()].rpartition("/")[0], setting, found)
    if not names:
        raise ConfigurationError(f"no file is called {source!r}", setting=setting)
    return names


def _named(folder: str, setting: str, names: Iterable[str]) -> list[str]:
    """Return files as they are called below the folder as it was given, with its scheme and connection."""
    path = storage_path(folder or ".", setting)
    inner = str(path.fs._strip_protocol(path.path)).rstrip("/")
    below = sorted(name[name.index(inner) + len(inner) :].lstrip("/") for name in names if not _PART.search(name))
    return [f"{folder}/{name}" if folder else name for name in below]
