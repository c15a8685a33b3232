"""The small part of JSONPath that leads to one value of a record."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_STEP = re.compile(
    r"""\.?(?P<name>[^.\[\]'"*?@()]+)        # .name
      | \[(?P<index>\d+)\]                   # [0]
      | \[(?P<quote>['"])(?P<key>.+?)(?P=quote)\]  # ['name']
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A path to one value of a record."""

    text: str
    steps: tuple[str | int, ...]

    @classmethod
    def parse(cls, text: str) -> JsonPath:
        """Read ``customer_email``, ``$.customer.emails[0]``, ``$['e-mail']``, or ``$[*].email``, the last one as seen
        from the whole dataset.

        :raises ValueError: if it is none, or may lead to several values.
        """
        rest = text.strip()
        rest = rest[1:].removeprefix("[*]") if rest.startswith("$") else "." + rest
        steps: list[str | int] = []
        at = 0
        while at < len(rest):
            step = _STEP.match(rest, at)
            if step is None or (step["name"] is not None and rest[at] != "."):
                raise ValueError(f"{text!r} is not a path to one value, such as customer_email or $.customer.email")
            steps.append(int(step["index"]) if step["index"] is not None else step["name"] or step["key"])
            at = step.end()
        if not steps:
            raise ValueError(f"{text!r} names no value")
        return cls(text, tuple(steps))

    def find(self, record: Any) -> Any:
        """Return the value of a record, None where there is none."""
        for step in self.steps:
            if isinstance(step, int):
                record = record[step] if isinstance(record, list) and step < len(record) else None
            else:
                record = record.get(step) if isinstance(record, Mapping) else None
        return record
