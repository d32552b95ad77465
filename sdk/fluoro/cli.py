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
Start with these:

  fluoro demo                          a small shop, traced, and its service map in your browser
  fluoro run python app.py             trace your own program; no change to its code
  fluoro doctor                        is everything traced, and does the collector answer?

Trace more:

  fluoro run --service orders uvicorn orders:app --workers 4
  fluoro run gunicorn shop.wsgi
  fluoro run python -m shop
  FLUORO_ENDPOINT=http://collector:4318 fluoro run flask run
  fluoro exec --name nightly-backup -- ./backup.sh --full     any program, as one segment

See it:

  fluoro serve                         the collector, on http://127.0.0.1:4318; data in ./fluoro-data
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
  FLUORO_ENDPOINT         the collector; http://127.0.0.1:4318 (also grpc://HOST:4317, udp://HOST:2000)
  FLUORO_ENVIRONMENT      production, staging, …
  FLUORO_SERVICE_VERSION  the version of your program
  FLUORO_SAMPLE_RATE      the share of traces to record, 0 to 1; 1
  FLUORO_SAMPLING_RULES   X-Ray's local sampling rules: JSON, or a file with it
  FLUORO_DISABLE          libraries not to trace: requests,sqlite3
  FLUORO_ENABLED          false: nothing is patched
"""

_EXEC_EPILOG = """\
CMD may be in any language: it becomes one segment with its duration and exit status, a fault unless that is 0. Its exit
status is ours; signals are passed on; its arguments are not recorded.

  fluoro exec -- ./backup.sh --full
  fluoro exec --name nightly-report -- make report
  fluoro exec -- fluoro run python job.py        the job's own spans hang below its segment

Where the environment names a caller (_X_AMZN_TRACE_ID or TRACEPARENT), the segment joins its trace, and CMD gets both
variables for what it starts: jobs of CodeBuild, Batch, SSM Run Command, Chef or cron appear in the trace.
"""

# command: (module, extra that brings what it needs, one line of help)
_ABOVE = {
    "serve": ("fluoro_collector.cli", "collector", "run the collector: receives, stores and answers"),
    "store": ("fluoro_collector.store_cli", "collector", "look after the collector's store: check, export, delete, …"),
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

    execute = commands.add_parser(
        "exec",
        help="run any program as one segment",
        description="Run CMD, in any language, as one segment of a trace.",
        epilog=_EXEC_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="fluoro exec [--name NAME] -- CMD …",
    )
    execute.add_argument("--name", metavar="NAME", default="", help="the segment's name; otherwise the program's")
    execute.add_argument("cmd", nargs=argparse.REMAINDER, metavar="CMD", help="the command and its arguments")

    commands.add_parser(
        "doctor",
        help="what is traced here, what is not and why, and whether the collector answers",
        description="Try every library that is installed here, send a test trace, and say what came of it. Exit status 1 "
        "when tracing is off or the collector does not answer.",
    )

    for name, (module, extra, summary) in _ABOVE.items():
        sub = commands.add_parser(name, help=summary, formatter_class=argparse.RawDescriptionHelpFormatter)
        if name == wanted:
            with _needing(name, extra):
                home = import_module(module)
            sub.description = summary[0].upper() + summary[1:] + "."
            home.add_arguments(sub)
            sub.set_defaults(main=home.main)

    args, unknown = parser.parse_known_args(arguments)
    if unknown:
        # Told by the command itself: its usage has what was meant.
        below = getattr(args, "refusing", None)  # the command of a command
        (below or commands.choices.get(args.command, parser)).error(f"unknown argument: {' '.join(unknown)}")
    if args.command is None:
        parser.print_help()
        return 0
    if args.command == "run":
        return _run(run, args)
    if args.command == "exec":
        return _exec(execute, args)
    if args.command == "doctor":
        from fluoro.doctor import run as examine

        return examine(os.environ)
    with _needing(args.command, _ABOVE[args.command][1]):
        code: int = args.main(args)
    return code


def _run(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    from fluoro.instrument import check_names
    from fluoro.run import environment, execute
    from fluoro.sampling.local import load
    from fluoro.settings import Settings

    command = _command(parser, args, "fluoro run python app.py")
    env = environment(os.environ, service=args.service, endpoint=args.endpoint)
    # A wrong setting is said here, once, and not by every child.
    settings = Settings.from_env(env)
    check_names(settings.disabled)
    if settings.sampling_rules:
        load(settings.sampling_rules)
    execute(command, env)
    return 0


def _exec(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    from fluoro.exec import run

    return run(_command(parser, args, "fluoro exec -- ./backup.sh"), os.environ, args.name)


def _command(parser: argparse.ArgumentParser, args: argparse.Namespace, example: str) -> list[str]:
    command: list[str] = args.cmd[1:] if args.cmd[:1] == ["--"] else args.cmd
    if not command:
        parser.error(f"what shall run? For example: {example}")
    return command


@contextmanager
def _needing(command: str, extra: str) -> Iterator[None]:
    """MissingExtra when a package that the command needs is not installed; a bug in our own imports passes."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in _OURS:
            raise
        raise MissingExtra(command, extra) from error
