"""No form of a secret passes the redactor."""

from __future__ import annotations

import re
from urllib.parse import quote, quote_plus

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_messaging.core.redact import Redactor, fingerprint

secrets = st.text(st.characters(codec="utf-8"), min_size=4, max_size=30)


@given(st.lists(secrets, min_size=1, max_size=4), st.text(max_size=20), st.text(max_size=20))
def test_no_known_form_is_left(known: list[str], before: str, after: str) -> None:
    redact = Redactor(known)
    for secret in known:
        escaped = quote(secret, safe="")
        lower = re.sub("%..", lambda found: found[0].lower(), escaped)
        for form in (secret, escaped, lower, quote_plus(secret), quote(secret, safe="!*'()")):
            cleaned = redact(before + form + after)
            assert form not in cleaned or form in redact("")
            assert cleaned == redact(cleaned) or "***" in cleaned


def test_a_secret_that_contains_another_is_hidden_whole() -> None:
    assert Redactor(["abcd", "abcdefgh"])("x abcdefgh y abcd") == "x *** y ***"


def test_other_text_stays() -> None:
    assert Redactor(["s3cret", None, ""])("nothing to hide") == "nothing to hide"


def test_a_fingerprint_tells_secrets_apart_and_shows_none() -> None:
    prints = {fingerprint(secret) for secret in ("s3cret", "s3creT", "", "\ud800")}
    assert len(prints) == 4
    assert not any("s3cre" in each for each in prints)


def test_its_repr_shows_no_secret() -> None:
    assert "s3cret" not in repr(Redactor(["s3cret"]))
