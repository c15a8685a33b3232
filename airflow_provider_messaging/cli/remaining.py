"""``airflow-messaging remaining``: what a send that failed for good has left to be sent."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow_provider_messaging.cli._command import DONE, FOUND, Command
from airflow_provider_messaging.core.errors import ConfigurationError

if TYPE_CHECKING:
    from airflow_provider_messaging.cli._console import Console

_ORIGIN = ("dag_id", "run_id", "task_id", "map_index")
_KEPT_BACK = frozenset({"accepted", "ambiguous"})


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", metavar="FILE", help="what the task was given: NDJSON")
    parser.add_argument("--manifest", required=True, metavar="FILE", help="the manifest of its last try")
    parser.add_argument("--rejects", metavar="FILE", help="its rejects: they are left out, see requeue")
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="write the rows there")
    parser.add_argument(
        "--api",
        metavar="URL",
        help="read the ledger from this Airflow's API server, with the token in AIRFLOW_API_TOKEN, instead of the "
        "metadata database of this machine's Airflow",
    )
    parser.add_argument(
        "--without-ledger",
        action="store_true",
        help="believe the manifest although no ledger confirms it (Airflow 3.1 and 3.2): right only if the last try "
        "ended by itself and was not killed",
    )


def _run(options: argparse.Namespace, console: Console) -> int:
    outcomes, references, origin = _read_manifest(options.manifest)
    counted = Counter(outcomes.values())
    kept_back = counted["accepted"] + counted["ambiguous"]
    if not options.without_ledger:
        _check_ledger(options, origin, kept_back)
    rejected = _rejected_rows(options.rejects)
    from airflow_provider_messaging.cli._console import count_lines
    from airflow_provider_messaging.hooks._storage import line_file

    file = line_file(options.output, "--output")
    assert file is not None
    rows = written = left = 0
    finished = False
    try:
        for number, row in enumerate(console.progress(_rows(options.input), "rows", count_lines(options.input))):
            rows += 1
            _check_reference(number, row, references)
            if outcomes.get(number) in _KEPT_BACK:
                continue
            if number in rejected:
                left += 1
                continue
            file.write_all([row])
            written += 1
        if outcomes and max(outcomes) >= rows:
            raise ConfigurationError(
                f"the manifest names row {max(outcomes)}, and {options.input} has {rows} rows: it is of another input",
                setting="FILE or --manifest",
            )
        finished = True
    finally:
        file.finish(publish=finished)
    value = {
        **dict(zip(_ORIGIN, origin, strict=True)),
        "rows": rows,
        "written": written,
        "accepted": counted["accepted"],
        "ambiguous": counted["ambiguous"],
        "rejected": left,
        "output": options.output,
    }
    console.result(value, _lines(value))
    return FOUND if value["ambiguous"] else DONE


def _lines(value: dict[str, Any]) -> Iterator[str]:
    yield f"{value['rows']} rows, {value['accepted']} accepted, {value['written']} written to {value['output']}"
    if value["rejected"]:
        yield f"{value['rejected']} left out: they are rejects"
    if value["ambiguous"]:
        yield f"{value['ambiguous']} left out: perhaps accepted; the manifest names them with the outcome ambiguous"


def _read_manifest(path: str) -> tuple[dict[int, str], dict[int, str], tuple[Any, ...]]:
    """Return the outcomes and references by row, and the task."""
    outcomes: dict[int, str] = {}
    references: dict[int, str] = {}
    origins: set[tuple[Any, ...]] = set()
    for number, line in enumerate(_rows(path, "--manifest"), 1):
        try:
            row, outcome, reference = int(line["row"]), str(line["outcome"]), str(line["reference"])
            origins.add(tuple(line[name] for name in _ORIGIN))
        except (KeyError, TypeError, ValueError):
            raise ConfigurationError(f"line {number} of {path} is not of a manifest", setting="--manifest") from None
        outcomes[row], references[row] = outcome, reference
    if len(origins) != 1:
        raise ConfigurationError(f"{path} is of {len(origins)} tasks, not of one", setting="--manifest")
    return outcomes, references, origins.pop()


def _check_ledger(options: argparse.Namespace, origin: tuple[Any, ...], kept_back: int) -> None:
    """Compare the manifest with the ledger: a try that was killed wrote none, and the manifest is then too old."""
    from airflow_provider_messaging.cli.ledger import read_ledger
    from airflow_provider_messaging.delivery.ledger import overview

    task = argparse.Namespace(**dict(zip(_ORIGIN, origin, strict=True)), api=options.api)
    seen = overview(read_ledger(task)["ledger"])
    perhaps_taken = seen["recorded"] - seen["not_taken"]
    if perhaps_taken != kept_back:
        raise ConfigurationError(
            f"the manifest names {kept_back} messages as accepted or ambiguous, the ledger has {perhaps_taken}: the "
            "manifest is not that of the last try, and rows would be sent twice; nothing was written",
            setting="--manifest, or let the task be retried",
        )


def _rejected_rows(path: str | None) -> frozenset[int]:
    if path is None:
        return frozenset()
    from airflow_provider_messaging.cli.requeue import rejected_rows

    return frozenset(row.number for row in rejected_rows(path))


def _check_reference(number: int, row: Any, references: dict[int, str]) -> None:
    given = row.get("reference") if isinstance(row, dict) else None
    if isinstance(given, str) and number in references and references[number] != given:
        raise ConfigurationError(
            f"row {number} has the reference {given!r}, in the manifest {references[number]!r}: it is of another input",
            setting="FILE or --manifest",
        )


def _rows(path: str, setting: str = "FILE") -> Iterator[Any]:
    from airflow_provider_messaging.delivery.source import BadLine
    from airflow_provider_messaging.hooks._storage import lines_of

    for row in lines_of(path, setting)():
        yield row.text if isinstance(row, BadLine) else row


COMMAND = Command(
    names=("remaining",),
    summary="find the rows that a send which failed for good has not sent",
    description="Writes the rows of a task's input that were not sent, to be sent by a new run: all but those that its "
    "manifest names as accepted or ambiguous. The ledger has to confirm the manifest. Nothing is sent. Exit code 1 if "
    "messages are ambiguous.",
    add_arguments=_add_arguments,
    run=_run,
)
