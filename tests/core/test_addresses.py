from __future__ import annotations

import subprocess
import sys

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_messaging.core.addresses import normalise


@pytest.mark.parametrize(
    ("given_text", "normalised"),
    [
        ("jane.doe@example.com", "jane.doe@example.com"),
        ("Jane.Doe@EXAMPLE.Com", "Jane.Doe@example.com"),
        (" jane@example.com\n", "jane@example.com"),
        ("jane+news@mail.test", "jane+news@mail.test"),
        ("INFO@example.com", "info@example.com"),
        ("jane@xn--bcher-kva.example", "jane@bücher.example"),
        ("jane@BÜCHER.example", "jane@bücher.example"),
        ("ju\u0308rgen@example.com", "jürgen@example.com"),
        ("葉士豪@臺網中心.tw", "葉士豪@臺網中心.tw"),
    ],
)
def test_an_address_has_one_spelling(given_text: str, normalised: str) -> None:
    assert normalise(given_text) == normalised
    assert normalise(normalised) == normalised


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "must have an @-sign"),
        ("jane.example.com", "must have an @-sign"),
        ("jane@", "something after the @-sign"),
        ("@example.com", "something before the @-sign"),
        ("jane@example", "should have a period"),
        ("jane@test", "should have a period"),
        ("jane..doe@example.com", "two periods"),
        ("jane doe@example.com", "invalid characters"),
        ("jane@example.com, joe@example.com", "invalid characters"),
        ("Jane <jane@example.com>", "display name"),
        ('"jane doe"@example.com', "Quoting"),
        ("jane@[127.0.0.1]", "bracketed IP address"),
        ("jane@printer.local", "special-use"),
        ("jane@example.invalid", "special-use"),
        ("jane@ab--example.com", "two dashes"),
        ("j" * 250 + "@example.com", "too long"),
        ("j" * 100_000 + "@example.com", "too long"),
        ("jane@example.com\r\nBcc: joe@example.com", "invalid characters"),
    ],
)
def test_what_is_no_address_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        normalise(text)
    assert not isinstance(caught.value, EmailNotValidError), "the library stays inside"


def _asked_of_the_library(text: str) -> str | None:
    try:
        address = validate_email(text.strip(), check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:
        return None
    return address if "." in address.rpartition("@")[2] else None


def _asked_of_us(text: str) -> str | None:
    try:
        return normalise(text)
    except ValueError:
        return None


_LABELS = st.one_of(
    st.from_regex(r"[a-zA-Z0-9-]{1,8}", fullmatch=True),
    st.sampled_from(["xn--bcher-kva", "ab--c", "a" * 63, "a" * 64, "com", "TEST", "local", "Onion", "arpa", "c-", "1"]),
)
_LOCAL = st.one_of(
    st.from_regex(r"[a-zA-Z0-9_!#$%&'*+/=?^`{|}~.-]{1,12}", fullmatch=True),
    st.sampled_from(["info", "Sales", "WWW", "a" * 64, "a" * 200, ".a", "a.", "a..b", '"a"', "a<b", "ä"]),
)
_ADDRESSES = st.builds(
    lambda local, labels: f"{local}@{'.'.join(labels)}", _LOCAL, st.lists(_LABELS, min_size=1, max_size=5)
)


@settings(max_examples=1_500, deadline=None)
@given(_ADDRESSES | st.text(alphabet='aA0.@-_"<> ,é\u0308\u2024\n', max_size=20))
@example("a@" + ".".join(["a" * 63] * 3 + ["a" * 56, "de"]))
@example("a@" + ".".join(["a" * 63] * 3 + ["a" * 57, "de"]))
@example("a@b.c")
@example("a@b.c1")
@example("\u212aa@\u212a.com")
def test_the_short_way_says_what_the_library_says(text: str) -> None:
    assert _asked_of_us(text) == _asked_of_the_library(text)


def test_importing_the_module_does_not_import_the_library() -> None:
    code = (
        "import sys, airflow_provider_messaging.core.addresses, airflow_provider_messaging.core.phones;"
        "assert not {'email_validator', 'phonenumbers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
