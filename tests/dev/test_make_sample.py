"""Tests of the sample that the example DAG sends."""

from __future__ import annotations

import re

from dev.make_sample import BREAKS, RETURNS, SAMPLE, rows


def test_the_sample_file_is_what_its_generator_writes() -> None:
    assert SAMPLE.read_text(encoding="utf-8").splitlines() == [row.line for row in rows()]


def test_the_sample_has_a_thousand_valid_messages_and_every_kind_of_broken_and_returning_one() -> None:
    sample = list(rows())
    assert sum(row.broken is None for row in sample) >= 1_000
    assert {row.broken for row in sample} == {None, *BREAKS}
    assert {row.returns for row in sample} == {None, *RETURNS}


def test_the_sample_has_addresses_of_example_domains_only() -> None:
    domains = set(re.findall(r"@([\w.-]+)", SAMPLE.read_text(encoding="utf-8")))
    assert domains == {"example.com", "example.org"}
