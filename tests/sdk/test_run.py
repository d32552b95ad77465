"""`fluoro run` with real programs and servers; every traced process sends to a real HTTP server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import batch_sink
from batch_sink import BatchSink
from fluoro.run import BOOTSTRAP, environment

SDK = BOOTSTRAP.parents[1]
ASGI_APP = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
app = Starlette(routes=[Route("/hello/{name}", lambda request: PlainTextResponse("hi"))])
"""


@pytest.fixture
def sink() -> Iterator[BatchSink]:
    with batch_sink.running_sink() as running:
        yield running


def start(folder: Path, *command: str, env: dict[str, str] | None = None, **options: object) -> subprocess.Popen[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("FLUORO_")}
    scripts = str(Path(sys.executable).parent)
    plain |= {"PYTHONPATH": str(SDK), "PATH": scripts + os.pathsep + os.environ["PATH"]} | (env or {})
    return subprocess.Popen(
        [sys.executable, "-m", "fluoro", "run", *command],
        cwd=folder,
        env=plain,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def run(folder: Path, *command: str, env: dict[str, str] | None = None, code: int = 0) -> tuple[str, str]:
    process = start(folder, *command, env=env)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    return output, errors


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


SQL = "import sqlite3\nsqlite3.connect(':memory:').execute('select 1')\n"


@pytest.mark.parametrize("command", [("app.py",), ("-m", "app"), ("-m", "package"), ("-c", SQL)])
def test_a_program_is_traced_without_a_change(sink, tmp_path, command):
    write(tmp_path, "app.py", SQL)
    write(tmp_path, "package/__main__.py", SQL)
    _, errors = run(tmp_path, "--service", "mine", "--endpoint", sink.url, "python", *command)
    assert errors == ""
    assert sink.batches[0].resource.service_name == "mine"
    (call,) = sink.segments
    assert call.sql is not None


def test_the_program_sees_its_own_sys_path_arguments_exit_code_and_input(sink, tmp_path):
    code = (
        "import sys, os; assert not any('bootstrap' in entry for entry in sys.path), sys.path\n"
        "assert 'bootstrap' in os.environ['PYTHONPATH'].split(os.pathsep)[0]\n"
        "print(sys.argv[1:], sys.stdin.read()); sys.exit(7)\n"
    )
    process = start(tmp_path, "--", "python", "-c", code, "--flag", "x", stdin=subprocess.PIPE)
    output, errors = process.communicate("typed", timeout=60)
    assert (process.returncode, output, errors) == (7, "['--flag', 'x'] typed\n", "")


def test_another_sitecustomize_still_runs(sink, tmp_path):
    write(tmp_path, "site/sitecustomize.py", "import sys; sys.theirs = __file__\n")
    code = (
        "import sys, sitecustomize; print(sys.theirs == sitecustomize.__file__)\n"
        "from fluoro import activation; print(activation.activated)"
    )
    path = os.pathsep.join([str(SDK), str(tmp_path / "site")])
    assert run(tmp_path, "python", "-c", code, env={"PYTHONPATH": path}) == ("True\nTrue\n", "")


def test_another_sitecustomize_that_fails_is_reported_as_without_us(tmp_path):
    write(tmp_path, "site/sitecustomize.py", "raise ValueError('theirs')\n")
    path = os.pathsep.join([str(SDK), str(tmp_path / "site")])
    output, errors = run(tmp_path, "python", "-c", "print('goes on')", env={"PYTHONPATH": path})
    assert output == "goes on\n"
    assert "ValueError: theirs" in errors


@pytest.mark.parametrize("switch", ["FLUORO_ENABLED", "AWS_XRAY_SDK_ENABLED"])
def test_switched_off_means_nothing_is_patched(sink, tmp_path, switch):
    code = (
        SQL + "import sys; print('fluoro.recorder' in sys.modules, [f for f in sys.meta_path if 'fluoro' in repr(f)])"
    )
    output, _ = run(tmp_path, "--endpoint", sink.url, "python", "-c", code, env={switch: "false"})
    assert output == "False []\n"
    assert sink.segments == []


def test_own_spans_are_recorded_in_a_program_that_uses_no_traced_library(sink, tmp_path):
    code = "import fluoro\nwith fluoro.span('work') as work: print(work.recording)"
    assert run(tmp_path, "--endpoint", sink.url, "python", "-c", code) == ("True\n", "")
    assert [one.operation for one in sink.segments] == ["work"]


def test_child_processes_are_traced(sink, tmp_path):
    write(
        tmp_path,
        "app.py",
        "import multiprocessing, subprocess, sys, fluoro\n"
        "def work():\n    with fluoro.span('spawned'): pass\n"
        "if __name__ == '__main__':\n"
        "    child = multiprocessing.get_context('spawn').Process(target=work); child.start(); child.join()\n"
        "    code = \"import fluoro\\nwith fluoro.span('called'): pass\"\n"
        "    subprocess.run([sys.executable, '-c', code], check=True)\n",
    )
    _, errors = run(tmp_path, "--service", "app", "--endpoint", sink.url, "python", "app.py")
    assert errors == ""
    assert sorted(one.operation for one in sink.segments) == ["called", "spawned"]


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as response:
        return str(response.read().decode())


def answers(url: str) -> bool:
    try:
        get(url)
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    "server",
    [
        ("uvicorn", "app:app", "--port", "{port}", "--log-level", "error"),
        ("uvicorn", "app:app", "--port", "{port}", "--log-level", "error", "--workers", "2"),
        ("uvicorn", "app:app", "--port", "{port}", "--log-level", "error", "--reload"),
        ("python", "-m", "uvicorn", "app:app", "--port", "{port}", "--log-level", "error"),
        ("flask", "--app", "wsgi", "run", "--port", "{port}"),
        ("flask", "--app", "wsgi", "run", "--port", "{port}", "--debug"),
    ],
    ids=["uvicorn", "workers", "reload", "module", "flask", "flask-debug"],
)
def test_servers_and_their_workers_are_traced(sink, tmp_path, server):
    write(tmp_path, "app.py", ASGI_APP)
    write(
        tmp_path,
        "wsgi.py",
        "import flask\napp = flask.Flask('w')\n@app.get('/hello/<name>')\ndef h(name): return 'hi'\n",
    )
    port = free_port()
    command = [part.format(port=port) for part in server]
    process = start(tmp_path, "--endpoint", sink.url, *command, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{port}/hello/you"
        sink.wait_for(lambda: answers(url) or process.poll() is not None, 60)
        assert process.poll() is None, process.communicate()[1]
        sink.wait_for(lambda: bool(sink.segments))
        served = sink.segments[0]
        assert served.operation.startswith("GET /hello/")
        assert served.http is not None
        assert served.http.status == 200
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert "Traceback" not in errors


def test_gunicorn_like_preforking_is_traced(sink, tmp_path):
    """A master that imports the application, forks workers and waits for them, as gunicorn --preload does."""
    write(
        tmp_path,
        "master.py",
        "import os, fluoro\n"
        "with fluoro.span('load'): pass\n"
        "fluoro.flush()\n"
        "pids = []\n"
        "for i in range(3):\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        for j in range(5):\n"
        "            with fluoro.span(f'worker {i}'): pass\n"
        "        raise SystemExit\n"
        "    pids.append(pid)\n"
        "for pid in pids: os.waitpid(pid, 0)\n",
    )
    _, errors = run(tmp_path, "--endpoint", sink.url, "python", "-W", "ignore", "master.py")
    assert errors == ""
    assert sorted(one.operation for one in sink.segments) == ["load"] + [
        f"worker {i}" for i in range(3) for _ in range(5)
    ]
    assert len({one.trace_id for one in sink.segments}) == 16


def test_an_interpreter_without_fluoro_says_so_in_one_line_and_runs_on(tmp_path):
    env = environment({"PATH": os.environ["PATH"]})
    env["PYTHONPATH"] = str(BOOTSTRAP)
    code = "print('runs')"
    done = subprocess.run(
        [
            sys.executable,
            "-S",
            "-c",
            f"import sys; sys.path.insert(0, {str(BOOTSTRAP)!r}); import sitecustomize; {code}",
        ],
        env=env,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "runs\n"
    assert done.stderr.startswith("WARNING fluoro: not tracing this program: No module named 'fluoro'.")
    assert "-m pip install fluoro" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_interpreter_without_our_dependencies_says_so_once_and_runs_on(tmp_path):
    code = f"import sys; sys.path.insert(0, {str(SDK)!r}); from fluoro import activation; activation.activate()\n{SQL}{SQL}"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == "WARNING fluoro: not tracing: No module named 'msgspec'\n"


@pytest.mark.parametrize(
    ("command", "env", "message"),
    [
        (("no-such-command",), {}, "`no-such-command` is not a command on PATH"),
        (("--endpoint", "https://x:1", "python"), {}, "http://HOST:PORT"),
        (("python",), {"FLUORO_DISABLE": "reqests"}, "FLUORO_DISABLE names reqests"),
        (("python",), {"FLUORO_ENABLED": "perhaps"}, "FLUORO_ENABLED is 'perhaps'"),
    ],
)
def test_a_mistake_is_said_before_anything_runs(tmp_path, command, env, message):
    output, errors = run(tmp_path, *command, env=env, code=2)
    assert output == ""
    assert message in errors
    assert "Traceback" not in errors


def test_a_wrong_setting_in_a_child_is_one_line_and_no_reason_to_fail(tmp_path):
    env = environment({"PATH": os.environ["PATH"], "FLUORO_SAMPLE_RATE": "lots"})
    done = subprocess.run([sys.executable, "-c", SQL], env=env, capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr.startswith("WARNING fluoro: not tracing: FLUORO_SAMPLE_RATE is 'lots'")


def test_the_environment_keeps_what_was_on_pythonpath_and_nests():
    once = environment({"PYTHONPATH": "/theirs"}, service="a")
    assert once["PYTHONPATH"].split(os.pathsep) == [str(BOOTSTRAP), str(SDK), "/theirs"]
    assert once["FLUORO_SERVICE_NAME"] == "a"
    assert environment(once)["PYTHONPATH"] == once["PYTHONPATH"]
