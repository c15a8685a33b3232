"""Memory that does not grow with the rows, measured in processes of their own."""

from __future__ import annotations

from argparse import Namespace

import pytest

from tests.benchmarks.feedback_extraction import Setting, feedback, measure

pytestmark = pytest.mark.slow


@pytest.mark.timeout(300)
@pytest.mark.parametrize("client", ["ours", "ours_parquet"])
def test_a_million_rows_take_as_much_memory_as_a_hundred_thousand(client: str) -> None:
    if client == "ours_parquet":
        pytest.importorskip("pyarrow")
    arguments = Namespace(in_flight=16, dlt=None)
    peaks = []
    for rows in (100_000, 1_000_000):
        setting = Setting(rows, 0)
        with feedback(setting, None) as url:
            result = measure(client, url, setting, arguments, None)
        assert result["rows"] == rows
        peaks.append(result["peak_mb"])
    assert peaks[1] <= 1.1 * peaks[0], peaks
