"""What a command prints: its result to standard output, all else to standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any, TypeVar

from airflow_provider_messaging.core.errors import MessagingError

T = TypeVar("T")
_EVERY = 1000


class Console:
    """Prints for people, or one JSON object for machines.

    :param out: where results go.
    :param as_json: for machines.
    """

    def __init__(self, out: IO[str], *, as_json: bool) -> None:
        self.out = out
        self.as_json = as_json

    def result(self, value: Mapping[str, Any], lines: Iterable[str]) -> None:
        """Print the result: `value` as JSON, or the lines."""
        text = json.dumps(value, ensure_ascii=False) if self.as_json else "\n".join(lines)
        print(text, file=self.out, flush=True)

    def note(self, text: str) -> None:
        """Tell people something beside the result."""
        print(text, file=sys.stderr, flush=True)

    def error(self, error: Exception) -> None:
        """Tell what went wrong, without a traceback."""
        self.note(f"error: {error}")
        if not self.as_json:
            return
        document = {"type": type(error).__name__, "message": str(error)}
        if isinstance(error, MessagingError):
            document["setting"] = error.setting
        self.result({"error": document}, ())

    def progress(self, items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
        """Yield the items, with a bar on standard error where that is a terminal."""
        if not sys.stderr.isatty():
            yield from items
            return
        from rich.console import Console as Terminal
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Terminal(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=total)
            for done, item in enumerate(items, 1):
                yield item
                if done % _EVERY == 0:
                    bar.advance(task, _EVERY)


def table(rows: Sequence[Sequence[object]]) -> list[str]:
    """Return lines with aligned columns, numbers to the right."""
    if not rows:
        return []
    widths = [max(len(str(row[at])) for row in rows) for at in range(len(rows[0]))]

    def cell(value: object, width: int) -> str:
        return f"{value:>{width}}" if isinstance(value, int) else f"{value!s:<{width}}"

    return ["  ".join(map(cell, row, widths)).rstrip() for row in rows]


@contextmanager
def only_results_on_stdout() -> Iterator[IO[str]]:
    """Yield a stream to standard output; whatever else is written there goes to standard error.

    Airflow and its plugins print what they like.
    """
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    before, sys.stdout = sys.stdout, sys.stderr
    try:
        with os.fdopen(os.dup(kept), "w", encoding="utf-8", errors="replace") as out:
            yield out
    finally:
        sys.stdout = before
        os.dup2(kept, 1)
        os.close(kept)


def count_lines(path: str) -> int | None:
    """Return the lines of a local file, for a progress bar on a terminal; None for any other."""
    if not sys.stderr.isatty() or path.endswith((".gz", ".gzip")) or not os.path.isfile(path):
        return None
    with open(path, "rb") as stream:
        return sum(block.count(b"\n") for block in iter(_block(stream), b""))


def _block(stream: IO[bytes]) -> Callable[[], bytes]:
    return lambda: stream.read(1 << 20)
