"""The command `fluoro`.

`run` belongs to the SDK. The others live in packages above it, which an SDK-only installation does not bring or cannot
run: they are found by name when asked for, each in a module with `add_arguments(parser)` and `main(args) -> exit code`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module

from fluoro import __version__
from fluoro.errors import FluoroError, MissingExtra

_EPILOG = """\
Start with these two:

  fluoro demo                          a small shop, traced, and its service map in your browser
  fluoro run python app.py             trace your own program; no change to its code

Trace more:

  fluoro run --service orders uvicorn orders:app --workers 4
  fluoro run gunicorn shop.wsgi
  fluoro run python -m shop
  FLUORO_ENDPOINT=http://collector:4318 fluoro run flask run

See it:

  fluoro serve                         the collector, on http://127.0.0.1:4318; data in ./.fluoro
  fluoro dashboard                     the service map, on http://127.0.0.1:8501
"""

_RUN_EPILOG = """\
Every Python process that CMD starts is traced: workers, reloaders, spawned children. Requests of other processes that
are traced too join the same trace.

  fluoro run python app.py
  fluoro run --service orders uvicorn orders:app --reload
  fluoro run --endpoint http://collector:4318 gunicorn shop.wsgi

Settings come from the environment as well (an option wins):

  FLUORO_SERVICE_NAME     the name on the map; otherwise the program's name
  FLUORO_ENDPOINT         the collector; http://127.0.0.1:4318
  FLUORO_ENVIRONMENT      production, staging, …
  FLUORO_SERVICE_VERSION  the version of your program
  FLUORO_SAMPLE_RATE      the share of traces to record, 0 to 1; 1
  FLUORO_DISABLE          libraries not to trace: requests,sqlite3
  FLUORO_ENABLED          false: nothing is patched
"""

# command: (module, extra that brings what it needs, one line of help)
_ABOVE = {
    "serve": ("fluoro_collector.cli", "collector", "run the collector: receives, stores and answers"),
    "dashboard": ("fluoro_dashboard.cli", "dashboard", "run the dashboard: service map, traces"),
    "demo": ("fluoro_shop.cli", "demo", "run everything with a traced sample shop"),
}
_OURS = ("fluoro", "fluoro_collector", "fluoro_dashboard", "fluoro_shop")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Exit code 2 for a mistake in the command or a setting, with one message on stderr."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _main(arguments)
    except FluoroError as error:
        sys.stderr.write(f"fluoro: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130


def _main(arguments: list[str]) -> int:
    wanted = next((argument for argument in arguments if not argument.startswith("-")), "")
    parser = argparse.ArgumentParser(
        prog="fluoro",
        description="Distributed tracing for Python: SDK, collector and service map.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"fluoro {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")

    run = commands.add_parser(
        "run",
        help="run a command with tracing",
        description="Run CMD with tracing switched on in every Python process it starts.",
        epilog=_RUN_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="fluoro run [--service NAME] [--endpoint URL] CMD …",
    )
    run.add_argument("--service", metavar="NAME", default="", help="the service's name on the map")
    run.add_argument("--endpoint", metavar="URL", default="", help="the collector, e.g. http://127.0.0.1:4318")
    run.add_argument("cmd", nargs=argparse.REMAINDER, metavar="CMD", help="the command and its arguments")

    for name, (module, extra, summary) in _ABOVE.items():
        sub = commands.add_parser(name, help=summary, formatter_class=argparse.RawDescriptionHelpFormatter)
        if name == wanted:
            with _needing(name, extra):
                home = import_module(module)
            sub.description = summary[0].upper() + summary[1:] + "."
            home.add_arguments(sub)
            sub.set_defaults(main=home.main)

    args = parser.parse_args(arguments)
    if args.command is None:
        parser.print_help()
        return 0
    if args.command == "run":
        return _run(run, args)
    with _needing(args.command, _ABOVE[args.command][1]):
        code: int = args.main(args)
    return code


def _run(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    from fluoro.instrument import check_names
    from fluoro.run import environment, execute
    from fluoro.settings import Settings

    command = args.cmd[1:] if args.cmd[:1] == ["--"] else args.cmd
    if not command:
        parser.error("what shall run? For example: fluoro run python app.py")
    env = environment(os.environ, service=args.service, endpoint=args.endpoint)
    # A wrong setting is said here, once, and not by every child.
    check_names(Settings.from_env(env).disabled)
    execute(command, env)
    return 0


@contextmanager
def _needing(command: str, extra: str) -> Iterator[None]:
    """MissingExtra when a package that the command needs is not installed; a bug in our own imports passes."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in _OURS:
            raise
        raise MissingExtra(command, extra) from error
