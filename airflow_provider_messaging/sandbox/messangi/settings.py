"""What a test may set about this vendor's behaviour."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

ACCOUNT = "sandbox-account"
USERNAME = "sandbox@example.com"
PASSWORD = "sandbox-password"
API_KEY = "sandbox-api-key"
TWO_FACTOR_TOKEN = "sandbox-2fa-token"
SUBSCRIBERS_PREFIX = "/dothraki/v1"
"""Invented: the vendor does not publish below which path its lists, subscribers and owners are."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Times are in seconds."""

    token_lifetime: Annotated[float, msgspec.Meta(gt=0)] = 86_400
    login_header_form: Literal["bearer", "bare"] = "bearer"
    """What the login's ``Authorization`` header holds: ``Bearer`` and the token, or the token alone."""
    api_key_expired: bool = False
    two_factor: bool = False
    """Answer 402 to every request but the login without the right ``CB-2FA-Token`` header."""
    send_form: Literal["flat", "envelope"] = "flat"
    """Where a send's and a look-up's answer has its members: at the top, or in the ``data`` of the page's envelope."""
    accepted_status: Literal["ACCEPTED", "QUEUE"] = "ACCEPTED"
    lookup_by_external_id: bool = True
    """Whether an SMS is found by the sender's id as well as by the vendor's."""
    lookup_lag: Annotated[float, msgspec.Meta(ge=0)] = 0
    """From an SMS until a look-up finds it."""
    next_at_end: Literal["null", "empty", "missing"] = "null"
    """What the last page says of the page behind it."""
    repeat_page: bool | Literal["first"] = False
    """Let no listing end: a page is followed by itself, or the last one by the first."""
