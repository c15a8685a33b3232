"""E-mail addresses, in one spelling each."""

from __future__ import annotations

import re
from functools import cache

_LONGEST = 254
_PLAIN = re.compile(
    r"(?P<local>[a-z0-9_!#$%&'*+\-/=?^`{|}~]+(?:\.[a-z0-9_!#$%&'*+\-/=?^`{|}~]+)*)"
    r"@(?:(?!..--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?P<top>[a-z]{2,63})",
    re.IGNORECASE | re.ASCII,
)


def normalise(text: str) -> str:
    """Return an e-mail address with its domain in lower case and all of it in Unicode's form NFC.

    International addresses are addresses; so are those of ``example.com`` and ``.test``. Names under which no mail can
    arrive (``.invalid``, ``.local``, ``localhost``) are none, nor are quoted local parts and addresses with a name
    beside them. White space around it is ignored. Nothing is asked of the DNS.

    :raises ValueError: saying what is wrong with it.
    """
    address = text.strip()
    plain = _PLAIN.fullmatch(address) if len(address) <= _LONGEST else None
    if plain is not None and not _is_special(plain["local"], plain["top"]):
        at = len(plain["local"])
        return address[:at] + address[at:].lower()
    return _validate(address)


def _validate(address: str) -> str:
    """Return what the library makes of an address; `normalise` knows most answers without it, thirty times faster."""
    from email_validator import EmailNotValidError, validate_email

    # The library takes its time over an endless text.
    if len(address) > 4 * _LONGEST:
        raise ValueError("The email address is too long.")
    try:
        normalised = validate_email(address, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        raise ValueError(str(error)) from None
    if "." not in normalised.rpartition("@")[2]:
        raise ValueError("The part after the @-sign is not valid. It should have a period.")
    return normalised


def _is_special(local: str, top: str) -> bool:
    """Tell whether the library treats such a local part or top-level domain in a way of its own."""
    mailboxes, tops = _special()
    return local.lower() in mailboxes or top.lower() in tops


@cache
def _special() -> tuple[frozenset[str], frozenset[str]]:
    from email_validator import SPECIAL_USE_DOMAIN_NAMES
    from email_validator.rfc_constants import CASE_INSENSITIVE_MAILBOX_NAMES

    return (
        frozenset(CASE_INSENSITIVE_MAILBOX_NAMES),
        frozenset(name.rpartition(".")[2] for name in SPECIAL_USE_DOMAIN_NAMES),
    )
