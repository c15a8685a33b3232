"""``airflow-messaging requeue``: from files of rejects to a file that can be sent."""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_messaging.cli._command import DONE, FOUND, Command
from airflow_provider_messaging.core.errors import ConfigurationError

if TYPE_CHECKING:
    from airflow_provider_messaging.cli._console import Console

_REJECTED = "_rejected"
_RAW = "_raw"
_NOT_JSON = "INVALID_JSON"
_FILE_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("rejects", nargs="+", metavar="REJECTS", help="rejects files, local or on object storage")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the rows there, one file")
    parser.add_argument("--split", metavar="FOLDER", help="write a file for each code there: FOLDER/<code>.ndjson")
    parser.add_argument("--code", action="append", default=[], help="only rows with this code; may be repeated")
    parser.add_argument("--not-code", action="append", default=[], help="no rows with this code; may be repeated")
    parser.add_argument(
        "--mended",
        action="append",
        default=[],
        metavar="FILE",
        help="rows to take instead of rejected ones, found by the row number in their _rejected, else their reference",
    )
    parser.add_argument(
        "--same-input",
        action="store_true",
        help="the rejects files are of one input: of a row that is in several, the last one counts",
    )
    parser.add_argument(
        "--keep-errors", action="store_true", help="leave _rejected in the rows, for those who mend them"
    )


@dataclass(slots=True, kw_only=True)
class _Row:
    """A rejected row: where it stood, why, and what is to be sent."""

    number: int
    codes: tuple[str, ...]
    value: Any
    rejected: dict[str, Any]
    mended: bool = False

    @property
    def reference(self) -> str | None:
        found = self.value.get("reference") if isinstance(self.value, dict) else None
        return found if isinstance(found, str) else None

    def line(self, *, keep_errors: bool) -> Any:
        if not keep_errors:
            return self.value
        shown = self.value if isinstance(self.value, dict) else {_RAW: self.value}
        return {**shown, _REJECTED: self.rejected}


@dataclass(slots=True)
class _Rows:
    """All rejected rows, each once, in their order."""

    same_input: bool
    by_key: dict[tuple[int, int], _Row] = field(default_factory=dict)
    read: int = 0
    repeated: int = 0

    def add(self, file: int, row: _Row) -> None:
        self.read += 1
        key = (0 if self.same_input else file, row.number)
        self.repeated += key in self.by_key
        self.by_key[key] = row

    def mend(self, value: dict[str, Any], where: str) -> None:
        """Take a mended row instead of the rejected one.

        :raises ConfigurationError: if it is not clear instead of which.
        """
        rejected = value.pop(_REJECTED, None)
        number = rejected.get("row") if isinstance(rejected, dict) else None
        reference = value.get("reference")
        found = [
            row
            for row in self.by_key.values()
            if (row.number == number if number is not None else reference and row.reference == reference)
        ]
        if len(found) > 1 and reference:
            found = [row for row in found if row.reference == reference] or found
        if len(found) != 1:
            what = f"row {number}" if number is not None else f"reference {reference!r}"
            raise ConfigurationError(
                f"{where}: {what} is {'none' if not found else f'{len(found)}'} of the rejected rows; a mended row is "
                "found by the row number in its _rejected, else by its reference",
                setting="--mended, or --same-input where the rejects are of one input",
            )
        found[0].value, found[0].mended = value, True


def _run(options: argparse.Namespace, console: Console) -> int:
    if options.output is None and options.split is None:
        raise ConfigurationError("say where the rows are to go", setting="--output or --split")
    if options.output == "-" and options.json:
        raise ConfigurationError("rows and the result can't both go to standard output", setting="--output or --json")
    rows = _Rows(options.same_input)
    for at, path in enumerate(options.rejects):
        for row in console.progress(rejected_rows(path), path):
            rows.add(at, row)
    for path in options.mended:
        for where, value in _lines_of(path, "--mended"):
            if not isinstance(value, dict):
                raise ConfigurationError(f"{where} is no JSON object", setting="--mended")
            rows.mend(value, where)
    wanted = [row for row in rows.by_key.values() if _is_wanted(row, options)]
    # Text that nobody could read as JSON is a row again only when somebody has mended it.
    sendable = [row for row in wanted if row.mended or _NOT_JSON not in row.codes]
    files = _write(sendable, options, console)
    value = {
        "read": rows.read,
        "written": len(sendable),
        "mended": sum(row.mended for row in sendable),
        "repeated": rows.repeated,
        "filtered": len(rows.by_key) - len(wanted),
        "unreadable": len(wanted) - len(sendable),
        "codes": dict(Counter(code for row in wanted for code in dict.fromkeys(row.codes)).most_common()),
        "files": files,
    }
    if options.output != "-":
        console.result(value, _summary(value))
    return FOUND if value["unreadable"] else DONE


def _summary(value: dict[str, Any]) -> Iterator[str]:
    from airflow_provider_messaging.cli._console import table

    yield f"{value['read']} rejects read, {value['written']} rows written, {value['mended']} of them mended"
    for name, why in (
        ("repeated", "stood there more than once"),
        ("filtered", "left out by code"),
        ("unreadable", "left out: the line was not JSON, and nobody has mended it"),
    ):
        if value[name]:
            yield f"{value[name]} {why}"
    yield from table([(count, code) for code, count in value["codes"].items()])
    yield from value["files"]


def _is_wanted(row: _Row, options: argparse.Namespace) -> bool:
    codes = set(row.codes)
    return (not options.code or bool(codes & set(options.code))) and not codes & set(options.not_code)


def rejected_rows(path: str) -> Iterator[_Row]:
    """Yield the rows of a rejects file.

    :raises ConfigurationError: at a line that is none of such a file.
    """
    for where, value in _lines_of(path, "the rejects file"):
        rejected = value.get(_REJECTED) if isinstance(value, dict) else None
        try:
            assert rejected is not None
            number = int(rejected["row"])
            codes = tuple(str(error["code"]) for error in rejected["errors"])
        except (AssertionError, KeyError, TypeError, ValueError):
            raise ConfigurationError(
                f"{where} is not of a rejects file: it has no _rejected with row and errors",
                setting="the rejects file",
            ) from None
        row = {name: member for name, member in value.items() if name != _REJECTED}
        # What was no object stands under _raw alone: an address in a list of addresses.
        yield _Row(number=number, codes=codes, value=row[_RAW] if set(row) == {_RAW} else row, rejected=rejected)


def _lines_of(path: str, setting: str) -> Iterator[tuple[str, Any]]:
    from airflow_provider_messaging.delivery.source import BadLine
    from airflow_provider_messaging.hooks._storage import lines_of

    for number, value in enumerate(lines_of(path, setting)(), 1):
        where = f"line {number} of {path}"
        if isinstance(value, BadLine):
            raise ConfigurationError(f"{where} is not JSON: {value.reason}", setting=setting)
        yield where, value


def _write(sendable: list[_Row], options: argparse.Namespace, console: Console) -> list[str]:
    files = []
    if options.output == "-":
        for row in sendable:
            print(json.dumps(row.line(keep_errors=options.keep_errors), ensure_ascii=False), file=console.out)
    elif options.output is not None:
        files.append(_write_file(options.output, "--output", sendable, keep_errors=options.keep_errors))
    if options.split is not None:
        by_code: dict[str, list[_Row]] = {}
        for row in sendable:
            # A vendor's word never chooses a path.
            code = row.codes[0] if row.codes and _FILE_NAME.fullmatch(row.codes[0]) else "OTHER"
            by_code.setdefault(code, []).append(row)
        for code, rows in sorted(by_code.items()):
            path = f"{options.split.rstrip('/')}/{code}.ndjson"
            files.append(_write_file(path, "--split", rows, keep_errors=options.keep_errors))
    return files


def _write_file(path: str, setting: str, rows: list[_Row], *, keep_errors: bool) -> str:
    from airflow_provider_messaging.hooks._storage import line_file

    file = line_file(path, setting)
    assert file is not None
    file.write_all([row.line(keep_errors=keep_errors) for row in rows])
    file.finish()
    return path


COMMAND = Command(
    names=("requeue",),
    summary="make a file that can be sent of rejected rows: mended, filtered, split by code",
    description="Takes the rows of rejects files as they were given, without the reasons, each once, and writes "
    "them to "
    "be sent again. Nothing else about them is changed, and nothing is sent. Exit code 1 if a wanted row is left out, "
    "since its line was not JSON.",
    add_arguments=_add_arguments,
    run=_run,
)
