"""Numbers as people write them in connections and settings, possibly as text."""

from __future__ import annotations

import math


def seconds(value: object) -> float:
    """Return a finite number of seconds above 0.

    :raises ValueError: saying what it must be.
    """
    try:
        number = float(value) if isinstance(value, int | float | str) else math.nan
    except ValueError:
        number = math.nan
    if isinstance(value, bool) or not 0 < number < math.inf:
        raise ValueError(f"must be a number of seconds above 0, not {value!r}")
    return number


def count(value: object) -> int:
    """Return a whole number above 0.

    :raises ValueError: saying what it must be.
    """
    try:
        number = int(value) if isinstance(value, int | str) else 0
    except ValueError:
        number = 0
    if isinstance(value, bool) or number < 1:
        raise ValueError(f"must be a whole number above 0, not {value!r}")
    return number
