"""Sends past one machine: an input cut into shards, each sent by a mapped task, and their results summed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_provider_messaging.core.errors import ConfigurationError, MessagingError, RowError, ValidationError
from airflow_provider_messaging.hooks._errors import no_retry_where_useless
from airflow_provider_messaging.hooks._inputs import listed
from airflow_provider_messaging.hooks._shards import (
    RECORD,
    Origin,
    Record,
    is_parquet,
    lines_of_all,
    read_record,
    remove_others,
    shard_name,
    write_record,
)
from airflow_provider_messaging.hooks._storage import is_compressed, line_file, storage_path

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_messaging.delivery.outputs import LineFile
    from airflow_provider_messaging.delivery.shards import Shard

__all__ = ["CombineResultsOperator", "ShardMessagesOperator"]

_SHOWN = 5
_SETTLED = ("accepted", "rejected", "ambiguous")
_COUNTS = (*_SETTLED, "reconciled", "resumed", "requests")


class ShardMessagesOperator(BaseOperator):
    """Cuts files of rows into shards, as a stream: memory does not grow with the number of rows.

    Returns the arguments of one send for each shard, for ``expand_kwargs``::

        shards = ShardMessagesOperator(
            task_id="shard",
            source_path="s3://mail/2026-03/messages.parquet",
            shards_path="s3://mail/shards/{{ run_id }}",
            manifests_path="s3://mail/manifests/{{ run_id }}",
        )
        SendEmailBatchOperator.partial(task_id="send", pool="marigold").expand_kwargs(shards.output)

    The same input gives the same shards, and a re-run replaces them by themselves. How a run was cut is recorded in
    ``shards.json``, and that run can't be cut otherwise any more: a mapped task knows its shard by its number only,
    so one that starts or is retried after the cut had changed would send rows again that another had sent.
    See ``docs/scale.md``.

    :param source_path: a file on any object storage, or a list of them, in the order in which they are read: NDJSON
        (``.gz`` is unpacked) or Parquet (needs the extra ``parquet``; a null is a field that is not there).
    :param shards_path: the folder for the shards, with the run's id in it: each run has its own.
    :param rows_per_shard: the most rows of a shard; None for no limit.
    :param bytes_per_shard: the most bytes of a shard before compression; None for no limit.
    :param compressed: whether shards are gzipped. Default: as the first file is; those of Parquet are.
    :param unique_field: where a row may hold a reference of its own. One that an earlier row has, valid or not, is
        refused here, since no shard sees the others' rows. This takes 16 to 32 bytes for each row with a reference;
        None does not look.
    :param on_rejected: a row that repeats a reference fails the task (``fail``), or is left out (``continue``).
    :param manifests_path: a folder: each send gets a file in it as its ``manifest_path``.
    :param rejects_path: a folder: each send gets a file in it as its ``rejects_path``, and the rows that repeat a
        reference are in its ``repeated.ndjson``.
    :param rows_argument: the argument of the send that takes a file.
    """

    template_fields: Sequence[str] = ("source_path", "shards_path", "manifests_path", "rejects_path")

    def __init__(
        self,
        *,
        source_path: str | Sequence[str],
        shards_path: str,
        rows_per_shard: int | None = 100_000,
        bytes_per_shard: int | None = None,
        compressed: bool | None = None,
        unique_field: str | None = "reference",
        on_rejected: Literal["fail", "continue"] = "fail",
        manifests_path: str | None = None,
        rejects_path: str | None = None,
        rows_argument: str = "messages_path",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source_path = source_path
        self.shards_path = shards_path
        self.rows_per_shard = rows_per_shard
        self.bytes_per_shard = bytes_per_shard
        self.compressed = compressed
        self.unique_field = unique_field
        self.on_rejected = on_rejected
        self.manifests_path = manifests_path
        self.rejects_path = rejects_path
        self.rows_argument = rows_argument

    def execute(self, context: Context) -> list[dict[str, str]]:
        """Write the shards and return the arguments of a send for each.

        :raises AirflowFailException: where a retry is of no use.
        """
        with no_retry_where_useless():
            sources = self._sources()
            self._check_arguments()
            record = self._cut(sources, _origin(context))
        size = sum(shard.bytes for shard in record.shards)
        self.log.info("%d rows, %d bytes, in %d shards", record.rows, size, len(record.shards))
        return [self._arguments(shard, sources) for shard in record.shards]

    def _cut(self, sources: list[str], origin: Origin) -> Record:
        # Not when a DAG is parsed.
        from airflow_provider_messaging.delivery.shards import ShardLimits, cut

        earlier = read_record(self.shards_path, "shards_path")
        if earlier is not None and earlier.origin != origin:
            raise ConfigurationError(
                f"{self.shards_path!r} has the shards of another task or run ({earlier.origin.dag_id}, "
                f"{earlier.origin.run_id}, {earlier.origin.task_id}): give each a folder of its own, with "
                "{{ run_id }} in its name",
                setting="shards_path",
            )
        record = Record(origin=origin, sources=sources, rows=0, rejected=0, shards=[])
        most = conf.getint("core", "max_map_length", fallback=1024)

        def check(shard: Shard) -> None:
            if earlier is not None and shard not in earlier.shards[shard.number : shard.number + 1]:
                raise self._cut_otherwise(f"shard {shard.number} would have other rows")
            if shard.number >= most:
                raise ConfigurationError(
                    f"there are more than {most} shards, and Airflow maps no more (core.max_map_length)",
                    setting="rows_per_shard, bytes_per_shard",
                )

        limits = ShardLimits(max_rows=self.rows_per_shard, max_bytes=self.bytes_per_shard)
        for shard in cut(self._lines(sources, record), limits, lambda number: self._open(number, sources), check):
            record.shards.append(shard)
            record.rows += shard.rows
        if earlier is not None:
            if len(record.shards) != len(earlier.shards):
                raise self._cut_otherwise(f"there would be {len(record.shards)} shards, not {len(earlier.shards)}")
            return record
        names = [self._name(shard.number, sources) for shard in record.shards]
        remove_others(self.shards_path, names, "shards_path")
        write_record(self.shards_path, record, "shards_path")
        return record

    def _lines(self, sources: list[str], record: Record) -> Iterator[tuple[int, bytes]]:
        """Yield the rows that no earlier one makes impossible.

        :raises ValidationError: at the end, if there are others and `on_rejected` is ``fail``.
        """
        from airflow_provider_messaging.delivery.outputs import Outputs
        from airflow_provider_messaging.delivery.shards import Repeats
        from airflow_provider_messaging.delivery.source import Line

        numbered = enumerate(lines_of_all(sources, "source_path"))
        if self.unique_field is None:
            yield from numbered
            return
        repeats = Repeats(self.unique_field)
        path = None if self.rejects_path is None else f"{self.rejects_path.rstrip('/')}/repeated.ndjson"
        with Outputs(manifest=None, rejects=line_file(path, "rejects_path"), origin={}) as outputs:
            for row, line in numbered:
                reject = repeats.reject(row, line)
                if reject is None:
                    yield row, line
                else:
                    outputs.reject(reject, Line(line))
                    record.rejected += 1
            outputs.ready = True
        if not record.rejected:
            return
        shown = "; ".join(str(RowError(row=each.row, errors=each.errors)) for each in outputs.sample[:_SHOWN])
        text = f"{record.rejected} rows repeat the {self.unique_field} of an earlier one. The first: {shown}"
        if self.on_rejected == "fail":
            raise ValidationError(
                f"{text}; nothing is sent", setting="the rows, or on_rejected='continue' to leave them out"
            )
        self.log.warning("%s; they are left out%s", text, f", and in {path}" if path else "")

    def _open(self, number: int, sources: list[str]) -> LineFile:
        file = line_file(f"{self.shards_path.rstrip('/')}/{self._name(number, sources)}", "shards_path")
        assert file is not None
        return file

    def _name(self, number: int, sources: list[str]) -> str:
        default = is_parquet(sources[0]) or is_compressed(sources[0])
        return shard_name(number, compressed=default if self.compressed is None else self.compressed)

    def _arguments(self, shard: Shard, sources: list[str]) -> dict[str, str]:
        name = self._name(shard.number, sources)
        arguments = {self.rows_argument: f"{self.shards_path.rstrip('/')}/{name}"}
        for argument, folder in (("manifest_path", self.manifests_path), ("rejects_path", self.rejects_path)):
            if folder is not None:
                arguments[argument] = f"{folder.rstrip('/')}/{name}"
        return arguments

    def _cut_otherwise(self, what: str) -> ConfigurationError:
        return ConfigurationError(
            f"this run was cut otherwise before: {what}, and some may have been sent. Restore the input and the sizes, "
            f"or start a new run. If nothing was sent from it, remove {RECORD} from {self.shards_path!r} and clear "
            "this task together with the sends",
            setting="source_path, rows_per_shard, bytes_per_shard",
        )

    def _sources(self) -> list[str]:
        given = self.source_path
        if isinstance(given, str) and not given.startswith("["):
            return [given]
        sources = [str(each) for each in listed(given, "source_path")]
        if not sources:
            raise ConfigurationError("it names no file", setting="source_path")
        return sources

    def _check_arguments(self) -> None:
        if self.rows_per_shard is None and self.bytes_per_shard is None:
            message = "give rows_per_shard or bytes_per_shard, or both"
            raise ConfigurationError(message, setting="rows_per_shard, bytes_per_shard")
        for name in ("rows_per_shard", "bytes_per_shard"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigurationError(f"{name} must be at least 1", setting=name)
        if self.on_rejected not in ("fail", "continue"):
            message = f"on_rejected is {self.on_rejected!r}; it must be one of fail, continue"
            raise ConfigurationError(message, setting="on_rejected")
        for name in ("shards_path", "manifests_path", "rejects_path"):
            if getattr(self, name) is not None:
                storage_path(getattr(self, name), name)
        folders = [
            folder.rstrip("/") for folder in (self.shards_path, self.manifests_path, self.rejects_path) if folder
        ]
        if len(set(folders)) < len(folders):
            raise ConfigurationError(
                "shards, manifests and rejects have the same names, so they need folders of their own",
                setting="shards_path, manifests_path, rejects_path",
            )


class CombineResultsOperator(BaseOperator):
    """Sums the results of mapped sends, and fails unless every message is accounted for.

    Checks ``accepted + rejected + ambiguous == messages`` of each result, and with `shards_path` that there is a
    result for each shard, and that together they have as many rows as were cut.

    Returns the sums, ``shards``, ``repeated`` (rows that were left out since they repeat a reference), and the lists
    ``manifest_path`` and ``rejects_path``, which operators that read manifests take as they are. See ``docs/scale.md``.

    :param results: ``send.output`` of the mapped task.
    :param shards_path: the folder that `ShardMessagesOperator` wrote.
    :param rows_field: what the results call their rows: ``messages``, ``contacts``, ``addresses``, …
    """

    template_fields: Sequence[str] = ("results", "shards_path")

    def __init__(
        self,
        *,
        results: Any,
        shards_path: str | None = None,
        rows_field: str = "messages",
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"multiple_outputs": True, **kwargs})
        self.results = results
        self.shards_path = shards_path
        self.rows_field = rows_field

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the sums.

        :raises AirflowFailException: if they do not add up.
        """
        with no_retry_where_useless():
            results = [self._checked(number, result) for number, result in enumerate(listed(self.results, "results"))]
            names = (self.rows_field, *_COUNTS)
            total: dict[str, Any] = {name: sum(result.get(name, 0) for result in results) for name in names}
            if self.shards_path is not None:
                total["repeated"] = self._check_shards(len(results), total[self.rows_field])
            self.log.info("%d shards: %s", len(results), ", ".join(f"{count} {name}" for name, count in total.items()))
            for name in ("manifest_path", "rejects_path"):
                total[name] = [result[name] for result in results if result.get(name)]
        return {"shards": len(results), **total}

    def _checked(self, number: int, result: Any) -> Mapping[str, Any]:
        # Where a repeat does no harm, nothing is ever ambiguous, and the result does not speak of it.
        if not isinstance(result, Mapping) or not {self.rows_field, "accepted", "rejected"} <= result.keys():
            raise ConfigurationError(
                f"result {number} is not that of a send of {self.rows_field}", setting="results, rows_field"
            )
        if sum(result.get(name, 0) for name in _SETTLED) != result[self.rows_field]:
            raise MessagingError(f"result {number} does not add up: {dict(result)}")
        return result

    def _check_shards(self, results: int, rows: int) -> int:
        """Compare with how the input was cut, and return how many rows were left out there."""
        record = read_record(str(self.shards_path), "shards_path")
        if record is None:
            raise ConfigurationError(f"there is no {RECORD} in {self.shards_path!r}", setting="shards_path")
        if results != len(record.shards) or rows != record.rows:
            raise MessagingError(
                f"{results} results with {rows} {self.rows_field} for {len(record.shards)} shards with {record.rows}: "
                "some sends have no result, or it is not theirs"
            )
        return record.rejected


def _origin(context: Context) -> Origin:
    ti = context["ti"]
    map_index = -1 if ti.map_index is None else ti.map_index
    return Origin(dag_id=ti.dag_id, run_id=ti.run_id, task_id=ti.task_id, map_index=map_index)
