"""The admin routes: reset, faults, deliveries, kept state, requests, seed, settings, health."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, islice, repeat
from typing import Any

import msgspec

from airflow_provider_messaging.sandbox import ticks
from airflow_provider_messaging.sandbox.faults import Faults, read_faults
from airflow_provider_messaging.sandbox.http import Answer, InvalidOrder, Request, json_answer
from airflow_provider_messaging.sandbox.request_log import RequestLog
from airflow_provider_messaging.sandbox.routing import Router
from airflow_provider_messaging.sandbox.vendor import Vendor

NDJSON = "application/x-ndjson"
_CHUNK = 500


class Admin:
    """Answers the requests below ``/_sandbox``; served to this machine only."""

    def __init__(
        self,
        vendors: Mapping[str, Vendor],
        routers: Mapping[str, Router],
        faults: Faults,
        log: RequestLog,
    ) -> None:
        self._vendors = vendors
        self._operations = {name: router.operations for name, router in routers.items()}
        self._faults = faults
        self._log = log
        self._routes: dict[str, dict[str, Callable[[Request], Answer]]] = {
            "/health": {"GET": self._health},
            "/reset": {"POST": self._reset},
            "/faults": {"GET": self._get_faults, "POST": self._post_faults, "DELETE": self._delete_faults},
            "/deliveries": {"GET": self._deliveries},
            "/state": {"GET": self._state},
            "/requests": {"GET": self._requests},
            "/seed": {"POST": self._seed},
            "/settings": {"GET": self._get_settings, "POST": self._post_settings},
        }

    def answer(self, request: Request, path: str, client: tuple[str, int] | None) -> Answer:
        if client is None or not _is_loopback(client[0]):
            return json_answer({"error": "the admin routes are served to this machine only"}, 403)
        methods = self._routes.get(path)
        if methods is None:
            return json_answer({"error": f"no such admin route; there are {sorted(self._routes)}"}, 404)
        handler = methods.get(request.method)
        if handler is None:
            return json_answer({"error": f"allowed here: {', '.join(methods)}"}, 405)
        if request.too_large:
            return json_answer({"error": "the body is too large"}, 413)
        try:
            return handler(request)
        except InvalidOrder as error:
            return json_answer({"error": str(error)}, 400)

    def _health(self, request: Request) -> Answer:
        _query(request)
        return json_answer({"status": "ok", "vendors": sorted(self._vendors)})

    def _reset(self, request: Request) -> Answer:
        name = _object(request, {"vendor"}).get("vendor")
        vendors = self._vendors.values() if name is None else [self._vendor(name)]
        for vendor in vendors:
            vendor.reset()
        self._faults.clear(name)
        self._log.clear(name)
        return json_answer({"reset": [vendor.name for vendor in vendors]})

    def _get_faults(self, request: Request) -> Answer:
        _query(request)
        return json_answer({"value": self._faults.report()})

    def _post_faults(self, request: Request) -> Answer:
        self._faults.add(read_faults(request.body, self._operations))
        return json_answer({"value": self._faults.report()})

    def _delete_faults(self, request: Request) -> Answer:
        self._faults.clear(_query(request, "vendor").get("vendor"))
        return json_answer({"value": self._faults.report()})

    def _deliveries(self, request: Request) -> Answer:
        query = _query(request, "vendor", "reference", "limit", "offset", "summary", "format")
        vendors = self._chosen(query)
        counts = _summed(vendor.deliveries.counts() for vendor in vendors)
        if query.get("summary") == "counts":
            return json_answer(counts)
        reference = query.get("reference")
        places = chain.from_iterable(_places(vendor, reference) for vendor in vendors)
        if query.get("format") == "ndjson":
            return Answer(200, _lines(map(_row, places)), NDJSON)
        if reference is not None:
            counts = {
                "total": (n := _times(vendors, reference)),
                "distinct": min(n, 1),
                "duplicates": max(n - 1, 0),
            }
        offset, limit = _integer(query, "offset", 0), _integer(query, "limit", 100)
        return json_answer({**counts, "value": [_row(place) for place in islice(places, offset, offset + limit)]})

    def _state(self, request: Request) -> Answer:
        query = _query(request, "vendor", "kind")
        vendor = self._vendor(query.get("vendor"))
        kept, kind = vendor.kept(), query.get("kind", "")
        if kind not in kept:
            raise InvalidOrder(f"{vendor.name} keeps no {kind!r}; there are {sorted(kept)}")
        return json_answer({"value": list(kept[kind])})

    def _requests(self, request: Request) -> Answer:
        query = _query(request, "vendor", "operation", "since", "after", "limit", "summary", "format")
        if query.get("summary") == "counts":
            return json_answer({"value": self._log.counts()})
        vendor = self._vendor(query["vendor"]).name if "vendor" in query else None
        selected = list(
            self._log.select(vendor, query.get("operation"), _number(query, "since"), _integer(query, "after", 0))
        )
        if query.get("format") == "ndjson":
            return Answer(200, _lines(iter(selected)), NDJSON)
        limit = _integer(query, "limit", 1000)
        return json_answer({"total": len(selected), "value": selected[-limit:] if limit else []})

    def _seed(self, request: Request) -> Answer:
        order = _object(request, None)
        return json_answer(self._vendor(order.pop("vendor", None)).seed(order))

    def _get_settings(self, request: Request) -> Answer:
        return json_answer({vendor.name: vendor.settings for vendor in self._chosen(_query(request, "vendor"))})

    def _post_settings(self, request: Request) -> Answer:
        changes = _object(request, None)
        vendor = self._vendor(changes.pop("vendor", None))
        vendor.configure(changes)
        return json_answer(vendor.settings)

    def _vendor(self, name: object) -> Vendor:
        vendor = self._vendors.get(name) if isinstance(name, str) else None
        if vendor is None:
            raise InvalidOrder(f"unknown vendor {name!r}; there are {sorted(self._vendors)}")
        return vendor

    def _chosen(self, query: Mapping[str, str]) -> list[Vendor]:
        return [self._vendor(query["vendor"])] if "vendor" in query else list(self._vendors.values())


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _query(request: Request, *known: str) -> dict[str, str]:
    unknown = [name for name, _ in request.query if name not in known]
    if unknown:
        raise InvalidOrder(f"unknown parameters {unknown}; there are {list(known)}")
    return dict(request.query)


def _integer(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not text.isdecimal():
        raise InvalidOrder(f"{name} must be a whole number, not {text!r}")
    return int(text)


def _number(query: Mapping[str, str], name: str) -> float:
    try:
        return float(query.get(name, "0"))
    except ValueError:
        raise InvalidOrder(f"{name} must be a number, not {query[name]!r}") from None


def _object(request: Request, known: set[str] | None) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(request.body or b"{}", type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidOrder(str(error)) from None
    if known is not None and not document.keys() <= known:
        raise InvalidOrder(f"unknown fields {sorted(document.keys() - known)}; there are {sorted(known)}")
    return document


def _summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for each in counts:
        for name, count in each.items():
            total[name] = total.get(name, 0) + count
    return total


def _times(vendors: Iterable[Vendor], reference: str) -> int:
    return sum(len(vendor.deliveries.positions(reference)) for vendor in vendors)


def _places(vendor: Vendor, reference: str | None) -> Iterator[tuple[Vendor, int]]:
    deliveries = vendor.deliveries
    positions = range(len(deliveries)) if reference is None else deliveries.positions(reference)
    return zip(repeat(vendor), positions, strict=False)


def _row(place: tuple[Vendor, int]) -> dict[str, Any]:
    vendor, position = place
    delivery = vendor.deliveries[position]
    row = msgspec.structs.asdict(delivery)
    return {"vendor": vendor.name, **row, "accepted_at": delivery.accepted_at / ticks.SECOND}


def _lines(rows: Iterator[Any]) -> Iterator[bytes]:
    encode = msgspec.json.Encoder().encode_lines
    while chunk := list(islice(rows, _CHUNK)):
        yield encode(chunk)
