"""`fluoro exec [--name N] -- CMD…`: any program, in any language, as one segment of a trace.

The segment lasts as long as the program and has its exit status. It hangs below what the environment names as the
caller (`_X_AMZN_TRACE_ID` or TRACEPARENT: a traced CodeBuild project, Batch job or another `fluoro exec`), and the
program gets both variables for its own children. Arguments are not recorded: they carry passwords.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

from fluoro import activation, propagation
from fluoro.model import Cause, ExceptionRecord, Kind
from fluoro.recorder import Span, new_span_id, recorder
from fluoro.settings import Settings, program_name

NOT_EXECUTABLE, NOT_FOUND = 126, 127  # the shell's exit statuses
_FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_FROM_THE_TERMINAL = (signal.SIGINT, signal.SIGQUIT)  # a terminal sends these to the program as well
_INTERPRETERS = ("python", "bash", "sh", "node", "ruby", "perl", "php", "java")


def run(command: list[str], environ: Mapping[str, str], name: str = "") -> int:
    """Run `command` to its end on our standard streams. Its exit status; 128 + n when signal n ended it, as in a shell.

    Nothing that goes wrong with tracing changes that. SettingsError for a setting that cannot work.
    """
    settings = Settings.from_env(environ)
    if not settings.enabled:
        return _execute(command, environ)
    if name or settings.service_name == program_name(sys.argv):  # nobody named it
        settings = msgspec.structs.replace(settings, service_name=name or name_of(command))
    activation.set_up(settings)
    program = Path(command[0]).name
    span = recorder.begin_segment(program, Kind.INTERNAL, propagation.from_environment(environ))
    _announce(span)
    segment, trace = span.segment, span.trace
    carriers = propagation.to_environment(segment.trace_id, segment.id, trace.sampled, trace.trace_state, trace.extras)
    status = _execute(command, {**environ, **carriers})
    _judge(span, program, status)
    span.end()
    activation.uninstall()  # sends it
    return status


def name_of(command: list[str]) -> str:
    """`python -u job.py` → "job", `python -m shop` → "shop", `./backup.sh --full` → "backup.sh", `sh -c "…"` → "sh"."""
    program = Path(command[0]).name
    if program.rstrip("0123456789.") not in _INTERPRETERS:
        return program
    for number, argument in enumerate(command[1:], 1):
        if argument in ("-c", "-e"):  # code, not a name
            return program
        if argument == "-m":
            return command[number + 1] if number + 1 < len(command) else program
        if not argument.startswith("-"):
            return program_name([argument])
    return program


def _announce(span: Span) -> None:
    """Send the segment as in progress: a job of hours is seen while it runs, and if we are killed."""
    if span.recording and recorder.sink is not None:
        recorder.sink(msgspec.structs.replace(span.segment, in_progress=True))


def _judge(span: Span, program: str, status: int) -> None:
    """Exit status 0 is a success, everything else a fault."""
    span.annotate("exit_status", status)
    if status == 0 or not span.recording:
        return
    reason = f"{program} exited with status {status}"
    if status > 128 and status - 128 in set(signal.Signals):
        ended_by = signal.Signals(status - 128).name
        span.annotate("signal", ended_by)
        reason = f"{program} was ended by {ended_by}"
    elif status in (NOT_EXECUTABLE, NOT_FOUND):
        reason = f"{program} could not be started, or exited with status {status}"
    span.segment.fault = True
    span.segment.cause = Cause([ExceptionRecord(f"{new_span_id():016x}", "ExitStatus", reason)])


def _execute(command: list[str], environ: Mapping[str, str]) -> int:
    with _forwarding() as started:
        try:
            process = subprocess.Popen(command, env=dict(environ))  # noqa: S603  the user's command is the purpose
        except FileNotFoundError:
            sys.stderr.write(f"fluoro: `{command[0]}` is not a command on PATH\n")
            return NOT_FOUND
        except OSError as error:
            sys.stderr.write(f"fluoro: `{command[0]}` cannot be started: {error.strerror}\n")
            return NOT_EXECUTABLE
        started(process)
        status = process.wait()
    return status if status >= 0 else 128 - status


@contextmanager
def _forwarding() -> Iterator[Any]:
    """Pass signals on to the process that `started` is told of; those that came earlier follow at once."""
    early: list[int] = []
    running: list[subprocess.Popen[bytes]] = []

    def forward(number: int, _frame: FrameType | None) -> None:
        if number in _FROM_THE_TERMINAL and _in_foreground():
            return
        if running:
            with suppress(ProcessLookupError):
                running[0].send_signal(number)
        else:
            early.append(number)

    def started(process: subprocess.Popen[bytes]) -> None:
        running.append(process)
        for number in early:
            process.send_signal(number)

    before = {number: signal.signal(number, forward) for number in _FORWARDED if _is_default(number)}
    try:
        yield started
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_default(number: signal.Signals) -> bool:
    """A signal that our starter ignores (nohup, a background job) stays ignored, for the program too."""
    return signal.getsignal(number) is not signal.SIG_IGN


def _in_foreground() -> bool:
    try:
        with open(os.ctermid(), "rb") as terminal:  # noqa: PTH123  a device, not a file
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:  # no terminal
        return False
