"""Rows as JSON."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_messaging.core.encoding import encode_json
from airflow_provider_messaging.core.errors import ValidationError


class Markup(str):
    """As templating engines make them."""


def nested(depth: int) -> list[Any]:
    inner: list[Any] = []
    for _ in range(depth):
        inner = [inner]
    return inner


def test_a_string_of_a_class_of_its_own_is_a_string() -> None:
    assert encode_json({"text": Markup("<b>"), "list": [Markup("é")]}) == '{"text":"<b>","list":["é"]}'.encode()


@pytest.mark.parametrize("value", [object(), 1j, "\ud800", {1: 2, (3,): 4}, nested(100_000)])
def test_what_json_can_not_hold_is_told_without_the_value(value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        encode_json({"secret": value})
    assert caught.value.message.startswith("can't be written as JSON: ")
    assert caught.value.__cause__ is None
