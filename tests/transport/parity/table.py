"""What the parity test needs to know of a vendor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_messaging.core.endpoint import Endpoint
from airflow_provider_messaging.core.flow import Flow
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.drivers import Drive

Fault = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Table:
    """One vendor's calls: at least one for each endpoint, under the endpoint's name.

    :param start: brings a reset sandbox into the state in which the calls make sense, with the drive it is given, and
        returns what each call is made with: an `Api`, or whatever holds what the calls need. Tokens are cached nowhere
        else.
    :param calls: each makes its first request to the operation of its name, and succeeds.
    :param listings: calls whose results are what they emit.
    :param trouble: by what is wrong: the call that is made, and the fault that befalls its first request.
    """

    vendor: str
    endpoints: Mapping[str, Endpoint]
    start: Callable[[Sandbox, Drive], Any]
    calls: Mapping[str, Callable[[Any], Flow[Any]]]
    listings: frozenset[str] = frozenset()
    trouble: Mapping[str, tuple[str, Fault]] = field(default_factory=dict)
