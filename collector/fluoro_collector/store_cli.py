"""`fluoro store check|migrate|export|import|delete-trace|redact`: looks after a store beside the collector."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path

from fluoro.errors import SettingsError
from fluoro_collector.settings import load, variable
from fluoro_collector.store import migrate
from fluoro_collector.store.engine import Engine, StoreError

FAILED = 1
WRONG = 2
INTERRUPTED = 130

DESCRIPTION = "Look after the store of traces: check it, bring its schema up to date, move data, take data back."
EPILOG = """\
examples:
  fluoro store check                                     is the store in ./fluoro-data fit?
  fluoro store check --store clickhouse://db:9000/fluoro
  fluoro store migrate --dry-run                         the statements an upgrade would run
  fluoro store export --from 2026-01-01 --to 2026-02-01 --out january
  fluoro store import january                            twice is as good as once
  fluoro store delete-trace 1-65f0c2a1-0123456789abcdef01234567
  fluoro store redact --annotation email --replace removed

The embedded store (--data) belongs to one process: stop `fluoro serve` first. A server (--store, or FLUORO_STORE) may be
in use. Exit codes: 0 done, 1 the store refused or a check failed, 2 a mistake in the command, 130 interrupted.
"""

_RANGE = "a day or moment of UTC: 2026-01-31, 2026-01-31T12:30"
_ID = re.compile(r"(?:1-)?([0-9a-f]{8})-?([0-9a-f]{24})", re.IGNORECASE)
_MARKS = {"ok": "✓", "warning": "!", "failed": "✗"}
END_OF_TIME_S = (1 << 32) - 1  # of a DateTime


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The commands below `fluoro store`."""
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    store = argparse.ArgumentParser(add_help=False)
    store.add_argument(
        "--data",
        metavar="DIR",
        default=None,
        help=f"directory of the embedded ClickHouse (default: fluoro-data) [{variable('data')}]",
    )
    store.add_argument(
        "--store",
        metavar="URL",
        default=None,
        help=f"a ClickHouse server: clickhouse://user:password@host:9000/database [{variable('store')}]",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="action", required=True)

    def command(name: str, run: Callable[[Engine, argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", parents=[store])
        sub.set_defaults(run=run, refusing=sub)
        return sub

    command("check", _check, "see whether the store is fit, and what to do when it is not")
    migration = command("migrate", _migrate, "bring the schema up to date, as `fluoro serve` does at its start")
    migration.add_argument(
        "--dry-run", action="store_true", help="print the statements as they would be sent, run none"
    )
    export = command("export", _export, "write segments as Parquet files, to keep or to move them")
    export.add_argument(
        "--from", dest="first", metavar="TIME", default="", help=f"first start, {_RANGE} (default: all)"
    )
    export.add_argument(
        "--to", dest="last", metavar="TIME", default="", help="first start that is too late (default: all)"
    )
    export.add_argument("--out", metavar="DIR", required=True, help="a new directory; it appears when all is written")
    import_ = command("import", _import, "store what `export` wrote; what is there already is left alone")
    import_.add_argument("directory", metavar="DIR", help="the directory of the export")
    import_.add_argument("--again", action="store_true", help="also files that were imported before, after a deletion")
    delete = command("delete-trace", _delete, "remove traces with all their rows, and count the map again without them")
    delete.add_argument(
        "ids", metavar="ID", nargs="+", help="a trace id: 1-65f0c2a1-0123456789abcdef01234567 or 32 hex digits"
    )
    redact = command("redact", _redact, "take the values of an annotation out of stored segments")
    redact.add_argument("--annotation", metavar="KEY", required=True, help="the annotation's key")
    redact.add_argument("--value", metavar="TEXT", default=None, help="only where it has this value (default: any)")
    redact.add_argument("--replace", metavar="TEXT", default=None, help="put this in its place (default: nothing)")
    redact.add_argument(
        "--from", dest="first", metavar="TIME", default="", help=f"first start, {_RANGE} (default: all)"
    )
    redact.add_argument(
        "--to", dest="last", metavar="TIME", default="", help="first start that is too late (default: all)"
    )


def main(args: argparse.Namespace) -> int:
    """Run one command. Exit codes as in EPILOG."""
    try:
        return _main(args)
    except SettingsError as error:
        return _refuse(error, WRONG)
    except StoreError as error:
        return _refuse(error, FAILED)
    except KeyboardInterrupt:
        return _refuse("interrupted: run it again to go on", INTERRUPTED)


def _main(args: argparse.Namespace) -> int:
    environ = {name: os.environ[name] for name in map(variable, ("data", "store")) if name in os.environ}
    if args.data is not None and args.store is None:
        environ.pop(variable("store"), None)  # a directory on the command line is meant
    settings = load({"data": args.data, "store": args.store}, environ)
    _refuse_mistakes(args)
    if not settings.store and not settings.data.is_dir():
        if args.action == "migrate" and args.dry_run:
            _print_statements(migrate.statements(None))
            return 0
        if args.action not in ("migrate", "import"):
            raise StoreError(
                f"there is no store in {settings.data.absolute()}: name one with --data DIR or --store URL"
            )
    from fluoro_collector.store.store import open_engine  # 0.3 s

    reads_only = args.action == "check" or (args.action == "migrate" and args.dry_run)
    with closing(open_engine(settings.store or str(settings.data), create=not reads_only)) as engine:
        code: int = args.run(engine, args)
    return code


def _refuse_mistakes(args: argparse.Namespace) -> None:
    """What is wrong with the command itself is told before a store is opened, made, or found to be in use."""
    for text in getattr(args, "ids", ()):
        _trace_id(text)
    if "first" in args:
        _range(args)
    for option in ("annotation", "value", "replace"):
        _utf8(f"--{option}", getattr(args, option, None))
    if args.action == "import":
        from fluoro_collector.store.transfer import read_manifest

        read_manifest(Path(args.directory))


def _check(engine: Engine, _args: argparse.Namespace) -> int:
    from fluoro_collector.store.check import check

    failed = 0
    for finding in check(engine):
        failed += finding.state == "failed"
        _say(f"{_MARKS[finding.state]} {finding.what:12} {finding.says}")
        if finding.advice:
            _say(f"  {'':12} → {finding.advice}")
    if failed:
        _say(f"\n{failed} to repair")
    return FAILED if failed else 0


def _migrate(engine: Engine, args: argparse.Namespace) -> int:
    if args.dry_run:
        _print_statements(migrate.statements(engine))
        return 0
    applied = migrate.migrate(engine)
    _say("\n".join(f"applied {name}" for name in applied) or "the schema is up to date")
    return 0


def _print_statements(statements: Iterable[str]) -> None:
    text = "\n\n".join(f"{statement};" for statement in statements)
    _say(text or "-- nothing to do: the schema is up to date")


def _export(engine: Engine, args: argparse.Namespace) -> int:
    from fluoro_collector.store.transfer import export

    first, last = _range(args)
    done = export(engine, Path(args.out), first, last, _Progress("exported"))
    rows = ", ".join(f"{count} {table}" for table, count in done.rows.items())
    _say(f"{args.out}: {rows} in {done.files} files")
    return 0


def _import(engine: Engine, args: argparse.Namespace) -> int:
    from fluoro_collector.store.transfer import import_

    migrate.migrate(engine)
    done = import_(engine, Path(args.directory), _Progress("read"), again=args.again)
    _roll_up(engine, done.minutes)
    known = f"; {done.known} files had been imported before (--again stores them again)" if done.known else ""
    _say(f"imported {done.rows} segments from {done.files} files{known}")
    return 0


def _delete(engine: Engine, args: argparse.Namespace) -> int:
    from fluoro_collector.store.erase import delete_traces

    ids = [_trace_id(text) for text in args.ids]
    done = delete_traces(engine, ids)
    _roll_up(engine, done.minutes)
    _say(f"removed {len(done.traces)} of {len(set(ids))} traces, {done.rows} rows")
    return 0 if done.traces else FAILED


def _redact(engine: Engine, args: argparse.Namespace) -> int:
    from fluoro_collector.store.erase import redact

    first, last = _range(args)
    rows = redact(
        engine,
        args.annotation,
        first_ns=first * 10**9,
        last_ns=last * 10**9,
        value=args.value,
        replacement=args.replace,
    )
    _say(f"changed {rows} rows")
    return 0


def _roll_up(engine: Engine, minutes: Iterable[int]) -> None:
    from fluoro_collector.rollup import Rollup

    wanted = list(minutes)
    if wanted:
        rollup = Rollup(engine)
        rollup.touched(wanted)
        rollup.run_once()


def _range(args: argparse.Namespace) -> tuple[int, int]:
    first = _seconds(args.first) if args.first else 0
    last = _seconds(args.last) if args.last else END_OF_TIME_S
    if first >= last:
        raise SettingsError(f"--from {args.first} is not before --to {args.last}")
    return first, last


def _seconds(text: str) -> int:
    """Epoch seconds of a day or moment; one without a zone is UTC."""
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        seconds = int((moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp())
    except (ValueError, OverflowError):
        raise SettingsError(f"{text!r} is no time; write {_RANGE}") from None
    if not 0 <= seconds <= END_OF_TIME_S:
        raise SettingsError(f"{text!r} is out of range; years are 1970 to 2105")
    return seconds


def _trace_id(text: str) -> bytes:
    found = _ID.fullmatch(text)
    if not found:
        raise SettingsError(
            f"{text[:100]!r} is no trace id; write 1-65f0c2a1-0123456789abcdef01234567 or its 32 hexadecimal digits"
        )
    return bytes.fromhex(found[1] + found[2])


def _utf8(option: str, text: str | None) -> None:
    """Bytes of a command line that are no UTF-8 arrive as lone surrogates."""
    try:
        (text or "").encode()
    except UnicodeEncodeError:
        raise SettingsError(f"{option} is not UTF-8") from None


class _Progress:
    """How far long work is, on a terminal only, four times a second."""

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._shown = 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if sys.stderr.isatty() and (done >= total or now - self._shown > 0.25):
            self._shown = now
            end = "\n" if done >= total else ""
            sys.stderr.write(f"\r{self._verb} {done:,} of {total:,} segments{end}")
            sys.stderr.flush()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _refuse(error: object, code: int) -> int:
    sys.stderr.write(f"fluoro store: {error}\n")
    return code
