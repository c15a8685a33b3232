"""``python -m airflow_provider_messaging.webhooks``: the receiver on its own."""

from __future__ import annotations

import argparse
import sys

from airflow_provider_messaging.core.errors import ConfigurationError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m airflow_provider_messaging.webhooks", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8585, help="port to listen on (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="processes (default: %(default)s)")
    parser.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    arguments = parser.parse_args()
    from airflow_provider_messaging.webhooks.server import serve

    try:
        serve(arguments.host, arguments.port, workers=arguments.workers, log_level=arguments.log_level)
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
