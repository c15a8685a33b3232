"""``airflow-messaging validate``: judge a file as the operator would, and send nothing."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_messaging.cli._command import DONE, FOUND, Command
from airflow_provider_messaging.core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from airflow_provider_messaging.cli._console import Console
    from airflow_provider_messaging.core.messages import Reject


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file may hold, and the operator that would send it."""

    vendor: str
    operator: str


KINDS = {
    "email": Kind("marigold", "SendEmailBatchOperator"),
    "push": Kind("marigold", "SendPushBatchOperator"),
    "blacklist": Kind("engageone", "BlacklistAddressOperator"),
    "unblacklist": Kind("engageone", "UnblacklistAddressOperator"),
    "verify": Kind("engageone", "VerifyAddressOperator"),
    "campaign": Kind("engageone", "SendCampaignOperator"),
    "messangi": Kind("messangi", "SendMessageOperator"),
    "subscribers": Kind("messangi", "UpsertSubscribersOperator"),
    "feedback-requests": Kind("pressnxpress", "EnqueueFeedbackOperator"),
}


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", choices=sorted(KINDS), metavar="KIND", help=", ".join(sorted(KINDS)))
    parser.add_argument("path", metavar="FILE", help="NDJSON, local or on object storage; .gz is unpacked")
    parser.add_argument("--rejects", metavar="FILE", help="write the rows that break a rule there, with the reasons")
    parser.add_argument(
        "--conn", metavar="CONN_ID", help="take sender, region, touchpoint and such from this connection of Airflow's"
    )
    parser.add_argument(
        "--arg",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an argument of the operator, as the DAG gives it; JSON where it is no text: --arg channel=sms "
        '--arg \'defaults={"from": "shop@example.com"}\'',
    )


def _run(options: argparse.Namespace, console: Console) -> int:
    kind = KINDS[options.kind]
    operator = _operator(kind, options)
    tally = _Tally()
    report = _judge(operator, console, tally, options)
    value = {
        "kind": options.kind,
        "path": options.path,
        "rows": report.messages + report.duplicates,
        "valid": report.accepted,
        "rejected": report.rejected,
        "duplicates": report.duplicates,
        "requests": report.requests,
        "codes": dict(sorted(tally.codes.items(), key=lambda item: -item[1]["count"])),
        "rejects_path": options.rejects,
    }
    console.result(value, _lines(value))
    return FOUND if report.rejected else DONE


def _lines(value: dict[str, Any]) -> Iterator[str]:
    from airflow_provider_messaging.cli._console import table

    more = f", {value['duplicates']} repeat others" if value["duplicates"] else ""
    yield (
        f"{value['rows']} rows: {value['valid']} valid, {value['rejected']} rejected{more}; "
        f"{value['requests']} requests. Nothing was sent."
    )
    yield from table(
        [
            (each["count"], code, ", ".join(each["fields"]), f"first in row {each['first_row']}: {each['message']}")
            for code, each in value["codes"].items()
        ]
    )
    if value["rejects_path"] and value["rejected"]:
        yield f"Rejects with their reasons: {value['rejects_path']}"


class _Tally:
    """Counts broken rules by code: rows that have it, fields, and the first of them."""

    def __init__(self) -> None:
        self.codes: dict[str, dict[str, Any]] = {}

    def add(self, reject: Reject) -> None:
        for code in dict.fromkeys(error.code for error in reject.errors):
            errors = [error for error in reject.errors if error.code == code]
            new = {"count": 0, "fields": [], "first_row": reject.row, "message": errors[0].message}
            entry = self.codes.setdefault(code, new)
            entry["count"] += 1
            entry["fields"] += [e.field for e in errors if e.field and e.field not in entry["fields"]]


def _judge(operator: Any, console: Console, tally: _Tally, options: argparse.Namespace) -> Any:
    from datetime import UTC, datetime

    from airflow_provider_messaging.cli._console import count_lines
    from airflow_provider_messaging.delivery.dry_run import dry_run
    from airflow_provider_messaging.delivery.outputs import Outputs
    from airflow_provider_messaging.delivery.plan import Plan
    from airflow_provider_messaging.delivery.references import SendIdentity
    from airflow_provider_messaging.hooks._storage import line_file

    class Counting(Outputs):
        def reject(self, reject: Reject, raw: Any) -> None:
            tally.add(reject)
            super().reject(reject, raw)

    operator.check_arguments()
    hook = operator.make_hook()
    channel = operator.make_channel(hook, hook.client)
    rows: Callable[[], Iterable[Any]] = operator.read_rows()
    identity = SendIdentity(dag_id="validate", run_id="", task_id="", map_index=-1, generation=0)
    outputs = Counting(manifest=None, rejects=line_file(options.rejects, "--rejects"), origin={})
    with outputs:
        report = dry_run(
            lambda on_reject: Plan(
                rows=console.progress(rows(), "rows", count_lines(options.path)),
                channel=channel,
                reference_of=identity.reference,
                now=datetime.now(UTC),
                on_reject=on_reject,
            ),
            outputs,
        )
        outputs.ready = True
    return report


def _operator(kind: Kind, options: argparse.Namespace) -> Any:
    """Return the operator of a kind as a DAG would make it."""
    from importlib import import_module

    from airflow_provider_messaging.cli._connections import hook_of, stand_in

    made: type[Any] = getattr(import_module(f"airflow_provider_messaging.operators.{kind.vendor}"), kind.operator)
    if options.conn is None:
        conn_id = stand_in(kind.vendor)
    else:
        hook = hook_of(options.conn)
        if hook.conn_type != kind.vendor:
            raise ConfigurationError(
                f"{options.kind} goes over a connection of type {kind.vendor!r}, {hook.conn_id!r} has the type "
                f"{hook.conn_type!r}",
                setting="--conn",
            )
        conn_id = hook.conn_id
    arguments = dict(_argument(text) for text in options.arg)
    known = _arguments_of(made) - {"dry_run", "rejects_path", "manifest_path", f"{kind.vendor}_conn_id"}
    known -= {made.rows_field, f"{made.rows_field}_path"}
    for name in arguments:
        if name not in known:
            raise ConfigurationError(
                f"{kind.operator} has no argument {name!r} that could be given here; it has {', '.join(sorted(known))}",
                setting="--arg",
            )
    missing = _required_by(made) - arguments.keys()
    if missing:
        raise ConfigurationError(
            f"{kind.operator} needs {', '.join(sorted(missing))}: "
            + " ".join(f"--arg {name}=…" for name in sorted(missing)),
            setting="--arg",
        )
    return made(
        task_id="validate",
        on_rejected="continue",
        **{f"{made.rows_field}_path": options.path, f"{kind.vendor}_conn_id": conn_id},
        **arguments,
    )


def _argument(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigurationError(f"{text!r} is not NAME=VALUE", setting="--arg")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _ours(operator: type[Any]) -> Iterator[Any]:
    """Yield the constructors of an operator and its parents, without those of Airflow."""
    from inspect import signature

    for each in operator.__mro__:
        if each.__module__.startswith("airflow_provider_messaging.") and "__init__" in vars(each):
            init = vars(each)["__init__"]
            yield from signature(getattr(init, "__wrapped__", init)).parameters.values()


def _arguments_of(operator: type[Any]) -> set[str]:
    return {each.name for each in _ours(operator) if each.kind is each.KEYWORD_ONLY} - {"on_rejected"}


def _required_by(operator: type[Any]) -> set[str]:
    return {each.name for each in _ours(operator) if each.kind is each.KEYWORD_ONLY and each.default is each.empty}


COMMAND = Command(
    names=("validate",),
    summary="judge a file of messages, addresses or records, and send nothing",
    description="Judges every row of a file by the rules that the sending operator has, and counts the rejects by "
    "code. "
    "Nothing is sent, and no connection is needed unless a rule depends on one. Exit code 1 if there are rejects.",
    add_arguments=_add_arguments,
    run=_run,
)
