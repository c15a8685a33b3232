"""Find text that no commit may hold: paths of one machine, addresses of package indexes, secrets, locks."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Written in pieces, so that this file does not find itself.
_BEFORE = r"(?<![\w./~{}:\\-])"
FORBIDDEN = {
    "a path of one machine": re.compile(
        _BEFORE + "/" + r"(?:work|farm|root|home|Users|opt)/[\w.-]|" + "C:" + r"\\Users\\"
    ),
    "a folder beside the checkout": re.compile(r"\.\./" + "shared"),
    "an address of a package index": re.compile(
        "--" + r"(?:(?:extra-)?index-url|find-links)|" + r"https?://[\w.@:-]+/(?:\w+/)*" + r"simple\b"
    ),
    "a private key": re.compile("-----" + r"BEGIN [A-Z ]*PRIVATE KEY"),
    "a web token": re.compile(r"\b" + "eyJ" + r"[\w-]{20,}\.[\w-]{20,}\.[\w-]{20,}"),
}
LOCK_FILES = {"uv.lock", "poetry.lock", "Pipfile.lock", "pdm.lock"}


def files() -> list[Path]:
    """Tracked files and those that a `git add` would take; none outside of a git checkout."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    names = {name for name in listed.stdout.decode().split("\0") if name}
    return sorted(path for name in names if (path := ROOT / name).is_file())


def findings(path: Path) -> Iterator[str]:
    """One line for each thing found, with file and line number."""
    name = path.relative_to(ROOT).as_posix()
    if path.name in LOCK_FILES:
        yield f"{name}: a lock file, which records addresses of indexes"
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return
    for number, line in enumerate(text.splitlines(), start=1):
        for what, pattern in FORBIDDEN.items():
            if match := pattern.search(line):
                yield f"{name}:{number}: {what}: {match[0]}"


if __name__ == "__main__":
    checked = files()
    found = [line for path in checked for line in findings(path)]
    print("\n".join(found) or f"{len(checked)} files hold no forbidden text")
    sys.exit(bool(found))
