from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_messaging.core.phones import normalise


@pytest.mark.parametrize(
    ("text", "region", "normalised"),
    [
        ("+4930123456", None, "+4930123456"),
        ("+49 (0)30 12-34.56", None, "+4930123456"),
        ("+49 30 / 123456", "US", "+4930123456"),
        ("030 123456", "DE", "+4930123456"),
        ("030 123456", "de", "+4930123456"),
        ("0049 30 123456", "DE", "+4930123456"),
        ("(202) 555-0100", "US", "+12025550100"),
        ("06 12345678", "IT", "+390612345678"),
        ("+٤٩٣٠١٢٣٤٥٦", None, "+4930123456"),
        ("+800 1234 5678", None, "+80012345678"),
    ],
)
def test_a_number_has_one_spelling(text: str, region: str | None, normalised: str) -> None:
    assert normalise(text, region) == normalised
    assert normalise(normalised) == normalised


@pytest.mark.parametrize(
    ("text", "region", "reason"),
    [
        ("", None, "no phone number"),
        ("+", None, "no phone number"),
        ("call me", None, "must consist of digits"),
        ("1-800-FLOWERS", "US", "must consist of digits"),
        ("030 123456", None, "no known country code"),
        ("0049 30 123456", None, "no known country code"),
        ("+999 123456", None, "no known country code"),
        ("+49 1", None, "too short"),
        ("+49 30 1234567890123456", None, "too long"),
        ("+49" + "1" * 30, None, "too long"),
        ("1" * 100_000, None, "must consist of digits"),
        ("+1 555 0100", None, "no area code"),
        ("+49 30 123456 ext. 5", None, "must consist of digits"),
        ("+49 30 123456;5", None, "extension"),
        ("+49 30 123456, 030 99", None, "no phone number"),
        ("030 123456", "XX", "'XX' is no country"),
        ("030 123456", "Germany", "'Germany' is no country"),
    ],
)
def test_what_is_no_number_is_refused_with_the_reason(text: str, region: str | None, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        normalise(text, region)


_REGIONS = sorted(region for region in phonenumbers.SUPPORTED_REGIONS if phonenumbers.example_number(region))


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(_REGIONS),
    st.sampled_from([phonenumbers.PhoneNumberFormat.INTERNATIONAL, phonenumbers.PhoneNumberFormat.NATIONAL]),
)
def test_the_spellings_of_a_country_lead_to_the_same_number(region: str, form: int) -> None:
    number = phonenumbers.example_number(region)
    expected = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    assert normalise(phonenumbers.format_number(number, form), region) == expected


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="+0123456789 ()-.,;#/\u00a0٣ab", max_size=25), st.sampled_from([None, "DE", "US"]))
def test_the_result_is_e164_or_there_is_none(text: str, region: str | None) -> None:
    try:
        number = normalise(text, region)
    except ValueError:
        return
    assert number[0] == "+"
    assert number[1:].isascii()
    assert number[1:].isdigit()
    assert normalise(number) == number
