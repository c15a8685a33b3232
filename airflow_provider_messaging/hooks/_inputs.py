"""Reading the arguments that several operators and sensors share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import msgspec

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.core.times import parse_timestamp
from airflow_provider_messaging.delivery.source import BadLine
from airflow_provider_messaging.hooks._storage import lines_of, open_binary


def as_moment(value: Any, setting: str) -> datetime | None:
    """Return an aware moment of ISO 8601 text, a date or a datetime; a date is its midnight, no offset means UTC.

    :raises ConfigurationError: if it is none of these.
    """
    if value is None or value == "":
        return None
    text = value.isoformat() if isinstance(value, date) else str(value)
    try:
        return parse_timestamp(f"{text}T00:00:00Z" if len(text) == len("2026-01-01") else text).astimezone(UTC)
    except ValueError:
        raise ConfigurationError(f"{setting} is {text!r}, not an ISO 8601 date or time", setting=setting) from None


def listed(value: Any, setting: str) -> list[Any]:
    """Return a list that was given as such, or as the JSON that a template made of it.

    :raises ConfigurationError: if it is neither.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if not isinstance(value, Iterable) or isinstance(value, dict | str | bytes):
        raise ConfigurationError(
            f"{setting} must be a list; from another task, pass its output itself ({setting}=other.output) rather than "
            "a template that turns it into text",
            setting=setting,
        )
    return list(value)


def profiles_of(path: str, setting: str = "profile_ids_path") -> Iterator[str]:
    """Yield the profiles that a file names, each once: a line is the profile, or JSON with it.

    :raises ConfigurationError: at a line that names none.
    """
    seen: set[str] = set()
    with open_binary(path, setting) as stream:
        for number, line in enumerate(stream):
            text = line.decode("utf-8-sig" if number == 0 else "utf-8", "surrogateescape").strip()
            if not text:
                continue
            profile = _profile(text)
            if not profile or not profile.isprintable():
                raise ConfigurationError(f"line {number} of {path!r} names no profile", setting=setting)
            if profile not in seen:
                seen.add(profile)
                yield profile


def _profile(text: str) -> str | None:
    if text[0] not in '"{':
        return text
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        return None
    if isinstance(value, dict):
        value = value.get("profile")
    return value if isinstance(value, str) else None


def manifest_lines(path: str, setting: str = "manifest_path") -> Iterator[dict[str, Any]]:
    """Yield the lines of a manifest whose messages the vendor accepted.

    :raises ConfigurationError: at a line that is none of a manifest.
    """
    for number, line in enumerate(lines_of(path, setting)()):
        if isinstance(line, BadLine) or not isinstance(line, dict) or not isinstance(line.get("reference"), str):
            raise ConfigurationError(f"line {number} of {path!r} is not a line of a manifest", setting=setting)
        if line.get("outcome", "accepted") == "accepted":
            yield line
