"""What a DAG file pays for an import above ``airflow.sdk``: ours, and what a user would import instead.

``python -m tests.benchmarks.import_cost [--runs 7]``. Milliseconds of processor time, medians; each module in each run
behind `airflow.sdk`, with what an earlier one brought forgotten. ``tests/test_import_budget.py`` keeps the budget.
"""

from __future__ import annotations

import argparse
import sys
from statistics import median

from tests.benchmarks.side_by_side import Verdicts, load
from tests.test_import_budget import MODULES, measure

PEERS = ("airflow.providers.http.operators.http", "aiohttp", "requests")
GOAL = 40.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    names = (*MODULES, *PEERS)
    measure(*names)
    results = [measure(*names[at % len(names) :], *names[: at % len(names)])["modules"] for at in range(runs)]
    print(f"{load()}\n")
    verdict = Verdicts()
    for name in names:
        milliseconds = median(result[name]["milliseconds"] for result in results)
        if name in PEERS:
            print(f"       {name}: {milliseconds:.0f}")
        else:
            verdict(name.removeprefix("airflow_provider_messaging."), milliseconds, GOAL, at_most=True)
    return 0 if verdict.met else 1


if __name__ == "__main__":
    sys.exit(main())
