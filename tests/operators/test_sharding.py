"""Inputs cut into shards: what is in them, that a run is cut once, and that the results add up."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_messaging.delivery.shards import Repeats, Shard, ShardLimits, cut
from airflow_provider_messaging.operators.engageone import BlacklistAddressOperator
from airflow_provider_messaging.operators.marigold import SendEmailBatchOperator
from airflow_provider_messaging.operators.messangi import SendMessageOperator
from airflow_provider_messaging.operators.pressnxpress import EnqueueFeedbackOperator
from airflow_provider_messaging.operators.sharding import CombineResultsOperator, ShardMessagesOperator
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.contexts import StateStore, TaskInstance, task_context
from tests.operators.conftest import Row, message, messages, read_lines, write_lines


class Lines:
    """A file that is a list."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.published = False

    def write_line(self, line: bytes) -> None:
        self.lines.append(line)

    def finish(self, *, publish: bool = True) -> None:
        self.published = publish


def cut_lines(lines: list[bytes], limits: ShardLimits) -> tuple[list[Shard], list[Lines]]:
    files: list[Lines] = []

    def open_file(number: int) -> Lines:
        assert number == len(files)
        files.append(Lines())
        return files[-1]

    return list(cut(enumerate(lines), limits, open_file, lambda _: None)), files


LINES = st.lists(st.binary(min_size=1, max_size=40))
LIMITS = st.builds(
    ShardLimits,
    max_rows=st.none() | st.integers(1, 9),
    max_bytes=st.none() | st.integers(1, 100),
)


@given(LINES, LIMITS)
def test_shards_have_every_row_once_in_order_and_keep_both_limits(lines: list[bytes], limits: ShardLimits) -> None:
    shards, files = cut_lines(lines, limits)
    assert [line for file in files for line in file.lines] == lines
    assert all(file.published for file in files)
    for shard, file in zip(shards, files, strict=True):
        assert shard.rows == len(file.lines) > 0
        assert shard.bytes == sum(len(line) + 1 for line in file.lines)
        assert limits.max_rows is None or shard.rows <= limits.max_rows
        assert limits.max_bytes is None or shard.bytes <= limits.max_bytes or shard.rows == 1
    assert [shard.first_row for shard in shards] == [
        sum(shard.rows for shard in shards[:number]) for number in range(len(shards))
    ]


@given(LINES, LIMITS)
def test_no_shard_is_smaller_than_it_must_be(lines: list[bytes], limits: ShardLimits) -> None:
    shards, files = cut_lines(lines, limits)
    for shard, following in zip(shards, files[1:], strict=False):
        assert limits.full(shard.rows, shard.bytes, len(following.lines[0]) + 1)


@given(LINES, LIMITS, st.data())
def test_the_digest_tells_a_changed_row(lines: list[bytes], limits: ShardLimits, data: st.DataObject) -> None:
    assert cut_lines(lines, limits)[0] == cut_lines(lines, limits)[0]
    if lines:
        at = data.draw(st.integers(0, len(lines) - 1))
        # Of the same length: everything else that a shard tells is the same.
        other = bytes([lines[at][0] ^ 1]) + lines[at][1:]
        changed = [*lines[:at], other, *lines[at + 1 :]]
        assert cut_lines(changed, limits)[0] != cut_lines(lines, limits)[0]


@given(st.lists(st.sampled_from(["a", "b", "c", "", None, 5])))
def test_a_row_repeats_a_reference_when_an_earlier_one_has_the_same_text(references: list[Any]) -> None:
    repeats = Repeats("reference")
    seen: set[Any] = set()
    for row, reference in enumerate(references):
        expected = isinstance(reference, str) and reference != "" and reference in seen
        seen.add(reference)
        assert (repeats.reject(row, json.dumps({"reference": reference}).encode()) is not None) == expected


def test_a_shard_that_is_not_allowed_is_not_published() -> None:
    file = Lines()

    def refuse(shard: Shard) -> None:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        list(cut([(0, b"a")], ShardLimits(max_rows=1), lambda _: file, refuse))
    assert file.lines
    assert not file.published


def shard(
    tmp_path: Path, source: Any, *, ti: TaskInstance | None = None, **arguments: Any
) -> tuple[list[dict[str, str]], str]:
    """Cut a source and return the arguments for the sends, and the folder."""
    folder = str(tmp_path / "shards")
    options = {"shards_path": folder, "rows_per_shard": 40, **arguments}
    operator = ShardMessagesOperator(task_id="shard", source_path=source, **options)
    return operator.execute(task_context(ti or TaskInstance(task_id="shard"))), folder


def rows_of(arguments: list[dict[str, str]]) -> list[list[Any]]:
    return [read_lines(each["messages_path"]) for each in arguments]


def all_rows(arguments: list[dict[str, str]]) -> list[Any]:
    return [row for rows in rows_of(arguments) for row in rows]


def test_each_shard_is_a_file_and_the_arguments_of_a_send(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "messages.ndjson", messages(100))
    found, folder = shard(tmp_path, source, manifests_path=f"{tmp_path}/manifests/", rejects_path=f"{tmp_path}/rejects")
    assert [len(rows) for rows in rows_of(found)] == [40, 40, 20]
    assert all_rows(found) == messages(100)
    assert found[1] == {
        "messages_path": f"{folder}/00001.ndjson",
        "manifest_path": f"{tmp_path}/manifests/00001.ndjson",
        "rejects_path": f"{tmp_path}/rejects/00001.ndjson",
    }


def test_several_files_are_one_input_and_blank_lines_are_no_rows(tmp_path: Path) -> None:
    first = write_lines(tmp_path / "a.ndjson.gz", messages(30))
    (tmp_path / "b.ndjson").write_bytes(b"\n" + json.dumps(message(30)).encode() + b"\n\n  \nnot JSON\n")
    found, _ = shard(tmp_path, [first, str(tmp_path / "b.ndjson")], rows_per_shard=31)
    assert found[0]["messages_path"].endswith("00000.ndjson.gz")
    assert rows_of(found[:1]) == [messages(31)]
    # What is wrong with a row, its send says.
    assert gzip.decompress(Path(found[1]["messages_path"]).read_bytes()) == b"not JSON\n"


def test_parquet_becomes_rows_without_the_fields_that_are_null(tmp_path: Path) -> None:
    table = pyarrow.table(
        {
            "to": ["a@example.com", "b@example.com"],
            "text": ["Hello", None],
            "tags": [["x"], None],
            "send_at": [None, datetime(2026, 3, 1, tzinfo=UTC)],
            "headers": [{"subject": "A", "reply": None}, {"subject": "B", "reply": "c@example.com"}],
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "messages.parquet")
    found, _ = shard(tmp_path, str(tmp_path / "messages.parquet"))
    assert rows_of(found) == [
        [
            {"to": "a@example.com", "text": "Hello", "tags": ["x"], "headers": {"subject": "A"}},
            {
                "to": "b@example.com",
                "send_at": "2026-03-01T00:00:00Z",
                "headers": {"subject": "B", "reply": "c@example.com"},
            },
        ]
    ]


def test_a_file_that_is_no_parquet_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "messages.parquet").write_text("{}")
    with pytest.raises(AirflowFailException, match="is no Parquet file"):
        shard(tmp_path, str(tmp_path / "messages.parquet"))


@pytest.mark.usefixtures("object_storage")
def test_source_and_shards_may_be_on_object_storage(tmp_path: Path) -> None:
    from airflow.sdk import ObjectStoragePath

    with ObjectStoragePath("memory://mail/in.ndjson").open("wb") as stream:
        stream.write(b"".join(json.dumps(row).encode() + b"\n" for row in messages(50)))
    for _ in range(2):
        found, _ = shard(tmp_path, "memory://mail/in.ndjson", shards_path="memory://mail/shards")
        assert [each["messages_path"] for each in found] == [f"memory://mail/shards/0000{n}.ndjson" for n in (0, 1)]
        with ObjectStoragePath(found[1]["messages_path"]).open("rb") as stream:
            assert [json.loads(line) for line in stream] == messages(50)[40:]


def test_a_second_cut_of_the_same_input_replaces_the_shards_by_themselves(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "messages.ndjson.gz", messages(100))
    first, folder = shard(tmp_path, source)
    before = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    Path(first[0]["messages_path"]).unlink()
    assert shard(tmp_path, source)[0] == first
    assert {path.name: path.read_bytes() for path in Path(folder).iterdir()} == before


@pytest.mark.parametrize(
    ("rows", "size"),
    [
        pytest.param(messages(100), 50, id="other size"),
        pytest.param([*messages(99), message(0)], 40, id="other row"),
        pytest.param([*messages(98), message(99), message(98)], 40, id="other order"),
        pytest.param([*messages(40), message(7), *messages(100)[40:]], 40, id="one more row"),
        pytest.param(messages(80), 40, id="fewer shards"),
        pytest.param(messages(130), 40, id="more shards"),
    ],
)
def test_a_run_is_not_cut_otherwise_than_before_and_its_shards_stay(tmp_path: Path, rows: list[Any], size: int) -> None:
    source = write_lines(tmp_path / "messages.ndjson", messages(100))
    _, folder = shard(tmp_path, source)
    before = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    write_lines(tmp_path / "messages.ndjson", rows)
    with pytest.raises(AirflowFailException, match="cut otherwise before"):
        shard(tmp_path, source, rows_per_shard=size)
    after = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    assert {name: after[name] for name in before} == before


def test_what_a_try_left_that_never_ended_is_replaced(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "messages.ndjson", messages(100))
    _, folder = shard(tmp_path, source, rows_per_shard=10)
    # Without the record nobody was told of these shards.
    (Path(folder) / "shards.json").unlink()
    (Path(folder) / "notes.txt").write_text("not a shard")
    found, _ = shard(tmp_path, source, rows_per_shard=60)
    assert [len(rows) for rows in rows_of(found)] == [60, 40]
    assert sorted(path.name for path in Path(folder).iterdir()) == [
        "00000.ndjson",
        "00001.ndjson",
        "notes.txt",
        "shards.json",
    ]


def test_another_run_must_not_use_the_same_folder(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "messages.ndjson", messages(10))
    shard(tmp_path, source)
    with pytest.raises(AirflowFailException, match=r"another task or run .*\{\{ run_id \}\}"):
        shard(tmp_path, source, ti=TaskInstance(task_id="shard", run_id="manual__2"))


def test_a_reference_that_an_earlier_shard_has_fails_the_cut_and_names_the_row(tmp_path: Path) -> None:
    rows = [message(number, reference=f"r-{number % 90}") for number in range(100)]
    source = write_lines(tmp_path / "messages.ndjson", rows)
    with pytest.raises(AirflowFailException, match="10 rows repeat the reference of an earlier one"):
        shard(tmp_path, source)
    assert not (tmp_path / "shards" / "shards.json").exists()


def test_rows_that_repeat_a_reference_are_left_out_and_kept_on_request(tmp_path: Path) -> None:
    rows = [message(number, reference=f"r-{number % 90}") for number in range(100)]
    source = write_lines(tmp_path / "messages.ndjson", rows)
    found, _ = shard(tmp_path, source, on_rejected="continue", rejects_path=str(tmp_path / "rejects"))
    assert all_rows(found) == rows[:90]
    left_out = read_lines(tmp_path / "rejects" / "repeated.ndjson")
    assert [line["_rejected"]["row"] for line in left_out] == list(range(90, 100))
    assert [line["to"] for line in left_out] == [row["to"] for row in rows[90:]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rows_per_shard": None}, "give rows_per_shard or bytes_per_shard"),
        ({"rows_per_shard": 0}, "rows_per_shard must be at least 1"),
        ({"bytes_per_shard": 0}, "bytes_per_shard must be at least 1"),
        ({"on_rejected": "ignore"}, "must be one of fail, continue"),
        ({"source_path": []}, "names no file"),
        ({"source_path": "/nowhere/messages.ndjson"}, "there is no file"),
        ({"manifests_path": "/tmp/x/", "rejects_path": "/tmp/x"}, "need folders of their own"),
    ],
)
def test_arguments_that_can_not_work_fail_for_good(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    source = arguments.pop("source_path", None)
    source = write_lines(tmp_path / "messages.ndjson", messages(3)) if source is None else source
    with pytest.raises(AirflowFailException, match=message):
        shard(tmp_path, source, **arguments)


def test_more_shards_than_airflow_maps_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "3")
    source = write_lines(tmp_path / "messages.ndjson", messages(4))
    with pytest.raises(AirflowFailException, match=r"more than 3 shards.*rows_per_shard"):
        shard(tmp_path, source, rows_per_shard=1)


def result(accepted: int, rejected: int = 0, ambiguous: int = 0, **more: Any) -> dict[str, Any]:
    counts = {"accepted": accepted, "rejected": rejected, "ambiguous": ambiguous}
    return {"messages": sum(counts.values()), **counts, "reconciled": 0, "resumed": 0, "requests": 1, **more}


def combine(results: Any, **arguments: Any) -> dict[str, Any]:
    return CombineResultsOperator(task_id="combine", results=results, **arguments).execute(task_context())


def test_results_are_summed_and_their_files_listed() -> None:
    found = combine(
        [result(3, 1, manifest_path="a", rejects_path="b"), result(5, 0, 2, manifest_path="c", rejects_path=None)]
    )
    assert found == {
        "shards": 2,
        "messages": 11,
        "accepted": 8,
        "rejected": 1,
        "ambiguous": 2,
        "reconciled": 0,
        "resumed": 0,
        "requests": 2,
        "manifest_path": ["a", "c"],
        "rejects_path": ["b"],
    }


def test_a_result_that_does_not_add_up_fails() -> None:
    with pytest.raises(AirflowFailException, match="result 1 does not add up"):
        combine([result(1), {**result(2), "messages": 3}])


def test_a_result_of_something_else_fails() -> None:
    with pytest.raises(AirflowFailException, match="not that of a send of contacts"):
        combine([result(1)], rows_field="contacts")


@pytest.mark.parametrize("results", [[result(40)], [result(40), result(21)], [result(40), result(19)]])
def test_results_that_are_not_those_of_the_shards_fail(tmp_path: Path, results: list[dict[str, Any]]) -> None:
    source = write_lines(tmp_path / "messages.ndjson", messages(60))
    _, folder = shard(tmp_path, source)
    assert combine([result(40), result(20)], shards_path=folder)["accepted"] == 60
    with pytest.raises(AirflowFailException, match="some sends have no result"):
        combine(results, shards_path=folder)


@pytest.mark.parametrize(
    ("operator_class", "field", "row", "options"),
    [
        (BlacklistAddressOperator, "emails", lambda number: {"email": f"user{number}@example.com"}, {}),
        (
            SendMessageOperator,
            "messages",
            lambda number: {"to": f"+1202555{number:04}", "text": f"Hello {number}"},
            {"channel": "sms", "sender": "Shop"},
        ),
        (EnqueueFeedbackOperator, "contacts", lambda number: {"email": f"user{number}@example.com"}, {}),
    ],
)
def test_other_operators_take_shards_as_well(
    tmp_path: Path,
    connections: None,
    sandbox: Sandbox,
    operator_class: Any,
    field: str,
    row: Callable[[int], Row],
    options: dict[str, Any],
) -> None:
    source = write_lines(tmp_path / "rows.ndjson", [row(100 + number) for number in range(50)])
    found, folder = shard(
        tmp_path, source, rows_argument=f"{field}_path", rows_per_shard=20, manifests_path=f"{tmp_path}/manifests"
    )
    results = []
    for number, arguments in enumerate(found):
        operator = operator_class(task_id="send", **options, **arguments)
        results.append(
            operator.execute(task_context(TaskInstance(map_index=number), store=StateStore(), task=operator))
        )
    rows_field = next(name for name in results[0] if name in {"addresses", "contacts", "messages"})
    total = combine(results, shards_path=folder, rows_field=rows_field)
    assert (total[rows_field], total["accepted"]) == (50, 50)
    assert len({line["recipient"] for path in total["manifest_path"] for line in read_lines(path)}) == 50


def test_sends_of_all_shards_have_references_of_their_own_and_add_up(
    tmp_path: Path, marigold_conn: str, sandbox: Sandbox
) -> None:
    rows = [*messages(99), {"to": "nobody"}]
    found, folder = shard(
        tmp_path, write_lines(tmp_path / "messages.ndjson", rows), manifests_path=str(tmp_path / "manifests")
    )
    results = []
    for number, arguments in enumerate(found):
        operator = SendEmailBatchOperator(task_id="send", on_rejected="continue", **arguments)
        ti = TaskInstance(map_index=number)
        results.append(operator.execute(task_context(ti, store=StateStore(), task=operator)))
    total = combine(results, shards_path=folder)
    assert (total["messages"], total["accepted"], total["rejected"], total["repeated"]) == (100, 99, 1, 0)
    assert sandbox.counts() == {"total": 99, "distinct": 99, "duplicates": 0}
    lines = [line for path in total["manifest_path"] for line in read_lines(path)]
    assert {line["reference"]: line["recipient"] for line in lines} == {
        each["reference"]: each["recipient"] for each in sandbox.deliveries()
    }
