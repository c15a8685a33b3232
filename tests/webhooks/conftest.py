"""The databases of the inbox."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.webhooks.running import Running, fresh_schema, running


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def inbox_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of an empty database, of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'inbox.db'}"
        return
    with fresh_schema(request.getfixturevalue("postgres_url"), f"webhooks_{os.getpid()}") as url:
        yield url


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A running receiver with small limits, on SQLite."""
    folder = tmp_path_factory.mktemp("receiver")
    options = {"max_body_bytes": "20000", "read_timeout": "2", "max_requests": "8", "gzip": "True"}
    with running(folder, f"sqlite:///{folder / 'inbox.db'}", **options) as started:
        yield started
