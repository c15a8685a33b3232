from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_messaging.vendors.pressnxpress.spellings import Spellings

Rows = list[tuple[list[str], bool]]


def judged(spellings: Spellings, rows: Rows) -> list[dict[str, str]]:
    """What each row is told; of those that are told nothing, the ones that are sent are noted."""
    found = []
    for number, (names, otherwise_valid) in enumerate(rows):
        differing = spellings.differing(names, number)
        if otherwise_valid and not differing:
            spellings.note(names, number)
        found.append(differing)
    return found


def test_the_first_row_says_how_an_attribute_is_spelt() -> None:
    [first, second, third] = judged(Spellings(), [(["orderId"], True), (["orderid", "City"], True), (["city"], True)])
    assert (first, third) == ({}, {})
    assert list(second) == ["orderid"]
    assert second["orderid"].startswith("is spelt 'orderId' in row 0: the vendor tells upper from lower case")


def test_a_name_given_beforehand_outranks_the_rows() -> None:
    [first, second] = judged(Spellings(["orderId"]), [(["OrderID"], True), (["orderId"], True)])
    assert first["OrderID"].startswith("must be spelt 'orderId'")
    assert second == {}


def test_two_spellings_in_one_row_are_told_where_the_second_stands() -> None:
    [told] = judged(Spellings(), [(["orderId", "ORDERID"], True)])
    assert list(told) == ["ORDERID"]
    assert "'orderId' in the same row" in told["ORDERID"]


def test_a_row_that_is_not_sent_says_nothing_about_spelling() -> None:
    assert judged(Spellings(), [(["ORDERID"], False), (["orderId"], True), (["orderId"], True)]) == [{}, {}, {}]


def test_letters_without_a_simple_lower_case_are_compared_as_well() -> None:
    [_, told] = judged(Spellings(), [(["straße"], True), (["STRASSE"], True)])
    assert list(told) == ["STRASSE"]


_NAMES = st.lists(st.sampled_from(["a", "A", "b", "B", "ab", "aB", "Ab"]), unique=True, max_size=3)
_ROWS = st.lists(st.tuples(_NAMES, st.booleans()), max_size=12)


@given(_ROWS, st.lists(st.integers(0, 12), max_size=4))
def test_every_pass_over_the_same_rows_gives_the_same_answer(rows: Rows, ends: list[int]) -> None:
    expected = judged(Spellings(), rows)
    spellings = Spellings()
    for end in (*ends, len(rows), len(rows)):
        assert judged(spellings, rows[:end]) == expected[:end]
