"""What a test may set about this vendor's behaviour."""

from __future__ import annotations

from typing import Literal

import msgspec

ORGANIZATION = "sandbox-organization"
API_KEY = "sandbox-api-key"
TOUCHPOINT_TOKEN = "sandbox-touchpoint"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the page leaves open: the status of a success, what an error says, whether a second spelling is an error."""

    accepted_status: Literal[200, 201, 202] = 200
    strict_attribute_case: bool = False
    """Refuse a contact that spells an attribute in another case than an earlier one, in place of storing it."""
    echo_url: bool = False
    """Begin the message of an error with the URL that was asked for, secrets included, as many servers do."""
