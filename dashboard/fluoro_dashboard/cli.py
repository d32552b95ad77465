"""`fluoro dashboard`: its flags and its entry point."""

from __future__ import annotations

import argparse
import sys

from fluoro_dashboard.settings import DEFAULT_API


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--api", default=DEFAULT_API, metavar="URL", help="the collector's HTTP address (default: %(default)s)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8501, help="port to listen on (default: %(default)s)")
    parser.add_argument(
        "--insecure",
        action="store_true",
        help="allow a --host that other machines can reach; anyone there can read every trace",
    )


def main(args: argparse.Namespace) -> int:
    """Serve until interrupted. 0 after Ctrl-C, 2 when the flags cannot work."""
    from fluoro_dashboard.serve import CannotServeError, serve

    try:
        serve(api=args.api, host=args.host, port=args.port, insecure=args.insecure)
    except CannotServeError as error:
        print(f"fluoro dashboard: {error}", file=sys.stderr)  # noqa: T201 - a command's own message
        return 2
    except KeyboardInterrupt:
        return 0
    return 0
