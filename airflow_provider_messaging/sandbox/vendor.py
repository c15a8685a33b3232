"""What the sandbox needs to know of a vendor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import msgspec

from airflow_provider_messaging.sandbox.deliveries import Deliveries
from airflow_provider_messaging.sandbox.http import Answer, InvalidOrder
from airflow_provider_messaging.sandbox.routing import Route


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
