"""`fluoro serve` and `python -m fluoro_collector serve`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields

from fluoro.errors import SettingsError
from fluoro_collector import store_cli
from fluoro_collector.settings import Settings, flag, load, variable
from fluoro_collector.store.engine import StoreError

WRONG_SETTING = 2
NO_STORE = 1
INTERRUPTED = 130

DESCRIPTION = "Run the collector: take traces from fluoro, X-Ray and OpenTelemetry SDKs, keep them, answer queries."

EPILOG = """\
examples:
  fluoro serve
      everything on 127.0.0.1, traces kept in ./fluoro-data
  fluoro serve --data /var/lib/fluoro --http-port 5318
  fluoro serve --store clickhouse://fluoro:secret@db.internal:9000/fluoro
      keep traces in a ClickHouse server; put a password into FLUORO_STORE rather than on the command line

send to it:
  fluoro run python app.py                                          our SDK (http://127.0.0.1:4318)
  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317                 OpenTelemetry, gRPC
  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318                 OpenTelemetry, HTTP
  AWS_XRAY_DAEMON_ADDRESS=127.0.0.1:2000                            AWS X-Ray SDKs
look at it:
  fluoro dashboard                                                  the service map
  boto3.client("xray", endpoint_url="http://127.0.0.1:4318", region_name="local")   the X-Ray API
  curl http://127.0.0.1:4318/api/openapi.json                       what else can be asked

Every flag can be set in the environment: --http-port is FLUORO_HTTP_PORT. A flag wins.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `serve`, one per field of Settings; one that is not given is None."""
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    for each in fields(Settings):
        default = each.default
        if isinstance(default, bool):
            parser.add_argument(flag(each.name), action="store_true", default=None, help=each.metadata["help"])
            continue
        shown = f" (default: {default})" if str(default) else ""
        text = f"{each.metadata['help']}{shown} [{variable(each.name)}]"
        parser.add_argument(flag(each.name), metavar=each.metadata["metavar"], default=None, help=text)


def main(args: argparse.Namespace) -> int:
    """Serve until stopped. Exit codes: 0 stopped, 1 no store, 2 a setting to change, 130 interrupted twice."""
    try:
        settings = load(vars(args))
        from fluoro_collector.serve import run  # after the settings are known to be right: it loads everything

        return run(settings)
    except SettingsError as error:
        print(f"fluoro serve: {error}", file=sys.stderr)  # noqa: T201
        return WRONG_SETTING
    except StoreError as error:
        print(f"fluoro serve: {error}", file=sys.stderr)  # noqa: T201
        return NO_STORE
    except KeyboardInterrupt:  # before our handlers were in place
        return INTERRUPTED


def command(arguments: list[str] | None = None) -> int:
    """`python -m fluoro_collector`, for a process manager that has no `fluoro` on its path."""
    parser = argparse.ArgumentParser(prog="python -m fluoro_collector")
    commands = parser.add_subparsers(dest="command", required=True, metavar="serve|store")
    for name, home, text in (
        ("serve", sys.modules[__name__], "run the collector"),
        ("store", store_cli, "look after the store"),
    ):
        sub = commands.add_parser(name, help=text)
        home.add_arguments(sub)
        sub.set_defaults(main=home.main)
    args = parser.parse_args(arguments)
    code: int = args.main(args)
    return code
