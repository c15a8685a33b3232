"""dlt's way of the same: its REST client, its parquet loader, DuckDB. Runs in an environment of its own, with dlt."""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from pathlib import Path

PAGE = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--core", type=int)
    arguments = parser.parse_args()
    if arguments.core is not None:
        os.sched_setaffinity(0, {arguments.core})
    os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "DLT_DATA_DIR": str(arguments.to / "dlt")}
    import dlt
    import duckdb
    from dlt.sources.helpers.rest_client import RESTClient
    from dlt.sources.helpers.rest_client.paginators import OffsetPaginator

    client = RESTClient(
        base_url=f"{arguments.url}/api/",
        headers={"Authorization": "Bearer benchmark"},
        paginator=OffsetPaginator(limit=PAGE, offset_param="$skip", limit_param="$top", total_path=None),
        data_selector="value",
    )

    @dlt.resource(name="bounces")
    def bounces():  # type: ignore[no-untyped-def]
        yield from client.paginate("bounces/v1/bounces", params={"start": "2026-03-10", "end": "2026-03-10"})

    wall, cpu = time.perf_counter(), time.process_time()
    database = arguments.to / "dlt.duckdb"
    pipeline = dlt.pipeline(
        "feedback",
        destination=dlt.destinations.duckdb(str(database)),
        dataset_name="feedback",
        pipelines_dir=str(arguments.to / "pipelines"),
    )
    pipeline.run(bounces, loader_file_format="parquet")
    seconds, used = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with duckdb.connect(str(database), read_only=True) as connection:
        (found,) = connection.execute("SELECT count(DISTINCT external_reference) FROM feedback.bounces").fetchall()[0]
    if found != arguments.rows:
        raise SystemExit(f"dlt: {found} of {arguments.rows} rows")
    version = dlt.__version__
    print(json.dumps({"rows": found, "seconds": seconds, "cpu": used, "peak_mb": peak, "version": version}))


if __name__ == "__main__":
    main()
