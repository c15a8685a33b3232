"""Say clearly what a machine lacks before `make venv` begins. Runs on any Python 3, without the venv."""

import sys

LACKING_VENV = """\
This Python ({0}) cannot make virtual environments: its modules venv and ensurepip are missing.
On Debian and Ubuntu: apt-get install python3-venv. Or name another one: make PYTHON=/path/to/python3 …"""


def main() -> None:
    if sys.version_info < (3, 11):
        sys.exit(
            "Python 3.11 or newer is needed, {} is {}.{}. Name another one: make PYTHON=python3.12 …".format(
                sys.executable, *sys.version_info[:2]
            )
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        sys.exit(LACKING_VENV.format(sys.executable))


main()
