"""Upper and lower case of attribute names: to the vendor, ``orderId`` and ``OrderId`` are two attributes."""

from __future__ import annotations

from collections.abc import Iterable

_GIVEN = -1


class Spellings:
    """The spelling of each attribute in one task: the one given beforehand, else that of the first row that has it.

    It is asked in the order of the rows, and may be asked about the same rows any number of times: what a row is told
    depends on the rows before it only.

    :param given: names that are spelt like this, whatever the rows say.
    """

    def __init__(self, given: Iterable[str] = ()) -> None:
        self._first: dict[str, tuple[str, int]] = {name.casefold(): (name, _GIVEN) for name in given}

    def differing(self, names: Iterable[str], row: int) -> dict[str, str]:
        """Return the names that are spelt otherwise than before, each with what is to be said about it."""
        found: dict[str, str] = {}
        here: dict[str, str] = {}
        for name in names:
            folded = name.casefold()
            spelling, first = self._first.get(folded, (name, row))
            if first >= row:
                spelling, first = here.setdefault(folded, name), row
            if spelling != name:
                found[name] = _sentence(spelling, first, row)
        return found

    def note(self, names: Iterable[str], row: int) -> None:
        """Keep the spellings of a row that is sent."""
        for name in names:
            self._first.setdefault(name.casefold(), (name, row))


def _sentence(spelling: str, first: int, row: int) -> str:
    if first == _GIVEN:
        where = f"must be spelt {spelling!r}"
    else:
        where = f"is spelt {spelling!r} {'in the same row' if first == row else f'in row {first}'}"
    return f"{where}: the vendor tells upper from lower case and would store another attribute"
