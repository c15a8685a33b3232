"""The command line of the sandbox."""

from __future__ import annotations

import argparse
import shlex
import sys

from airflow_provider_messaging.sandbox.server import base_url, connections, serve


def announcement(url: str) -> str:
    """Lines for a shell: the URL first, then one connection a line."""
    lines = [f"SANDBOX_URL={url}"]
    lines += [f"{name}={shlex.quote(value)}" for name, value in connections(url).items()]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_messaging.sandbox",
        description="A strict local server that plays the vendors.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8765, help="port, 0 takes a free one (default: %(default)s)")
    parser.add_argument("--quiet", action="store_true", help="print the first line only, not the connections")
    parser.add_argument(
        "--log-level",
        default="warning",
        choices=["critical", "error", "warning", "info", "debug"],
        help="of the log on standard error (default: %(default)s)",
    )
    parser.add_argument(
        "--connections-only", action="store_true", help="print the lines for --host and --port, start nothing"
    )
    parser.add_argument("--stop-on-eof", action="store_true", help="stop when standard input ends")
    options = parser.parse_args(arguments)
    if options.connections_only:
        if options.port == 0:
            parser.error("--connections-only needs the port")
        print(announcement(base_url(options.host, options.port)))
        return 0

    def announce(url: str) -> None:
        print(f"SANDBOX_URL={url}" if options.quiet else announcement(url))
        print("# ready", flush=True)

    serve(
        options.host,
        options.port,
        announce=announce,
        log_level=options.log_level,
        stop_on_eof=options.stop_on_eof,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
