"""Write example_dags/data/messages.ndjson: the same bytes everywhere, addresses of example domains only.

One half of the rows is in the vendor's JSON, the other in the short form. Some break a rule, and the local
part of some recipients tells the sandbox to bounce, complain or unsubscribe.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SAMPLE = Path(__file__).resolve().parent.parent / "example_dags" / "data" / "messages.ndjson"
ROWS = 1_200
SENDER = "Example Shop <orders@example.com>"
NAMES = (
    "Ada Lovelace",
    "Grace Hopper",
    "Alan Turing",
    "Zoë Ångström",
    "李小龍",
    "Ngô Bảo Châu",
    "Søren Kierkegaard",
)
LINES = (
    "Your parcel has left our warehouse and is on its way to you.",
    "It will be handed over within two working days; nobody has to sign for it.",
    "Should something be missing, answer this message within fourteen days.",
)

# Recipients whose messages come back: local part -> in which rows.
RETURNS: dict[str, Callable[[int], bool]] = {
    "hard-bounce": lambda number: number % 30 == 4,
    "soft-bounce": lambda number: number % 40 == 9,
    "complaint": lambda number: number % 80 == 15,
    "unsubscribe": lambda number: number % 60 == 22,
}


@dataclass(frozen=True)
class Row:
    """A line of the sample, with what should become of it."""

    line: str
    broken: str | None
    """The rule that the row breaks, in words; None for a valid one."""
    returns: str | None
    """How a valid row's message comes back, a key of RETURNS."""


def rows() -> Iterator[Row]:
    """All rows in their order; each kind of broken row stands three times, spread over the file."""
    kinds = list(BREAKS.items())
    every = ROWS // (3 * len(kinds))
    for number in range(ROWS):
        returns = next((local for local, when in RETURNS.items() if when(number)), None)
        vendor_form = number % 2 == 0
        row = _vendor_row(number, returns) if vendor_form else _short_row(number, returns)
        position, rest = divmod(number, every)
        if rest != every // 2 or position >= 3 * len(kinds):
            yield Row(_encode(row), None, returns)
            continue
        name, damage = kinds[position % len(kinds)]
        damaged = damage(row if vendor_form else _vendor_row(number, returns))
        yield Row(damaged if isinstance(damaged, str) else _encode(damaged), name, None)


def _encode(row: object) -> str:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def _recipient(number: int, returns: str | None) -> str:
    if returns is not None:
        return f"{returns}+{number}@example.com"
    return f"customer-{number}@example.{('com', 'org')[number % 5 % 2]}"


def _text(number: int) -> str:
    # Most messages are short, every 15th has some 4 KB, every 100th some 24 KB.
    times = 120 if number % 100 == 50 else 20 if number % 15 == 7 else 1
    return f"Hello {NAMES[number % len(NAMES)]},\n\n" + "\n".join(LINES * times)


def _html(number: int) -> str:
    return "<p>" + _text(number).replace("\n\n", "</p><p>").replace("\n", "<br>") + "</p>"


def _receipt(number: int) -> dict[str, str]:
    receipt = f"Order {number}\nTotal: {number % 90 + 10}.00 EUR\n".encode()
    return {
        "file_name": f"receipt-{number}.txt",
        "data": base64.b64encode(receipt).decode(),
        "mime_type": "text/plain",
    }


def _vendor_row(number: int, returns: str | None) -> dict[str, Any]:
    content: dict[str, Any] = {"html": _html(number)}
    if number % 4 == 0:
        content["text"] = _text(number)
    if number % 10 == 0:
        content["attachments"] = [_receipt(number)]
    headers: dict[str, Any] = {
        "subject": f"Your order {number} is on its way",
        "to": {"alias": NAMES[number % len(NAMES)], "address": _recipient(number, returns)},
        "from": {"alias": "Example Shop", "address": "orders@example.com"},
    }
    if number % 6 == 0:
        headers["reply"] = {"address": "service@example.com"}
        headers["optional"] = [{"name": "X-Order", "value": str(number)}]
    row: dict[str, Any] = {
        "content": content,
        "headers": headers,
        "context": {
            "tags": ["orders", "shipped"],
            "metadata": f"order={number}",
            "profile": f"SHOP.{number % 500}",
        },
    }
    if number % 3 == 0:
        row["reference"] = f"order-{number}-shipped"
    if number % 8 == 0:
        row["time_to_live"] = "PT12H"
    return row


def _short_row(number: int, returns: str | None) -> dict[str, Any]:
    address = _recipient(number, returns)
    row: dict[str, Any] = {
        "to": f"{NAMES[number % len(NAMES)]} <{address}>" if number % 4 == 1 else address,
        "from": SENDER,
        "subject": f"How was your order {number}?",
        "html" if number % 5 else "text": _html(number) if number % 5 else _text(number),
        "profile": f"SHOP.{number % 500}",
        "tags": ["orders", "feedback"],
    }
    if number % 9 == 0:
        row["reply"] = "service@example.com"
        row["metadata"] = f"order={number}"
    if number % 3 == 0:
        row["reference"] = f"order-{number}-feedback"
    if number % 25 == 0:
        row["attachments"] = [_receipt(number)]
    return row


def _with(path: str, value: object) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A copy of the row with `value` at the dotted path; None takes the field away."""

    def damage(row: dict[str, Any]) -> dict[str, Any]:
        *parents, name = path.split(".")
        copied: dict[str, Any] = json.loads(json.dumps(row))
        target = copied
        for parent in parents:
            target = target.setdefault(parent, {})
        if value is None:
            target.pop(name, None)
        else:
            target[name] = value
        return copied

    return damage


def _short(**changes: object) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A row in the short form that is valid but for `changes`."""

    def damage(row: dict[str, Any]) -> dict[str, Any]:
        return {
            "to": row["headers"]["to"]["address"],
            "from": SENDER,
            "subject": row["headers"]["subject"],
            "html": row["content"]["html"],
            **changes,
        }

    return damage


BREAKS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no subject": _with("headers.subject", None),
    "no recipient": _with("headers.to", None),
    "a recipient that is no address": _with("headers.to.address", "grace.hopper(at)example.com"),
    "two recipients": _short(to="ada@example.com, grace@example.com"),
    "no sender's address": _with("headers.from", {"alias": "Example Shop"}),
    "neither html nor text": _with("content", {}),
    "an empty tag": _with("context.tags", ["orders", ""]),
    "a tag of more than 96 bytes": _short(tags=["é" * 49]),
    "a tag with a slash": _with("context.tags", ["orders/shipped"]),
    "too much metadata": _short(metadata="m" * 141),
    "too long a profile": _with("context.profile", "p" * 141),
    "a reference with other characters": _with("reference", "order_1"),
    "too long a reference": _short(reference="r" * 65),
    "a time to live of three days": _with("time_to_live", "P3D"),
    "a send time in a far year": _with("custom_send_time", "2999-01-01T00:00:00Z"),
    "an archive for one hour": _with("archive_duration", "PT1H"),
    "a header without X-": _with("headers.optional", [{"name": "Order", "value": "1"}]),
    "a header with a line break": _with("headers.optional", [{"name": "X-Order", "value": "1\r\nBcc: eve"}]),
    "an attachment that is not base64": _short(
        attachments=[{"file_name": "receipt.txt", "data": "not base64!", "mime_type": "text/plain"}]
    ),
    "two broken fields": _short(tags=["a/b"], subject=""),
    "a line that is not JSON": lambda row: '{"to": "ada@example.com", "subject": ',
    "a row that is no object": lambda row: ["ada@example.com", "Hello"],
}


if __name__ == "__main__":
    SAMPLE.write_text("".join(f"{row.line}\n" for row in rows()), encoding="utf-8")
    print(f"{SAMPLE.name}: {ROWS} rows, {SAMPLE.stat().st_size / 1e6:.1f} MB")
