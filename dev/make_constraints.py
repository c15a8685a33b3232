"""Resolve constraints/ anew: python -m dev.make_constraints 3.3.2 3.2.2 3.1.8"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "constraints"
HEADER = "# Python 3.11 to 3.14, with tests and tools. Made by 'make constraints', do not edit.\n"
DOCS_HEADER = "# What builds the documentation; no Airflow. Made by 'make constraints', do not edit.\n"

# What a release does not say of itself, found by running it.
CAPS = {
    # Its relations are loaded with "noload", which SQLAlchemy 2.1 deprecates.
    "3.1": ["sqlalchemy<2.1"],
    # The same; FastAPI 0.137 and newer cannot build its task API (3.3 declares that bound); and dag.test()
    # finds no service registry with svcs 26.
    "3.2": ["sqlalchemy<2.1", "fastapi<0.137", "svcs<26"],
}


def minor(release: str) -> str:
    return release.rpartition(".")[0]


def pins(*sources: str, given: Sequence[str] = (), constraints: Sequence[str] = ()) -> str:
    """Return pins as text, one a line, with markers where Python versions differ and without any address.

    :param sources: arguments that say what is resolved; ``-`` for what is `given`.
    :param constraints: what must hold besides.
    """
    command = (
        *(str(Path(sys.executable).with_name("uv")), "pip", "compile", *sources),
        *("--universal", "--python-version", "3.11", "--override", str(FOLDER / "overrides.txt")),
        *("--no-header", "--no-annotate", "--no-emit-index-url", "--quiet"),
    )
    if "-" in sources:
        # Standard input is taken: what must hold is asked for beside the rest.
        text = "\n".join([*given, *constraints])
    else:
        command, text = (*command, "--constraint", "-"), "\n".join(constraints)
    out = subprocess.run(command, cwd=FOLDER.parent, input=text, stdout=subprocess.PIPE, text=True, check=True).stdout
    lines = [line for line in out.splitlines() if line and not line.startswith(("#", "-"))]
    if addresses := [line for line in lines if "://" in line or " @ " in line]:
        sys.exit(f"These pins carry addresses: {addresses}")
    return "\n".join(lines) + "\n"


def main(releases: Sequence[str]) -> None:
    for release in releases:
        target = FOLDER / f"airflow-{minor(release)}.txt"
        constraints = [f"apache-airflow=={release}", *CAPS.get(minor(release), [])]
        target.write_text(HEADER + pins("pyproject.toml", "--extra", "dev", constraints=constraints))
        print(f"{target.relative_to(FOLDER.parent)}: apache-airflow {release}")
    docs = FOLDER / "docs.txt"
    docs.write_text(DOCS_HEADER + pins("--group", "docs"))
    print(f"{docs.relative_to(FOLDER.parent)}: the documentation")


if __name__ == "__main__":
    main(sys.argv[1:])
