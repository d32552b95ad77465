"""What tracing costs a process before it traces anything, each in a fresh interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import fluoro
from fluoro.run import environment

SDK = Path(fluoro.__file__).parents[1]
PLAIN = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"PYTHONPATH": str(SDK)}


def run(code: str, env: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


_QUIET = """
import os, sys
opened = []
sys.addaudithook(lambda event, args: opened.append(event) if event.startswith(("socket.", "_thread.start", "subprocess")) else None)
import fluoro
{use}
import threading
assert threading.active_count() == 1 and len(sys._current_frames()) == 1
assert not opened, opened
heavy = {{"grpc", "google.protobuf", "requests", "httpx", "flask", "fastapi", "starlette", "botocore", "sqlite3", "opentelemetry"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""


def test_import_fluoro_starts_opens_and_loads_nothing():
    run(_QUIET.format(use="assert not {'msgspec', 'logging', 'typing'} & set(sys.modules)"), PLAIN)


def test_using_and_installing_it_loads_no_traced_library_and_starts_nothing_either():
    run(_QUIET.format(use="fluoro.span; fluoro.annotate; fluoro.Settings; fluoro.install()"), PLAIN)


def test_fluoro_run_adds_nothing_but_a_hook_to_a_program_that_uses_no_traced_library():
    run(_QUIET.format(use="assert not {'msgspec', 'typing', 'fluoro.recorder'} & set(sys.modules)"), environment(PLAIN))


def test_start_up_added_by_fluoro_run_is_within_its_budget():
    """40 ms of CPU; the two take turns and the cheapest of each counts, so that a busy machine does not decide."""

    def once(env: dict[str, str]) -> float:
        process = subprocess.Popen([sys.executable, "-c", "pass"], env=env)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return usage.ru_utime + usage.ru_stime

    bare, traced = [], []
    for _ in range(10):
        bare.append(once(PLAIN))
        traced.append(once(environment(PLAIN)))
    assert min(traced) - min(bare) < 0.040


def test_the_version_is_the_distributions():
    project = (SDK.parent / "pyproject.toml").read_text()
    assert f'version = "{fluoro.__version__}"' in project


def test_all_public_names_can_be_loaded():
    for name in fluoro.__all__:
        assert getattr(fluoro, name) is not None
