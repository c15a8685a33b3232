"""What a test may set about this vendor's behaviour."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

CUSTOMER_ID = "eocm-Sandbox-Company"
CLIENT_ID = "sandbox-client"
SECRET = "sandbox-secret"

Optional = Literal["communication", "project", "reply_to", "sender", "sender_name", "subject"]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Times are in seconds. Reads apply the settings of their moment, to earlier requests as well."""

    customers: tuple[str, ...] = (CUSTOMER_ID,)
    """Companies that the credentials may ask tokens for."""
    token_lifetime: Annotated[float, msgspec.Meta(gt=0)] = 3600
    token_form: Literal["string", "object_token", "object_access_token"] = "string"
    """A bare JSON string, as in the vendor's example, or an object with the token as ``token`` or ``access_token``."""
    token_has_exp: bool = True
    """Whether the token tells when it expires; it does so in any case."""
    send_requires: tuple[Optional, ...] = ("communication",)
    """What a send cannot do without, beside the dataset and the path to its addresses."""
    send_delay: Annotated[float, msgspec.Meta(ge=0)] = 0.5
    """From accepting a send until its status is a final one: half of it PENDING, half of it PROCESSING."""
    already_listed: Literal["ok", "conflict"] = "ok"
    """The answer for an address that is on the blacklist already: 200, or 409."""
    list_form: Literal["array", "items"] = "array"
    """A listing is a JSON array, or an object with the array as ``items``."""
    paging: Literal["honoured", "ignored"] = "honoured"
    """Whether ``limit`` and ``offset`` are followed; ignored, every page is the whole listing."""
    page_limit: Annotated[int, msgspec.Meta(ge=1)] = 1000
    """Rows of a page at most, whatever ``limit`` asks for."""
