"""Tests of the look for text that no commit may hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev import check_text


def _look(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str, name: str = "page.md") -> list[str]:
    monkeypatch.setattr(check_text, "ROOT", folder)
    page = folder / name
    page.write_text(text)
    return list(check_text.findings(page))


@pytest.mark.parametrize(
    "text",
    [
        "/" + "work/main/README.md",
        'path = "/' + 'home/ada/airflow"',
        "see .." + "/shared/DESIGN.md",
        "pip install --extra-" + "index-url https://packages.example.com/",
        "https://packages.example.com/" + "simple/",
        "-----BEGIN RSA " + "PRIVATE KEY-----",
        ".".join(["ey" + "J" + "a" * 30, "b" * 30, "c" * 30]),
    ],
)
def test_forbidden_text_is_found_with_its_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> None:
    (finding,) = _look(monkeypatch, tmp_path, f"first line\n{text}\n")
    assert finding.startswith("page.md:2: ")


@pytest.mark.parametrize(
    "text", ["docs/work/plan.md", "https://example.com/home/page", "POST {prefix}/root/x", "a/opt/b"]
)
def test_paths_inside_of_the_project_and_urls_are_allowed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    assert _look(monkeypatch, tmp_path, text) == []


def test_a_lock_file_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert _look(monkeypatch, tmp_path, "", name="uv.lock") == [
        "uv.lock: a lock file, which records addresses of indexes"
    ]
