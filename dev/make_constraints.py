"""Resolve constraints/airflow-<minor>.txt anew: python dev/make_constraints.py 3.3.2 3.2.2 3.1.8"""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "constraints"
HEADER = "# Python 3.11 to 3.14, with tests and tools. Made by 'make constraints', do not edit.\n"

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


def resolve(release: str) -> str:
    """The pins as text, one a line, with markers where Python versions differ and without any address."""
    command = (
        *(str(Path(sys.executable).with_name("uv")), "pip", "compile", "pyproject.toml", "--extra", "dev"),
        *("--universal", "--python-version", "3.11", "--constraint", "-"),
        *("--override", str(FOLDER / "overrides.txt")),
        *("--no-header", "--no-annotate", "--no-emit-index-url", "--quiet"),
    )
    pins = subprocess.run(
        command,
        cwd=FOLDER.parent,
        input="\n".join([f"apache-airflow=={release}", *CAPS.get(minor(release), [])]),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    lines = [line for line in pins.splitlines() if line and not line.startswith(("#", "-"))]
    if addresses := [line for line in lines if "://" in line or " @ " in line]:
        sys.exit(f"These pins carry addresses: {addresses}")
    return HEADER + "\n".join(lines) + "\n"


for release in sys.argv[1:]:
    target = FOLDER / f"airflow-{minor(release)}.txt"
    target.write_text(resolve(release))
    print(f"{target.relative_to(FOLDER.parent)}: apache-airflow {release}")
