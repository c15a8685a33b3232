"""What a test may set about this vendor's behaviour."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

ACCOUNT = "sandbox-account"
CLIENT_ID = "sandbox"
CLIENT_SECRET = "sandbox-secret"

Seconds = Annotated[float, msgspec.Meta(ge=0)]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Times are in seconds. Reads apply the settings of their moment, to messages accepted before as well."""

    accounts: tuple[str, ...] = (ACCOUNT,)
    """Accounts that the credential may ask tokens for."""
    token_lifetime: Annotated[float, msgspec.Meta(gt=0)] = 7200
    token_expires_in: int | None = None
    """``expires_in`` of the token answer; None tells the truth."""
    require_content_type: bool = False
    """Refuse reads without ``Content-Type``, which the page marks as required of them, too."""
    check_rules: bool = True
    """False skips the rules of single fields and keeps the limits: for measuring clients, not for tests."""
    send_answer: Literal["empty", "json"] = "empty"
    """How a send is accepted: 202 without a body, or 200 with a JSON body."""
    clock_skew: float = 0
    """How far this vendor's clock is ahead: shifts its timestamps, not the moment something appears."""
    tracking_lag: Seconds = 0
    """From an event until a tracking look-up shows it."""
    tracking_unknown: Literal["not_found", "empty"] = "not_found"
    """The answer for a reference without events: 404, or 200 with an empty list."""
    feedback_delay: Seconds = 0
    """From acceptance until the bounce, complaint or unsubscribe happens and is listed."""
    feedback_order: Literal["arrival", "shuffled", "newest"] = "arrival"
    feedback_lateness: Seconds = 0
    """Rows are listed late, each by a delay of its own, of up to this long; their timestamps do not tell."""
    feedback_copies: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Every so-manieth row is listed a second time, in another spelling and with another delay; 0: none."""
    feedback_now: str | None = None
    """The moment of feedback reads, ISO 8601: rows are listed by it, seeded ones too. None: the true time."""
    feedback_step: Seconds = 0
    """How much later than ``feedback_now`` each read is than the one before it."""
    feedback_links: bool = False
    """Give an ``@next_link`` with a feedback page that is followed by another."""
    webhook_delay: Seconds = 0
    """From an event until it is posted to the subscriptions."""
    webhook_disorder: Seconds = 0
    """Posts wait for up to this long, each by a time of its own: they come in another order."""
    webhook_duplicates: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Every so-manieth event is posted twice, although it was taken; 0: none."""
    webhook_losses: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Every so-manieth event is never posted; 0: none."""
    webhook_backoff: Seconds = 1
    """From a post that nobody took to the second attempt; doubled for each one after that."""
    webhook_content_type: Literal["application/json", "application/cloudevents+json"] = "application/json"
    """What posts are declared as: the page's own words, or those of CloudEvents."""
    archive_default: bool = False
    """Whether messages that do not say are archived."""
    archive_delay: Seconds = 0
    archive_limit: Literal["matching", "profile"] = "matching"
    """What a listing's limit of 100 is counted in: the messages of the days asked for, or all of the profile."""
    archive_delete_delay: Seconds = 0
    """From deleting a profile's messages until they are gone."""
    push_app_configured: bool = True
    push_providers: tuple[str, ...] = ("apple", "google", "huawei")
    """Providers with credentials."""
