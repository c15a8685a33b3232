"""Reading ``Name <address>``."""

from __future__ import annotations

import time

import pytest

from airflow_provider_messaging.vendors.marigold.shortform import ShortForm, parse_mailbox


@pytest.mark.parametrize(
    ("text", "alias", "address"),
    [
        ("jane@example.com", None, "jane@example.com"),
        ("<jane@example.com>", None, "jane@example.com"),
        ("Jane <jane@example.com>", "Jane", "jane@example.com"),
        ("Jane Doe<jane@example.com>", "Jane Doe", "jane@example.com"),
        ("  Jane  Doe  < jane@example.com > ", "Jane  Doe", "jane@example.com"),
        ('"Doe, Jane" <jane@example.com>', "Doe, Jane", "jane@example.com"),
        ('"Jane \\"JD\\" Doe" <jane@example.com>', 'Jane "JD" Doe', "jane@example.com"),
        ('"back\\\\slash" <jane@example.com>', "back\\slash", "jane@example.com"),
        ('"jane@example.com" <jane@example.com>', "jane@example.com", "jane@example.com"),
        ('"a <b@c>" <jane@example.com>', "a <b@c>", "jane@example.com"),
        ('Jane "JD" Doe <jane@example.com>', "Jane JD Doe", "jane@example.com"),
        ("Jürgen Größe <j@example.com>", "Jürgen Größe", "j@example.com"),
        ("Jane (Sales) <jane@example.com>", "Jane (Sales)", "jane@example.com"),
        ("O'Hara <o@example.com>", "O'Hara", "o@example.com"),
        ('"" <jane@example.com>', None, "jane@example.com"),
    ],
)
def test_a_mailbox_is_split(text: str, alias: str | None, address: str) -> None:
    expected = {"address": address} if alias is None else {"alias": alias, "address": address}
    assert parse_mailbox(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Jane",
        "a@example.com, b@example.com",
        "A <a@example.com>, B <b@example.com>",
        "A <a@example.com>; B <b@example.com>",
        "a@example.com <b@example.com>",
        "Doe, Jane <jane@example.com>",
        '"Doe, Jane <jane@example.com>',
        "Jane <jane@example.com",
        "Jane <<jane@example.com>>",
        "Jane <jane@example.com> x",
        "Jane <jane@example.com>\n",
        "Team: Jane <jane@example.com>;",
    ],
)
def test_what_is_not_one_mailbox_stays_whole(text: str) -> None:
    assert parse_mailbox(text) == {"address": text}


@pytest.mark.parametrize("text", ["a" * 100_000 + "<", '"' + "\\" * 100_001 + "<", '"a"' * 50_000 + "<", "<" * 100_000])
def test_no_text_takes_long(text: str) -> None:
    start = time.process_time()
    parse_mailbox(text)
    assert time.process_time() - start < 1


FORM = ShortForm(
    objects=("headers", "context"),
    required=("headers",),
    places={"to": "headers", "tags": "context"},
    mailboxes=frozenset({"to"}),
    standing_for={"headers": "to"},
)


@pytest.mark.parametrize(
    ("row", "expanded"),
    [
        ({}, {"headers": {}}),
        ({"headers": None, "context": None, "tags": None, "_rejected": {}}, {"headers": {}}),
        ({"to": "A <a@b>", "x": None}, {"x": None, "headers": {"to": {"alias": "A", "address": "a@b"}}}),
        ({"to": {"address": "a@b"}}, {"headers": {"to": {"address": {"address": "a@b"}}}}),
        ({"tags": ["a"]}, {"headers": {}, "context": {"tags": ["a"]}}),
    ],
)
def test_a_row_is_expanded(row: dict[str, object], expanded: dict[str, object]) -> None:
    assert not FORM.is_vendor_form(row)
    assert FORM.expand(row) == expanded


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ((), ()),
        (("x", "y"), ("x", "y")),
        (("headers",), ("to",)),
        (("context",), ("context",)),
        (("headers", "to", "address"), ("to",)),
        (("context", "tags", 2), ("tags", 2)),
    ],
)
def test_a_place_is_shown_as_the_author_wrote_it(location: tuple[str | int, ...], shown: tuple[str | int, ...]) -> None:
    assert FORM.location(location, {}) == shown


PAIRED = ShortForm(
    objects=("headers",),
    required=(),
    places={"extra": "headers"},
    pairs={"extra": "optional"},
)


@pytest.mark.parametrize(
    ("given", "listed"),
    [
        ({"a": "1", "b": None, "c": "3"}, [{"name": "a", "value": "1"}, {"name": "c", "value": "3"}]),
        ({}, []),
        ([{"name": "a", "value": "1"}], [{"name": "a", "value": "1"}]),
        ("a", "a"),
    ],
)
def test_names_and_values_become_a_list(given: object, listed: object) -> None:
    assert PAIRED.expand({"extra": given}) == {"headers": {"optional": listed}}


@pytest.mark.parametrize(
    ("given", "location", "shown"),
    [
        ({"a": "1", "b": None, "c": "3"}, ("headers", "optional", 1, "value"), ("extra", "c")),
        ([{"name": "a"}], ("headers", "optional", 0, "value"), ("extra", 0, "value")),
        ("a", ("headers", "optional"), ("extra",)),
        ({}, ("headers", "optional"), ("extra",)),
    ],
)
def test_a_pair_is_named_by_its_name(given: object, location: tuple[str | int, ...], shown: tuple[str, ...]) -> None:
    assert PAIRED.location(location, {"extra": given}) == shown
