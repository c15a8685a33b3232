"""Judged rows between judging and sending: what comes back is what was kept, or nothing is."""

from __future__ import annotations

import gc
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_messaging.core.batching import BatchLimits
from airflow_provider_messaging.core.messages import Message
from airflow_provider_messaging.delivery.plan import Batch, groups
from airflow_provider_messaging.delivery.source import Line
from airflow_provider_messaging.delivery.spool import Spool
from tests.delivery.fakes import Planned

NOW = datetime(2026, 11, 29, tzinfo=UTC)
SMALL = BatchLimits(max_messages=5, max_bytes=60)

messages = st.builds(
    Message,
    row=st.integers(0, 2**40),
    reference=st.text(max_size=5),
    recipient=st.text(max_size=5),
    data=st.binary(max_size=20),
    profile=st.none() | st.text(max_size=5),
    tags=st.lists(st.text(max_size=3), max_size=2).map(tuple),
)
given_rows = st.builds(Line, st.binary(max_size=10)) | st.dictionaries(st.text(max_size=2), st.integers(), max_size=2)


@st.composite
def batches(draw: st.DrawFn) -> list[Batch]:
    """Batches as a plan yields them: no row twice."""
    found: list[Batch] = []
    for number, part in enumerate(draw(st.lists(st.lists(messages, min_size=1, max_size=4), max_size=5))):
        unique = list({message.row + 2**41 * number: message for message in part}.items())
        numbered = [_numbered(message, row) for row, message in unique]
        found.append(
            Batch(
                number=number,
                first_ordinal=draw(st.integers(0, 2**40)),
                messages=numbered,
                raw={message.row: draw(given_rows) for message in numbered},
                digest=draw(st.binary(min_size=16, max_size=16)),
            )
        )
    return found


def _numbered(message: Message, row: int) -> Message:
    return Message(
        row=row,
        reference=message.reference,
        recipient=message.recipient,
        data=message.data,
        profile=message.profile,
        tags=message.tags,
    )


@given(batches())
def test_what_was_kept_comes_back_as_often_as_it_is_asked_for(kept: list[Batch]) -> None:
    with Spool(NOW) as spool:
        for batch in kept:
            spool.add(batch)
        assert spool.usable is bool(kept)
        assert list(spool.steps()) == kept
        assert list(spool.steps()) == kept


def test_it_is_grouped_like_the_plan_it_was_made_of() -> None:
    source = Planned([b"x" * 9] * 57, SMALL)
    with Spool(NOW) as spool:
        for group in groups(source.plan, size=1, max_bytes=10**9):
            for batch in group.batches:
                spool.add(batch)
        again = list(groups(lambda _: spool, size=3, max_bytes=10**9))
    assert again == list(groups(Planned([b"x" * 9] * 57, SMALL).plan, size=3, max_bytes=10**9))


def batch(number: int, size: int = 1_000) -> Batch:
    message = Message(row=number, reference=str(number), recipient="a@example.com", data=b"x" * size)
    raw: dict[int, Any] = {number: Line(b"x" * size)}
    return Batch(number=number, first_ordinal=number, messages=[message], raw=raw, digest=b"0" * 16)


def test_beyond_its_size_it_keeps_nothing_and_gives_the_disk_back() -> None:
    before = len(os.listdir("/proc/self/fd"))
    with Spool(NOW, most_bytes=10_000) as spool:
        for number in range(4):
            spool.add(batch(number))
        assert spool.usable
        assert len(os.listdir("/proc/self/fd")) == before + 1
        spool.add(batch(4))
        assert not spool.usable
        spool.add(batch(5))
        assert not spool.usable
        assert list(spool.steps()) == []
        assert len(os.listdir("/proc/self/fd")) == before


def test_without_a_disk_it_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with Spool(NOW) as spool:
        spool.add(batch(0))
        assert not spool.usable


def test_it_leaves_no_file_behind_and_none_while_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Spool(NOW) as spool:
        spool.add(batch(0, size=100_000))
        assert spool.usable
        assert list(tmp_path.iterdir()) == []
    assert not spool.usable
    gc.collect()
    assert list(tmp_path.iterdir()) == []
