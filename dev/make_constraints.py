"""Resolve constraints/ anew: python -m dev.make_constraints 3.3.2 3.2.2 3.1.8"""

import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FOLDER = Path(__file__).resolve().parent.parent / "constraints"
HEADER = "# Python 3.11 to 3.14, with tests and tools. Made by 'make constraints', do not edit.\n"
OLDEST_HEADER = HEADER.replace("with tests and tools", "with tests and the oldest libraries that the package allows")
DOCS_HEADER = "# What builds the documentation; no Airflow. Made by 'make constraints', do not edit.\n"

# Beside the oldest release, tests take the oldest libraries that the package allows: its bounds are true then.
OLDEST = "3.1"
EXTRAS = ("mysql", "parquet", "postgres")

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
    # What overrides.txt takes out is listed for a platform that there is not.
    lines = [line for line in out.splitlines() if line and not line.startswith(("#", "-")) and "'never'" not in line]
    if addresses := [line for line in lines if "://" in line or " @ " in line]:
        sys.exit(f"These pins carry addresses: {addresses}")
    return "\n".join(lines) + "\n"


def lowest_bounds(constraints: Sequence[str]) -> list[str]:
    """Return pins of the oldest version of each library that the package asks for."""
    names = {canonicalize_name(Requirement(line).name) for line in asked_for()}
    wanted = [f"--extra={extra}" for extra in EXTRAS]
    lines = pins("pyproject.toml", *wanted, "--resolution=lowest-direct", constraints=constraints).splitlines()
    return [line for line in lines if canonicalize_name(Requirement(line).name) in names]


def asked_for() -> list[str]:
    project = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text())["project"]
    extras = [line for extra in EXTRAS for line in project["optional-dependencies"][extra]]
    return [*project["dependencies"], *extras]


def main(releases: Sequence[str]) -> None:
    for release in releases:
        target = FOLDER / f"airflow-{minor(release)}.txt"
        constraints = [f"apache-airflow=={release}", *CAPS.get(minor(release), [])]
        header, extra = HEADER, "dev"
        if minor(release) == OLDEST:
            header, extra = OLDEST_HEADER, "test"
            constraints += lowest_bounds(constraints)
        target.write_text(header + pins("pyproject.toml", "--extra", extra, constraints=constraints))
        print(f"{target.relative_to(FOLDER.parent)}: apache-airflow {release}")
    docs = FOLDER / "docs.txt"
    docs.write_text(DOCS_HEADER + pins("--group", "docs"))
    print(f"{docs.relative_to(FOLDER.parent)}: the documentation")


if __name__ == "__main__":
    main(sys.argv[1:])
