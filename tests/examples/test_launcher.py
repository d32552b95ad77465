"""What `fluoro demo` stands on: ports, the supervisor, and the guardian that cleans up after a kill -9."""

import os
import signal
import socket
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from demo_processes import PYTHONPATH, marked, wait_for
from fluoro_shop.launcher import supervisor as supervisor_module
from fluoro_shop.launcher.child import Child, answers, listens, says
from fluoro_shop.launcher.ports import HOST, STEP, Ports
from fluoro_shop.launcher.supervisor import ChildError, InterruptedByUserError, Supervisor

SLEEP = "import time; print('here', flush=True); time.sleep(300)"
FORKS = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEP!r}])"


def at_once(_child: Child) -> bool:
    return True


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def mark() -> str:
    return f"DEMO_MARK={uuid.uuid4()}"


@pytest.fixture
def env(mark: str) -> dict[str, str]:
    name, value = mark.split("=")
    return {**os.environ, "PYTHONPATH": PYTHONPATH, name: value}


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM], ids=["tcp", "udp"])
def test_a_taken_port_is_named_and_replaced(kind: socket.SocketKind):
    said: list[str] = []
    ports = Ports(said.append)
    with socket.socket(socket.AF_INET, kind) as owner:
        owner.bind((HOST, 0))
        if kind == socket.SOCK_STREAM:
            owner.listen()
        taken = owner.getsockname()[1]
        given = ports.claim("the dashboard", taken)
    ports.release()
    assert given != taken
    assert said == [f"port {taken} is taken: the dashboard goes to {given}"]


def test_a_free_port_is_given_as_wished_and_once():
    said: list[str] = []
    ports = Ports(said.append)
    wished = free_port()
    assert ports.claim("one", wished) == wished
    assert said == []
    assert ports.claim("another", wished) != wished
    assert len(said) == 1
    ports.release()


def test_two_demos_never_get_the_same_port(env: dict[str, str]):
    wished = free_port()
    code = f"""
from fluoro_shop.launcher.ports import Ports
ports = Ports(print)
print(ports.claim("other", {wished}), flush=True)
input()
"""
    with subprocess.Popen(python(code), env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert int(other.stdout.readline()) == wished  # claimed, and nobody listens there yet
        ports = Ports(lambda _line: None)
        assert ports.claim("mine", wished) == wished + STEP or wished + STEP > 65_535
        ports.release()
        other.stdin.close()
    ports = Ports(lambda _line: None)
    assert ports.claim("mine", wished) == wished
    ports.release()


def test_readiness(tmp_path: Path, env: dict[str, str]):
    port = free_port()
    server = [sys.executable, "-u", "-m", "http.server", "--bind", HOST, str(port)]
    said: list[str] = []
    with Supervisor(tmp_path, None, said.append) as supervisor:
        children = [
            supervisor.start("page", server, env, answers(f"http://{HOST}:{port}/")),
            supervisor.start("port", python(SLEEP), env, listens(port)),
            supervisor.start("log", python(SLEEP), env, says("here")),
        ]
        supervisor.wait_until_ready(children, 20)
        assert sorted(line.split()[0] for line in said) == ["log", "page", "port"]
        assert not answers(f"http://{HOST}:{port}/nothing")(children[0])
    assert not listens(port)(children[0])


def test_who_is_not_ready_in_time_is_named(tmp_path: Path, env: dict[str, str]):
    with (
        pytest.raises(ChildError, match="dreamer was not ready after 0 s"),
        Supervisor(tmp_path, None, print) as supervisor,
    ):
        supervisor.wait_until_ready([supervisor.start("dreamer", python(SLEEP), env, says("never"))], 0.2)


def test_a_death_is_reported_with_the_end_of_the_log_and_stops_the_rest(tmp_path: Path, env: dict[str, str], mark: str):
    dies = "import sys; print('opening the till', flush=True); sys.exit('the till is stuck')"
    with Supervisor(tmp_path, None, print) as supervisor:
        supervisor.start("till", python(dies), env, at_once)
        supervisor.start("other", python(SLEEP), env, at_once)
        with pytest.raises(ChildError) as caught:
            supervisor.watch()
    assert str(caught.value) == "till ended with status 1"
    assert caught.value.child.last_lines() == ["opening the till", "the till is stuck"]
    assert marked(mark) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_children_and_their_children(tmp_path: Path, env: dict[str, str], mark: str, number: int):
    before = signal.getsignal(number)
    with Supervisor(tmp_path, None, print) as supervisor:
        child = supervisor.start("parent", python(FORKS), env, says("here"))
        supervisor.wait_until_ready([child], 20)
        assert len(marked(mark)) == 2
        os.kill(os.getpid(), number)
        with pytest.raises(InterruptedByUserError):
            supervisor.watch()
    assert marked(mark) == []
    assert signal.getsignal(number) == before


def test_who_does_not_stop_is_killed(tmp_path: Path, env: dict[str, str], mark: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(supervisor_module, "PATIENCE", 0.2)
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP
    said: list[str] = []
    with Supervisor(tmp_path, None, said.append) as supervisor:
        supervisor.wait_until_ready([supervisor.start("deaf", python(deaf), env, says("here"))], 20)
    assert said[-1] == "deaf did not stop by itself and was killed"
    assert marked(mark) == []


@pytest.mark.parametrize("keep", [False, True])
def test_kill_9_of_the_launcher_leaves_no_process_and_no_directory(
    tmp_path: Path, env: dict[str, str], mark: str, keep: bool
):
    work = tmp_path / "work"
    work.mkdir()
    code = f"""
import os, pathlib, sys
from fluoro_shop.launcher.supervisor import Supervisor
from fluoro_shop.launcher.child import says
work = pathlib.Path({str(work)!r})
with Supervisor(work, work, print) as supervisor:
    child = supervisor.start("parent", [sys.executable, "-c", {FORKS!r}], dict(os.environ), says("here"))
    supervisor.wait_until_ready([child], 20)
    if {keep}:
        supervisor.keep()
    print("up", flush=True)
    supervisor.watch()
"""
    with subprocess.Popen(python(code), env=env, stdout=subprocess.PIPE, text=True) as launcher:
        assert launcher.stdout is not None
        wait_for(lambda: launcher.stdout.readline() == "up\n", 30, "the launcher is up")
        assert len(marked(mark)) == 4  # launcher, guardian, child, grandchild
        launcher.kill()
    wait_for(lambda: marked(mark) == [], 10, "everything has ended")
    assert work.exists() == keep
