"""``airflow-messaging requeue``: what it writes can be sent, and nothing else about it has changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.cli.commands import read, run, write


def reject(row: int, *codes: str, **members: Any) -> dict[str, Any]:
    errors = [{"field": "to", "code": code, "message": "is wrong"} for code in codes]
    return {**members, "_rejected": {"row": row, "errors": errors}}


def test_rows_are_written_as_they_were_given_without_the_reasons(tmp_path: Path) -> None:
    rejects = write(tmp_path / "r.ndjson", reject(7, "A", to="x", tags=["é"]), reject(9, "B", to="y"))
    done = run("requeue", rejects, "-o", tmp_path / "out.ndjson", "--json").json
    assert read(tmp_path / "out.ndjson") == [{"to": "x", "tags": ["é"]}, {"to": "y"}]
    assert (done["read"], done["written"], done["codes"]) == (2, 2, {"A": 1, "B": 1})


def test_codes_choose_rows(tmp_path: Path) -> None:
    rejects = write(tmp_path / "r.ndjson", reject(0, "A", to="a"), reject(1, "A", "B", to="ab"), reject(2, "C", to="c"))
    done = run("requeue", rejects, "-o", tmp_path / "o.ndjson", "--code", "A", "--not-code", "B", "--json").json
    assert read(tmp_path / "o.ndjson") == [{"to": "a"}]
    assert done["filtered"] == 2


def test_a_row_that_a_file_names_twice_is_written_once_as_it_stood_last(tmp_path: Path) -> None:
    rejects = write(tmp_path / "r.ndjson", reject(3, "A", to="old"), reject(3, "A", to="new"))
    done = run("requeue", rejects, "-o", tmp_path / "o.ndjson", "--json").json
    assert read(tmp_path / "o.ndjson") == [{"to": "new"}]
    assert done["repeated"] == 1


def test_rows_of_two_files_are_different_rows_unless_they_are_of_one_input(tmp_path: Path) -> None:
    first = write(tmp_path / "1.ndjson", reject(3, "A", to="one"))
    second = write(tmp_path / "2.ndjson", reject(3, "A", to="two"))
    run("requeue", first, second, "-o", tmp_path / "o.ndjson")
    assert read(tmp_path / "o.ndjson") == [{"to": "one"}, {"to": "two"}]
    run("requeue", first, second, "-o", tmp_path / "o.ndjson", "--same-input")
    assert read(tmp_path / "o.ndjson") == [{"to": "two"}]


def test_mended_rows_take_the_place_of_the_rejected_ones(tmp_path: Path) -> None:
    lines = [reject(0, "A", to="x"), reject(1, "A", to="y", reference="r-1"), reject(2, "A", to="z")]
    rejects = write(tmp_path / "r.ndjson", *lines)
    by_row = {"to": "mended@example.com", "_rejected": {"row": 2, "errors": []}}
    mended = write(tmp_path / "m.ndjson", by_row, {"to": "too@example.com", "reference": "r-1"})
    done = run("requeue", rejects, "--mended", mended, "-o", tmp_path / "o.ndjson", "--json").json
    assert read(tmp_path / "o.ndjson") == [
        {"to": "x"},
        {"to": "too@example.com", "reference": "r-1"},
        {"to": "mended@example.com"},
    ]
    assert (done["written"], done["mended"]) == (3, 2)


def test_a_mended_row_that_replaces_none_is_an_error_and_nothing_is_written(tmp_path: Path) -> None:
    rejects = write(tmp_path / "r.ndjson", reject(0, "A", to="x"))
    mended = write(tmp_path / "m.ndjson", {"to": "x", "reference": "unknown"})
    done = run("requeue", rejects, "--mended", mended, "-o", tmp_path / "o.ndjson", code=2)
    assert f"line 1 of {mended}: reference 'unknown' is none of the rejected rows" in done.err
    assert not (tmp_path / "o.ndjson").exists()


def test_rows_are_split_by_their_first_code_and_a_code_chooses_no_path(tmp_path: Path) -> None:
    rejects = write(tmp_path / "r.ndjson", reject(0, "A", "B", to="x"), reject(1, "../../etc/x", to="y"))
    done = run("requeue", rejects, "--split", tmp_path / "split", "--keep-errors", "--json").json
    assert done["files"] == [f"{tmp_path}/split/A.ndjson", f"{tmp_path}/split/OTHER.ndjson"]
    (kept,) = read(tmp_path / "split" / "A.ndjson")
    assert [each["code"] for each in kept["_rejected"]["errors"]] == ["A", "B"]


def test_a_line_that_was_not_json_is_left_out_and_told(tmp_path: Path) -> None:
    rejects = write(tmp_path / "r.ndjson", reject(0, "INVALID_JSON", _raw="not json"), reject(1, "A", to="x"))
    done = run("requeue", rejects, "-o", tmp_path / "o.ndjson", code=1)
    assert "1 left out: the line was not JSON, and nobody has mended it" in done.out
    assert read(tmp_path / "o.ndjson") == [{"to": "x"}]


def test_a_row_that_was_plain_text_is_plain_text_again(tmp_path: Path) -> None:
    write(tmp_path / "in.txt", "nobody", "ada@example.com")
    run("validate", "blacklist", tmp_path / "in.txt", "--rejects", tmp_path / "r.ndjson", code=1)
    run("requeue", tmp_path / "r.ndjson", "-o", tmp_path / "o.ndjson")
    assert read(tmp_path / "o.ndjson") == ["nobody"]


def test_rows_can_go_to_standard_output_with_nothing_else(tmp_path: Path) -> None:
    rejects = write(tmp_path / "r.ndjson", reject(0, "A", to="x"))
    assert run("requeue", rejects, "-o", "-").out == '{"to": "x"}\n'


def test_a_file_that_is_none_of_rejects_is_refused_by_line(tmp_path: Path) -> None:
    rejects = write(tmp_path / "r.ndjson", reject(0, "A", to="x"), {"to": "y"})
    done = run("requeue", rejects, "-o", tmp_path / "o.ndjson", code=2)
    assert f"line 2 of {rejects} is not of a rejects file" in done.err


def test_mended_rows_are_valid_for_the_operator(tmp_path: Path) -> None:
    row = {"to": "nobody", "from": "shop@example.com", "subject": "Order", "html": "x"}
    messages = write(tmp_path / "in.ndjson", row)
    run("validate", "email", messages, "--rejects", tmp_path / "r.ndjson", code=1)
    (line,) = read(tmp_path / "r.ndjson")
    mended = write(tmp_path / "m.ndjson", {**line, "to": "ada@example.com"})
    run("requeue", tmp_path / "r.ndjson", "--mended", mended, "-o", tmp_path / "o.ndjson")
    assert run("validate", "email", tmp_path / "o.ndjson", "--json").json["valid"] == 1
