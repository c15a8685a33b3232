"""Landed feedback and manifests on their way to a file of addresses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import DAG, Asset, ObjectStoragePath
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_messaging.operators.marigold import SendEmailBatchOperator
from airflow_provider_messaging.operators.suppression import AttributeFeedbackOperator
from airflow_provider_messaging.transfers.marigold import FeedbackToObjectStorageOperator
from tests.contexts import task_context
from tests.operators.conftest import Row, read_lines, write_lines
from tests.operators.suppressing import attribute, bounce, feedback, land, manifest, sent

ADA, GRACE, ALAN = "ada@example.com", "grace@example.com", "alan@example.com"


@pytest.fixture
def paths(tmp_path: Path) -> dict[str, Any]:
    """A folder of manifests, a folder of landed feedback of all kinds, and where the results go."""
    manifest(tmp_path / "sent" / "1" / "manifest.ndjson", {"m-1": ADA, "m-2": GRACE})
    manifest(tmp_path / "sent" / "2" / "manifest.ndjson.gz", {"m-3": ALAN, "m-4": "joan@example.com"})
    land(tmp_path / "feedback", [bounce("m-1"), bounce("m-9")])
    land(tmp_path / "feedback", [bounce("m-3", day=11, mapping="SOFT")], day=11, suffix=".ndjson")
    land(tmp_path / "feedback", [feedback("m-2")], kind="complaints")
    land(tmp_path / "feedback", [feedback("m-2")], kind="list_unsubscribes")
    return {
        "manifest_path": str(tmp_path / "sent"),
        "source_path": str(tmp_path / "feedback"),
        "addresses_path": str(tmp_path / "out" / "addresses.ndjson"),
    }


def suppressed(paths: dict[str, Any]) -> dict[str, str]:
    return {line["email"]: line["reason"] for line in read_lines(paths["addresses_path"])}


def test_the_files_and_the_counts_of_an_attribution(paths: dict[str, Any], tmp_path: Path) -> None:
    more = {"unattributed_path": str(tmp_path / "unknown.ndjson.gz"), "reached_path": str(tmp_path / "reached.ndjson")}
    assert attribute(**paths, **more, category="news") == {
        **{"messages": 4, "events": 5, "copies": 0, "attributed": 4, "ambiguous": 0, "unattributed": 1},
        **{"problems": {"UNKNOWN_REFERENCE": 1}, "addresses": 2, "reasons": {"Complaint": 1, "Hard Bounce": 1}},
        **{"addresses_path": paths["addresses_path"], **more},
    }
    at = "2026-03-10T12:00:00.123456Z"
    evidence = {"category": "news", "events": 1, "first_at": at, "last_at": at}
    assert read_lines(paths["addresses_path"]) == [
        {"email": ADA, "reason": "Hard Bounce", "references": ["m-1"], **evidence},
        {"email": GRACE, "reason": "Complaint", "references": ["m-2"], **evidence},
    ]
    [unknown] = read_lines(more["unattributed_path"])
    assert unknown["_unattributed"]["code"] == "UNKNOWN_REFERENCE"
    assert json.loads(unknown["raw"]) == bounce("m-9"), "with the vendor's row"
    assert {name: unknown[name] for name in ("kind", "bounce_type", "occurred_at")} == {
        "kind": "bounce",
        "bounce_type": "hard",
        "occurred_at": at,
    }
    assert read_lines(more["reached_path"]) == [{"email": "joan@example.com", "reference": "m-4"}]


def test_attributing_again_gives_the_same_bytes(paths: dict[str, Any]) -> None:
    first = attribute(**paths)
    written = Path(paths["addresses_path"]).read_bytes()
    assert attribute(**paths) == first
    assert Path(paths["addresses_path"]).read_bytes() == written


def test_all_arguments_of_the_policy_are_obeyed(paths: dict[str, Any], tmp_path: Path) -> None:
    land(tmp_path / "feedback", [bounce("m-4", day=12, mapping="spam")], day=12)
    attribute(**paths, hard=False, complaints=False)
    assert suppressed(paths) == {GRACE: "Recipient Unsubscribed"}
    attribute(**paths, hard=False, complaints=False, unsubscribes=False, soft_bounces=1)
    assert suppressed(paths) == {ALAN: "Soft Bounce"}
    attribute(**paths, complaints=False, unsubscribes=False, spam_bounces="hard")
    assert suppressed(paths) == {ADA: "Hard Bounce", "joan@example.com": "Spam Bounce"}


@pytest.mark.parametrize("window", [86_400.0, "86400"])
def test_the_window_of_soft_bounces_may_be_given_in_seconds(paths: dict[str, Any], tmp_path: Path, window: Any) -> None:
    manifest(tmp_path / "sent" / "3.ndjson", {"m-5": ALAN, "m-6": ALAN})
    land(tmp_path / "feedback", [bounce("m-5", day=13, mapping="soft")], day=13)
    attribute(**paths, soft_bounces=2, soft_window=window)
    assert ALAN not in suppressed(paths)
    land(tmp_path / "feedback", [bounce("m-6", day=14, mapping="soft")], day=14)
    attribute(**paths, soft_bounces=2, soft_window=window)
    assert suppressed(paths)[ALAN] == "Soft Bounce"


@pytest.mark.parametrize("since", ["2026-03-11", "2026-03-10T12:00:01+00:00", "2026-03-10 12:00:01"])
def test_events_before_since_bring_nothing_about(paths: dict[str, Any], tmp_path: Path, since: str) -> None:
    land(tmp_path / "feedback", [bounce("m-4", day=12)], day=12)
    assert attribute(**paths, since=since)["events"] == 2
    assert suppressed(paths) == {"joan@example.com": "Hard Bounce"}


def test_folders_of_days_that_make_no_difference_are_not_read(paths: dict[str, Any], tmp_path: Path) -> None:
    damaged = Path(land(tmp_path / "feedback", [], day=1, suffix=".ndjson"))
    damaged.write_text("not JSON\n")
    with pytest.raises(AirflowFailException, match="line 0"):
        attribute(**paths)
    with pytest.raises(AirflowFailException, match="line 0"):
        attribute(**paths, since="2026-03-10", soft_window=9 * 86_400)
    attribute(**paths, since="2026-03-10", soft_window=8 * 86_400)
    attribute(**paths, since="2026-03-10", soft_bounces=None)


# ----------------------------------------------------------------------------------------------------- the manifests


def test_manifests_are_found_by_glob_list_and_result(paths: dict[str, Any], tmp_path: Path) -> None:
    one, two = str(tmp_path / "sent" / "1" / "manifest.ndjson"), str(tmp_path / "sent" / "2" / "manifest.ndjson.gz")
    for given, messages in [
        (one, 2),
        (f"file://{one}", 2),
        (str(tmp_path / "sent" / "*" / "manifest.ndjson*"), 4),
        (f"file://{tmp_path}/sent/*/manifest.ndjson", 2),
        (str(tmp_path / "sent" / "?" / "*.gz"), 2),
        (f"{tmp_path}/**/manifest.ndjson*", 4),
        ([one, two], 4),
        ([one, str(tmp_path / "sent" / "*" / "manifest.ndjson*"), str(tmp_path / "sent")], 4),
        ({"messages": 2, "manifest_path": one}, 2),
        ([{"manifest_path": one}, {"manifest_path": two}], 4),
        ([], 0),
    ]:
        assert attribute(**{**paths, "manifest_path": given})["messages"] == messages, given


def test_a_manifest_that_is_being_written_is_not_read(paths: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "sent" / "1" / "manifest.ndjson.part-17").write_text("{")
    assert attribute(**paths)["messages"] == 4
    assert attribute(**{**paths, "manifest_path": str(tmp_path / "sent" / "1" / "*")})["messages"] == 2


def test_a_manifest_whose_name_looks_like_a_glob_is_read(paths: dict[str, Any], tmp_path: Path) -> None:
    odd = manifest(tmp_path / "run [1]" / "manifest.ndjson", {"m-1": ADA})
    assert attribute(**{**paths, "manifest_path": odd})["messages"] == 1
    assert attribute(**{**paths, "manifest_path": str(tmp_path / "run [1]")})["messages"] == 1


@pytest.mark.usefixtures("object_storage")
def test_everything_may_be_on_object_storage(paths: dict[str, Any]) -> None:
    def write(path: str, row: Row) -> None:
        with ObjectStoragePath(path).open("wb") as stream:
            stream.write(json.dumps(row).encode() + b"\n")

    write("memory://mail/sent/1.ndjson", sent("m-1", ADA))
    write("memory://mail/sent/2.ndjson", sent("m-2", GRACE))
    write("memory://mail/feedback/kind=bounces/date=2026-03-10/rows.ndjson", bounce("m-2"))
    for given in ("memory://mail/sent", "memory://mail/sent/*.ndjson", "memory://mail/*/?.ndjson"):
        result = attribute(
            manifest_path=given,
            source_path="memory://mail/feedback",
            addresses_path="memory://mail/out/addresses.ndjson",
        )
        assert (result["messages"], result["addresses"]) == (2, 1)
    with ObjectStoragePath("memory://mail/out/addresses.ndjson").open("rb") as stream:
        assert [json.loads(line)["email"] for line in stream] == [GRACE]


def test_rejected_messages_do_not_make_their_references_ambiguous(paths: dict[str, Any], tmp_path: Path) -> None:
    rows = [sent("m-1", "adda@example.com", "rejected"), sent("m-7", ADA, "rejected")]
    write_lines(tmp_path / "sent" / "0.ndjson", rows)
    land(tmp_path / "feedback", [bounce("m-7", day=12)], day=12)
    result = attribute(**paths)
    assert suppressed(paths)[ADA] == "Hard Bounce"
    assert result["problems"] == {"UNKNOWN_REFERENCE": 2}
    assert result["messages"] == 4


def test_messages_that_may_have_been_taken_are_attributed_and_not_reached(
    paths: dict[str, Any], tmp_path: Path
) -> None:
    rows = [sent("m-7", "kay@example.com", "ambiguous"), sent("m-8", "lynn@example.com", "ambiguous")]
    write_lines(tmp_path / "sent" / "0.ndjson", rows)
    land(tmp_path / "feedback", [bounce("m-7", day=12)], day=12)
    attribute(**paths, reached_path=str(tmp_path / "reached.ndjson"))
    assert "kay@example.com" in suppressed(paths)
    assert [line["email"] for line in read_lines(tmp_path / "reached.ndjson")] == ["joan@example.com"]


# ------------------------------------------------------------------------------------------------------- the source


def test_the_results_of_several_landings_can_be_given_as_they_are(paths: dict[str, Any], tmp_path: Path) -> None:
    files = sorted(map(str, (tmp_path / "feedback").rglob("*.ndjson*")))
    landings = [{"files": files[:2], "rows": {}}, {"files": files[1:], "rows": {}}]
    assert attribute(**{**paths, "source_path": landings}) == attribute(**paths)
    assert attribute(**{**paths, "source_path": {"files": []}})["events"] == 0
    assert read_lines(paths["addresses_path"]) == []


def test_kinds_choose_what_is_taken_from_a_folder(paths: dict[str, Any]) -> None:
    attribute(**paths, kinds=["bounces"])
    assert suppressed(paths) == {ADA: "Hard Bounce"}


def test_windows_that_overlap_count_an_event_once(paths: dict[str, Any], tmp_path: Path) -> None:
    land(tmp_path / "feedback", [bounce("m-1"), bounce("m-1", timestamp="2026-03-10T12:00:00.123456")], day=9)
    result = attribute(**paths)
    assert (result["events"], result["copies"]) == (5, 2)
    assert read_lines(paths["addresses_path"])[0]["events"] == 1


def test_parquet_gives_what_the_vendors_rows_give(paths: dict[str, Any], tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    from airflow_provider_messaging.vendors.marigold.feedback import normalise

    expected = attribute(**paths)
    written = Path(paths["addresses_path"]).read_bytes()
    for file in (tmp_path / "feedback").rglob("*.ndjson*"):
        kind = file.parents[1].name.removeprefix("kind=")
        events = [dict(normalise(kind, row)) for row in read_lines(file)]
        table = pyarrow.Table.from_pylist(events)
        parquet.write_table(table, file.with_name(f"{kind}.parquet"))
        file.unlink()
    assert attribute(**paths) == expected
    assert Path(paths["addresses_path"]).read_bytes() == written


# ----------------------------------------------------------------------------------------------------------- errors

BAD_ARGUMENTS: list[tuple[str, dict[str, Any], str]] = [
    ("no such manifest", {"manifest_path": "/no/such/manifest.ndjson"}, "manifest_path"),
    ("no such manifests", {"manifest_path": "/no/such/*/manifest.ndjson"}, "manifest_path"),
    ("a send without a manifest", {"manifest_path": {"messages": 5, "manifest_path": None}}, "manifest_path"),
    ("another task's result", {"manifest_path": {"files": []}}, "manifest_path"),
    ("no such feedback", {"source_path": "/no/such/folder"}, "source_path"),
    ("no landing's result", {"source_path": {"messages": 5}}, "source_path"),
    ("no such storage", {"addresses_path": "nowhere://bucket/addresses.ndjson"}, "addresses_path"),
    ("unknown kind", {"kinds": ["opens"]}, "kinds"),
    ("soft_bounces", {"soft_bounces": 0}, "soft_bounces"),
    ("soft_window", {"soft_window": -1}, "soft_window"),
    ("soft_window of no length", {"soft_window": 0}, "soft_window"),
    ("spam_bounces", {"spam_bounces": "maybe"}, "spam_bounces"),
    ("since", {"since": "yesterday"}, "since"),
]


@pytest.mark.parametrize(
    ("arguments", "setting"), [row[1:] for row in BAD_ARGUMENTS], ids=[row[0] for row in BAD_ARGUMENTS]
)
def test_arguments_that_make_no_sense_fail_the_task_for_good(
    paths: dict[str, Any], arguments: dict[str, Any], setting: str
) -> None:
    with pytest.raises(AirflowFailException, match=rf"to change: {setting}\]"):
        attribute(**{**paths, **arguments})


@pytest.mark.parametrize("line", ["{", "[]", '{"recipient": "ada@example.com"}', '{"reference": 5, "recipient": "x"}'])
def test_a_line_that_is_none_of_a_manifest_fails_the_task_and_is_named(
    paths: dict[str, Any], tmp_path: Path, line: str
) -> None:
    with (tmp_path / "sent" / "1" / "manifest.ndjson").open("a") as stream:
        stream.write(f"\n{line}\n")
    with pytest.raises(AirflowFailException, match=r"line 3 of .*1/manifest\.ndjson"):
        attribute(**paths)


def test_a_damaged_manifest_fails_the_task_and_is_named(paths: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "sent" / "2" / "manifest.ndjson.gz"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(AirflowFailException, match=r"2/manifest\.ndjson\.gz.* is damaged"):
        attribute(**paths)


def test_an_attribution_that_fails_leaves_earlier_files_as_they_are(paths: dict[str, Any], tmp_path: Path) -> None:
    attribute(**paths)
    written = Path(paths["addresses_path"]).read_bytes()
    Path(land(tmp_path / "feedback", [], day=20, suffix=".ndjson")).write_text("not JSON\n")
    with pytest.raises(AirflowFailException):
        attribute(**paths)
    assert Path(paths["addresses_path"]).read_bytes() == written
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["addresses.ndjson"]


def test_no_address_is_logged_or_returned(paths: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    result = attribute(**paths)
    log = capsys.readouterr().out
    assert "UNKNOWN_REFERENCE" in log
    assert "@example.com" not in log + json.dumps(result)


# ------------------------------------------------------------------------------------------------------ in a DAG


def test_the_results_of_sending_and_landing_can_be_given_as_they_are() -> None:
    with DAG("etl", schedule=None) as dag:
        send = SendEmailBatchOperator(task_id="send", messages=[], manifest_path="x")
        land = FeedbackToObjectStorageOperator(task_id="land", path="x")
        AttributeFeedbackOperator(
            task_id="attribute", manifest_path=send.output, source_path=land.output, addresses_path="y"
        )
    assert dag.get_task("attribute").upstream_task_ids == {"send", "land"}


def test_paths_and_times_are_templates() -> None:
    made = AttributeFeedbackOperator(
        task_id="attribute",
        manifest_path=["in/{{ ds }}/manifest.ndjson"],
        source_path="{{ x }}/feedback",
        addresses_path="out/{{ x }}.ndjson",
        unattributed_path="unknown/{{ x }}.ndjson",
        reached_path="reached/{{ x }}.ndjson",
        since="{{ ds }}",
        category="{{ x }}",
    )
    made.render_template_fields({"ds": "2026-03-10", "x": "shoes"})  # type: ignore[typeddict-unknown-key]
    assert {name: getattr(made, name) for name in made.template_fields} == {
        "manifest_path": ["in/2026-03-10/manifest.ndjson"],
        "source_path": "shoes/feedback",
        "addresses_path": "out/shoes.ndjson",
        "unattributed_path": "unknown/shoes.ndjson",
        "reached_path": "reached/shoes.ndjson",
        "since": "2026-03-10",
        "category": "shoes",
    }


def test_outlets_get_the_counts_as_extra_of_their_asset_events(paths: dict[str, Any]) -> None:
    asset = Asset("addresses")
    operator = AttributeFeedbackOperator(task_id="attribute", outlets=[asset], **paths)
    events = OutletEventAccessors()
    operator.execute(task_context(task=operator, outlet_events=events))
    assert (events[asset].extra["addresses"], events[asset].extra["reasons"]) == (2, {"Complaint": 1, "Hard Bounce": 1})
    assert events[asset].extra["location"] == paths["addresses_path"]
    assert "@" not in str(events[asset].extra)


def test_lineage_leads_from_manifests_and_feedback_to_the_addresses(paths: dict[str, Any]) -> None:
    operator = AttributeFeedbackOperator(task_id="attribute", **paths)
    operator.execute(task_context(task=operator))
    told = operator._lineage
    assert [output.name for output in told.outputs] == [paths["addresses_path"]]
    assert len(told.inputs) == 2 + 4
    assert "@" not in str(told)
