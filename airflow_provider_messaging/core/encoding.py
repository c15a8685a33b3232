"""Rows as JSON, whatever the task before made of them."""

from __future__ import annotations

import msgspec

from airflow_provider_messaging.core.errors import ValidationError


def encode_json(document: object) -> bytes:
    """Return a document as JSON.

    :raises ValidationError: if it holds what JSON can't; the text does not repeat it.
    """
    try:
        return _ENCODER.encode(document)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValidationError(f"can't be written as JSON: {type(error).__name__}") from None


def _plain(value: object) -> object:
    """Strings of a class of their own (templating engines have such) are strings."""
    if isinstance(value, str):
        return str.__str__(value)
    raise TypeError(f"{type(value).__name__} is no JSON type")


_ENCODER = msgspec.json.Encoder(enc_hook=_plain)
