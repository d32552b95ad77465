"""Programs under `fluoro run` with unusual interpreters, streams and ends: they do what they do without it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import batch_sink
from batch_sink import BatchSink
from traced_program import environment

LOOKS = """
import concurrent.futures, copy, inspect, pickle, sqlite3
from unittest import mock
import flask, requests
import fluoro
session = requests.Session()
copy.copy(session), copy.deepcopy(session), pickle.loads(pickle.dumps(session))
if pickle.loads(pickle.dumps(requests.Session.send)) is not requests.Session.send: raise SystemExit("pickle")
if inspect.iscoroutinefunction(session.send): raise SystemExit("flavour")
mock.create_autospec(requests.Session)().send("request")
with mock.patch.object(requests.Session, "send", autospec=True, return_value=5):
    if session.send("request") != 5: raise SystemExit("mock")
class Own(requests.Session):
    def send(self, *args, **kwargs):
        return super().send(*args, **kwargs)
try:
    Own().get("http://127.0.0.1:9/")
except requests.ConnectionError:
    pass
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    list(pool.map(abs, range(3)))
connection = sqlite3.connect(":memory:")
connection.execute("SELECT 1")
connection.close()
application = flask.Flask(__name__)
application.add_url_rule("/", view_func=lambda: "done")
application.test_client().get("/").close()
print(*inspect.signature(requests.Session.send).parameters)
"""

ENDS = {
    "os._exit": "os._exit(3)",
    "exit in atexit": "import atexit; atexit.register(os._exit, 4)",
    "streams closed": "sys.stderr.close(); sys.stdout.close()",
    "no streams": "sys.stderr = sys.stdout = None",
    "descriptors closed": "os.closerange(0, 3)",
    "hardly any stack": "sys.setrecursionlimit(70); fluoro.annotate('a', 1)",
    "modules forgotten": "[sys.modules.pop(name) for name in list(sys.modules) if name.startswith('fluoro')]; import fluoro",
    "an error": "raise ValueError('of the application')",
}


@pytest.fixture
def sink() -> Iterator[BatchSink]:
    with batch_sink.running_sink() as running:
        yield running


def run(folder: Path, text: str, sink: BatchSink, *before: str, flags: tuple[str, ...] = ()) -> tuple[int, str, str]:
    program = folder / "program.py"
    program.write_text(text)
    done = subprocess.run(
        [*before, sys.executable, *flags, str(program)],
        cwd=folder,
        env=environment(sink.url),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


FLUORO_RUN = (sys.executable, "-m", "fluoro", "run")


@pytest.mark.parametrize(
    "flags",
    [
        ("-X", "dev", "-W", "error", "-OO"),
        pytest.param(("-O",), marks=pytest.mark.matrix),
        pytest.param(("-W", "error"), marks=pytest.mark.matrix),
        pytest.param(("-u", "-B"), marks=pytest.mark.matrix),
        pytest.param(("-X", "utf8=0"), marks=pytest.mark.matrix),
    ],
    ids=" ".join,
)
def test_patched_libraries_look_and_work_as_ever(tmp_path: Path, sink: BatchSink, flags: tuple[str, ...]) -> None:
    code, output, errors = run(tmp_path, LOOKS, sink, *FLUORO_RUN, flags=flags)
    assert (code, errors) == (0, "")
    assert output == "self request kwargs\n"
    assert {segment.operation for segment in sink.segments} == {"GET", "GET /", "SELECT"}


@pytest.mark.parametrize("flags", [("-S",), ("-I",), ("-E",)], ids=lambda flags: flags[0])
@pytest.mark.matrix
def test_an_interpreter_that_reads_no_environment_is_not_traced_and_runs(
    tmp_path: Path, sink: BatchSink, flags: tuple[str, ...]
) -> None:
    assert run(tmp_path, "print('done')", sink, *FLUORO_RUN, flags=flags) == (0, "done\n", "")


@pytest.mark.matrix
@pytest.mark.parametrize("end", ENDS)
def test_a_program_ends_as_without_us(tmp_path: Path, sink: BatchSink, end: str) -> None:
    text = f"import os, sys\nimport fluoro, sqlite3\nwith fluoro.span('work'):\n    pass\n{ENDS[end]}\n"
    assert run(tmp_path, text, sink, *FLUORO_RUN) == run(tmp_path, text, sink)
