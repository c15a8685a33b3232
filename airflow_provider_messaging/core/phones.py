"""Phone numbers, in one spelling each."""

from __future__ import annotations

import re

_LETTER = re.compile(r"[^\W\d_]")
_LONGEST = 100


def normalise(text: str, default_region: str | None = None) -> str:
    """Return a phone number in E.164: ``+`` and digits, country code first.

    Spaces, dashes, dots and brackets are ignored. A number is taken when its length fits its country: whether it is
    assigned is for the vendor to say, since tables of assigned ranges grow old.

    :param default_region: the country (``DE``) of numbers without a country code; without it, they are refused.
    :raises ValueError: saying what is wrong with it.
    """
    import phonenumbers
    from phonenumbers import NumberParseException, ValidationResult

    region = known_region(default_region) if default_region else None
    if len(text) > _LONGEST or _LETTER.search(text):
        raise ValueError("it must consist of digits, with + and the country code first")
    try:
        number = phonenumbers.parse(text, region)
    except NumberParseException as error:
        raise ValueError(_REASONS.get(error.error_type, "it is no phone number")) from None
    if number.extension:
        raise ValueError("it has an extension")
    verdict = phonenumbers.is_possible_number_with_reason(number)
    if verdict != ValidationResult.IS_POSSIBLE:
        raise ValueError(_VERDICTS.get(verdict, f"its length does not fit the country code +{number.country_code}"))
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def known_region(text: str) -> str:
    """Return the two letters of a country in upper case.

    :raises ValueError: if there is no such country.
    """
    from phonenumbers import SUPPORTED_REGIONS

    region = text.upper()
    if region not in SUPPORTED_REGIONS:
        raise ValueError(f"{text!r} is no country: two letters are expected, such as DE")
    return region


_REASONS = {
    0: "it has no known country code: write it as +49…, or give the country of such numbers",
    1: "it is no phone number",
    2: "it is too short after the international prefix",
    3: "it is too short",
    4: "it is too long",
}
"""By the library's `NumberParseException.error_type`."""
_VERDICTS = {
    2: "it is too short for its country",
    3: "it is too long for its country",
    4: "it has no area code",
}
"""By the library's `ValidationResult`."""
