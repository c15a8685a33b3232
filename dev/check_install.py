"""Install the wheel beside official providers, in the style of Airflow's documentation.

For each release: constraints that know nothing of this package, an environment of its own, `pip check`, and what
Airflow then says of the provider::

    python -m dev.check_install 3.3.2
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from dev.make_constraints import CAPS, minor, pins

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".install"
UV = str(Path(sys.executable).with_name("uv"))
DISTRIBUTION = "airflow-provider-messaging"
CONNECTION_TYPES = {"marigold", "engageone", "messangi", "pressnxpress"}
OFFICIAL = tuple(
    f"apache-airflow-providers-{name}" for name in ("amazon", "http", "postgres", "sftp", "smtp", "sqlite")
)

_IMPORT_EXAMPLES = """
import json
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(dag_folder={folder!r})
print("\\nfound:" + json.dumps({{"dags": sorted(bag.dags), "errors": bag.import_errors}}))
"""
# Airflow 3.1 keeps the class elsewhere.
_IMPORT_EXAMPLES_31 = _IMPORT_EXAMPLES.replace("airflow.dag_processing.dagbag", "airflow.models.dagbag")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("releases", nargs="+", metavar="RELEASE", help="of Airflow: 3.3.2")
    parser.add_argument("--keep", action="store_true", help="leave the environments where they are, in .install")
    options = parser.parse_args()
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir()
    try:
        wheel = build()
        for release in options.releases:
            check(release, wheel)
    finally:
        if not options.keep:
            shutil.rmtree(HOME, ignore_errors=True)
    return 0


def build() -> Path:
    run(UV, "build", "--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", str(HOME))
    (wheel,) = HOME.glob("*.whl")
    return wheel


def check(release: str, wheel: Path) -> None:
    """Raise SystemExit if the wheel and the release do not fit."""
    began = time.monotonic()
    folder = HOME / minor(release)
    python = folder / "venv" / "bin" / "python"
    folder.mkdir()
    constraints = folder / "constraints.txt"
    constraints.write_text(
        pins("-", given=[f"apache-airflow=={release}", *OFFICIAL], constraints=CAPS.get(minor(release), []))
    )
    run(UV, "venv", "--quiet", "--python", sys.executable, str(folder / "venv"))
    into = ("--quiet", "--python", str(python), "--constraint", str(constraints))
    run(UV, "pip", "install", *into, "--compile-bytecode", f"apache-airflow=={release}", *OFFICIAL)
    before = installed(python)
    run(UV, "pip", "install", *into, f"apache-airflow=={release}", str(wheel))
    added = {name: version for name, version in installed(python).items() if before.get(name) != version}
    say(release, "pip check", run(UV, "pip", "check", "--quiet", "--python", str(python)).strip() or "clean")
    say(release, "installed beside them", ", ".join(f"{name} {version}" for name, version in sorted(added.items())))

    providers = {entry["package_name"]: entry for entry in airflow(folder, "providers", "list")}
    expect(DISTRIBUTION in providers, f"{release}: no {DISTRIBUTION} in `airflow providers list`: {sorted(providers)}")
    say(release, "airflow providers list", f"{DISTRIBUTION} {providers[DISTRIBUTION]['version']} of {len(providers)}")
    hooks = {entry["connection_type"]: entry for entry in airflow(folder, "providers", "hooks")}
    expect(hooks.keys() >= CONNECTION_TYPES, f"{release}: `airflow providers hooks` shows {sorted(hooks)}")
    foreign = [
        each for each in CONNECTION_TYPES if hooks[each]["package_name"] != DISTRIBUTION or not hooks[each]["class"]
    ]
    expect(not foreign, f"{release}: these connection types are not ours: {foreign}")
    say(release, "airflow providers hooks", ", ".join(sorted(CONNECTION_TYPES)))
    say(release, "example DAGs imported", ", ".join(import_examples(folder, release)))
    say(release, "took", f"{time.monotonic() - began:.0f} s")


def import_examples(folder: Path, release: str) -> list[str]:
    """Ids of the example DAGs. An asset watcher needs Airflow 3.3, and its file says so."""
    run(str(folder / "venv" / "bin" / "airflow"), "db", "migrate", env=environment(folder))
    code = _IMPORT_EXAMPLES_31 if minor(release) == "3.1" else _IMPORT_EXAMPLES
    out = run(
        str(folder / "venv" / "bin" / "python"),
        "-c",
        code.format(folder=str(ROOT / "example_dags")),
        env=environment(folder),
    )
    found = json.loads(next(line for line in out.splitlines() if line.startswith("found:")).removeprefix("found:"))
    newer = {path.name for path in (ROOT / "example_dags").glob("*.py") if "Needs Airflow 3.3" in path.read_text()}
    left_out = newer if minor(release) in {"3.1", "3.2"} else set()
    errors = {name: error for path, error in found["errors"].items() if (name := Path(path).name) not in left_out}
    expect(not errors, f"{release}: {errors}")
    expect("messaging_round_trip" in found["dags"], f"{release}: only {found['dags']}")
    return list(found["dags"])


def airflow(folder: Path, *command: str) -> list[dict[str, Any]]:
    """What a listing of Airflow's command line shows."""
    out = run(str(folder / "venv" / "bin" / "airflow"), *command, "--output", "json", env=environment(folder))
    rows: list[dict[str, Any]] = json.loads(next(line for line in out.splitlines() if line.startswith("[{")))
    return rows


def environment(folder: Path) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))}
    return env | {
        "AIRFLOW_HOME": str(folder / "home"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }


def installed(python: Path) -> dict[str, str]:
    listed = json.loads(run(UV, "pip", "list", "--quiet", "--format", "json", "--python", str(python)))
    return {entry["name"]: entry["version"] for entry in listed}


def run(*command: str, env: dict[str, str] | None = None) -> str:
    """Standard output; SystemExit with everything that was said when the command fails."""
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    return done.stdout


def expect(true: bool, otherwise: str) -> None:
    if not true:
        sys.exit(otherwise)


def say(release: str, what: str, found: str) -> None:
    print(f"{release}  {what}: {found}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
