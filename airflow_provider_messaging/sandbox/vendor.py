"""What the sandbox needs to know of a vendor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import msgspec

from airflow_provider_messaging.sandbox.deliveries import Deliveries
from airflow_provider_messaging.sandbox.http import Answer, InvalidOrder
from airflow_provider_messaging.sandbox.routing import Route
from airflow_provider_messaging.sandbox.tokens import TokenStore


class Vendor(ABC):
    """One vendor's API below ``/<name>``. Requests, faults and the admin routes are none of its business."""

    name: ClassVar[str]
    settings: msgspec.Struct
    deliveries: Deliveries

    @abstractmethod
    def routes(self) -> Iterable[Route]:
        """Its operations, with paths below ``/<name>``."""

    @abstractmethod
    def connections(self, base_url: str) -> Mapping[str, Mapping[str, Any]]:
        """Airflow connections that reach it, by connection id; ``base_url`` ends in ``/<name>``."""

    @abstractmethod
    def reset(self) -> None:
        """Forget everything, settings included."""

    @abstractmethod
    def expire_tokens(self) -> None:
        """Make every access token that was issued invalid."""

    @abstractmethod
    def problem(self, status: int, detail: str | None = None) -> Answer:
        """An error answer in the form this vendor gives them."""

    def kept(self) -> Mapping[str, Iterable[Any]]:
        """What a test may read beside the deliveries: rows for JSON by kind, made when they are asked for."""
        return {}

    def seed(self, order: Mapping[str, Any]) -> Mapping[str, Any]:
        """Add generated data to read.

        :raises InvalidOrder: the vendor has no such data.
        """
        raise InvalidOrder(f"{self.name} has nothing to seed")

    def configure(self, changes: Mapping[str, Any]) -> None:
        """Change settings by name, all of them or none.

        :raises InvalidOrder: a setting is unknown or its value is of the wrong kind.
        """
        merged = {**msgspec.structs.asdict(self.settings), **changes}
        try:
            self.settings = msgspec.convert(merged, type(self.settings))
        except msgspec.ValidationError as error:
            raise InvalidOrder(f"settings of {self.name}: {error}") from None


class State(Protocol):
    """The settings that a vendor goes by, and what it remembers."""

    settings: Any
    deliveries: Deliveries
    tokens: TokenStore[Any]


S = TypeVar("S", bound=State)


class StatefulVendor(Vendor, Generic[S]):
    """A vendor that keeps all it knows in one object, which its operations are given; a reset makes a new one."""

    state: S

    def __init__(self) -> None:
        self.reset()

    @abstractmethod
    def new_state(self) -> S:
        """What it knows at first."""

    def reset(self) -> None:
        self.state = self.new_state()
        self.settings = self.state.settings
        self.deliveries = self.state.deliveries

    def configure(self, changes: Mapping[str, Any]) -> None:
        super().configure(changes)
        self.state.settings = self.settings

    def expire_tokens(self) -> None:
        self.state.tokens.expire_all()
