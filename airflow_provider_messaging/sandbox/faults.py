"""Faults to order: which requests they befall, how often, and what happens then."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Annotated, Any, Literal

import msgspec

from airflow_provider_messaging.sandbox.http import Answer, InvalidOrder

Seconds = Annotated[float, msgspec.Meta(ge=0)]


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault as it is ordered.

    ``latency`` waits ``delay`` seconds; it composes with every other fault. Of the others, the first one that
    fires is applied: ``status`` answers an error, ``drop`` closes the connection without an answer, ``hang``
    never answers, ``truncate`` breaks off in the middle of the body, ``malformed`` answers 2xx with broken
    JSON, ``expire_token`` makes all tokens invalid before the request is handled.
    """

    fault: Literal["latency", "status", "drop", "truncate", "malformed", "expire_token", "hang"]
    vendor: str = "*"
    operation: str = "*"
    when: Literal["before", "after"] = "before"
    """Before the request is processed, or after; ``truncate`` and ``malformed`` always process it."""
    status: Annotated[int, msgspec.Meta(ge=200, le=599)] = 500
    retry_after: int | str | None = None
    """Seconds, ``http-date:N`` for the date N seconds from then on, or any other text verbatim."""
    headers: dict[str, str] = {}
    """Further headers of a ``status`` answer, a Location for instance."""
    body: str | None = None
    """Body of a ``status`` answer in place of the vendor's own form."""
    delay: Seconds = 0.0
    times: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """How often it fires at most; None is always."""
    skip: Annotated[int, msgspec.Meta(ge=0)] = 0
    """How many matching requests pass before it may fire."""
    probability: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    seed: int = 0

    def befalls(self, vendor: str, operation: str) -> bool:
        return self.vendor in ("*", vendor) and self.operation in ("*", operation)

    def answer(self, problem: Answer) -> Answer:
        """The answer of a ``status`` fault, made of the vendor's own ``problem``."""
        headers = [*problem.headers, *self.headers.items()]
        if self.retry_after is not None:
            headers.append(("Retry-After", _retry_after(self.retry_after)))
        body = problem.body if self.body is None else self.body.encode()
        return Answer(self.status, body, problem.content_type, tuple(headers))


def _retry_after(value: int | str) -> str:
    text = str(value)
    if text.startswith("http-date:"):
        return formatdate(time.time() + float(text.removeprefix("http-date:")), usegmt=True)
    return text


@dataclass(slots=True)
class _Armed:
    fault: Fault
    random: random.Random
    matched: int = 0
    fired: int = 0

    def fires(self) -> bool:
        self.matched += 1
        fault = self.fault
        if self.matched <= fault.skip or (fault.times is not None and self.fired >= fault.times):
            return False
        if fault.probability < 1 and self.random.random() >= fault.probability:
            return False
        self.fired += 1
        return True


@dataclass(frozen=True, slots=True)
class Draw:
    """The faults of one request."""

    chosen: Fault | None = None
    delay_before: float = 0.0
    delay_after: float = 0.0
    applied: str | None = None
    """What the request log shows: the kinds that fired, with a plus between them."""


UNHARMED = Draw()


class Faults:
    """The faults in force, in the order they were given."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []

    def add(self, faults: Iterable[Fault]) -> None:
        self._armed.extend(_Armed(fault, random.Random(fault.seed)) for fault in faults)

    def clear(self, vendor: str | None = None) -> None:
        """Take back all faults, or those ordered for ``vendor`` by name."""
        self._armed = [armed for armed in self._armed if vendor is not None and armed.fault.vendor != vendor]

    def report(self) -> list[dict[str, Any]]:
        """Every fault with how many requests it ``matched`` and how often it ``fired``."""
        return [
            {**msgspec.structs.asdict(armed.fault), "matched": armed.matched, "fired": armed.fired}
            for armed in self._armed
        ]

    def draw(self, vendor: str, operation: str) -> Draw:
        """Decide what befalls this request."""
        if not self._armed:
            return UNHARMED
        chosen: Fault | None = None
        delays = {"before": 0.0, "after": 0.0}
        applied: list[str] = []
        for armed in self._armed:
            fault = armed.fault
            latency = fault.fault == "latency"
            if (chosen is not None and not latency) or not fault.befalls(vendor, operation) or not armed.fires():
                continue
            delays[fault.when] += fault.delay
            applied.append(fault.fault if latency else f"{fault.fault}/{fault.when}")
            if not latency:
                chosen = fault
        return Draw(chosen, delays["before"], delays["after"], "+".join(applied) or None)


def read_faults(body: bytes, operations: dict[str, frozenset[str]]) -> list[Fault]:
    """Read one fault or a list of them from JSON.

    :param operations: what each vendor offers; a fault for anything else is a typing error.
    :raises InvalidOrder: a fault is malformed, or names an unknown vendor or operation.
    """
    try:
        faults = msgspec.json.decode(body, type=list[Fault] | Fault)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidOrder(str(error)) from None
    faults = [faults] if isinstance(faults, Fault) else faults
    for fault in faults:
        if fault.vendor != "*" and fault.vendor not in operations:
            raise InvalidOrder(f"unknown vendor {fault.vendor!r}; there are {sorted(operations)}")
        offered = frozenset[str]().union(*operations.values()) if fault.vendor == "*" else operations[fault.vendor]
        if fault.operation != "*" and fault.operation not in offered:
            raise InvalidOrder(f"unknown operation {fault.operation!r}; there are {sorted(offered)}")
        if isinstance(fault.retry_after, str) and fault.retry_after.startswith("http-date:"):
            _check_number(fault.retry_after)
    return faults


def _check_number(text: str) -> None:
    try:
        float(text.removeprefix("http-date:"))
    except ValueError:
        raise InvalidOrder(f"retry_after {text!r}: seconds are missing behind http-date:") from None
