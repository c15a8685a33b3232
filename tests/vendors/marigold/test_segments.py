"""Names of segments."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from airflow_provider_messaging.vendors.marigold.segments import Segment, segment_kind

SEGMENT = Segment("bounces", date(2026, 1, 2), datetime(2026, 1, 3, 0, 0, 0, 6, tzinfo=UTC), "ab12")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("com.sdc.deliveries.email.failed", "bounces"),
        ("sdc.bounces.email.bounced", "bounces"),
        ("com.sdc.bounces.email.complaintfiled", "complaints"),
        ("com.sdc.bounces.email.ListUnsubscribed", "list_unsubscribes"),
        ("com.sdc.deliveries.email.sent", "deliveries"),
        ("com.sdc.archive.email.archived", "other"),
        (None, "other"),
    ],
)
def test_each_type_has_its_folder(name: str | None, kind: str) -> None:
    assert segment_kind(name) == kind


def test_a_path_says_kind_day_and_moment() -> None:
    assert SEGMENT.path == "kind=bounces/date=2026-01-02/segment-20260103T000000000006Z-ab12.ndjson"


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("root", ["", "s3://lake/webhooks/", "/data/"])
def test_a_path_is_read_back(root: str, compressed: bool) -> None:
    segment = SEGMENT._replace(compressed=compressed)
    assert Segment.parse(root + segment.path) == segment


@pytest.mark.parametrize(
    "path",
    [
        "kind=bounces/date=2026-01-02/segment-20260103T000000000006Z-ab12.ndjson.part-12",
        "kind=bounces/date=2026-13-02/segment-20260103T000000000006Z-ab12.ndjson",
        "kind=bounces/date=2026-01-02/bounces-20260103T000000Z.ndjson",
        "kind=receipts/date=2026-01-02/segment-20260103T000000000006Z-ab12.ndjson",
    ],
)
def test_another_file_is_no_segment(path: str) -> None:
    assert Segment.parse(path) is None


def test_names_sort_by_the_time_of_sealing() -> None:
    names = [
        SEGMENT._replace(sealed_at=SEGMENT.sealed_at + timedelta(microseconds=n)).name for n in (0, 1, 10**6, 10**9)
    ]
    assert names == sorted(names)
