from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest

from collector_process import Collector, command, environment, start_collector
from fluoro.model import WIRE_VERSION, Batch, Resource
from fluoro.wire import MEDIA_TYPE, encode_batch
from fluoro_collector.serve import banner
from fluoro_collector.settings import Settings
from fluoro_collector.state import State
from memory_store import make_segment


def refused(*flags: str, data: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A start that must fail."""
    return subprocess.run(
        command(data, *flags), env=environment(**variables), capture_output=True, text=True, timeout=60, check=False
    )


def batch(*numbers: int) -> bytes:
    return encode_batch(Batch(WIRE_VERSION, Resource(service_name="shop"), [make_segment(n) for n in numbers]))


def begin_post(collector: Collector, data: bytes) -> socket.socket:
    """A POST of `data` whose handling has begun (the collector said 100 Continue), with half of its body sent."""
    address = urlsplit(collector.http)
    connection = socket.create_connection((cast("str", address.hostname), cast("int", address.port)), timeout=30)
    head = f"POST /v1/segments HTTP/1.1\r\nHost: x\r\nContent-Type: {MEDIA_TYPE}\r\nExpect: 100-continue\r\n"
    connection.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n".encode())
    assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
    connection.sendall(data[: len(data) // 2])
    return connection


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_starts_says_where_and_stops(tmp_path: Path, how: signal.Signals) -> None:
    with start_collector(tmp_path / "data") as collector:
        assert collector.get("/healthz") == "ok\n"
        assert collector.get("/readyz") == {"ready": True, "checks": {"doors": "ok", "ingest": "ok", "store": "ok"}}
        assert collector.ledger()["grpc", "received"] == 0
        page = collector.get("/")
        assert "fluoro dashboard" in page
        assert collector.grpc in page
        collector.process.send_signal(how)
        assert collector.process.wait(20) == 0
        said = "".join(collector.output)
        assert said.count("is ready") == 1
        assert str(tmp_path / "data") in said
        assert "Traceback" not in said


def test_the_x_ray_port_speaks_http_too(tmp_path: Path) -> None:
    with start_collector(tmp_path) as collector:
        collector.http = f"http://{collector.xray}"
        assert collector.get("/readyz")["ready"]


@pytest.mark.parametrize(
    ("kind", "flag", "door"),
    [
        (socket.SOCK_STREAM, "--http-port", "HTTP"),
        (socket.SOCK_STREAM, "--grpc-port", "gRPC"),
        (socket.SOCK_STREAM, "--xray-port", "X-Ray"),
        (socket.SOCK_DGRAM, "--xray-port", "X-Ray"),
    ],
)
def test_a_port_that_is_taken_is_named_with_its_flag(
    tmp_path: Path, kind: socket.SocketKind, flag: str, door: str
) -> None:
    with socket.socket(socket.AF_INET, kind) as holder:
        holder.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            holder.listen()
        port = holder.getsockname()[1]
        result = refused(flag, str(port), data=tmp_path / "data")
    assert result.returncode == 2
    for part in (str(port), door, flag):
        assert part in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("flags", "variables", "says"),
    [
        (["--host", "0.0.0.0"], {}, "neither tokens nor TLS"),
        (["--max-request-mb", "many"], {}, "--max-request-mb is 'many'"),
        ([], {"FLUORO_STORE": "mysql://db"}, "--store must start with clickhouse://"),
    ],
)
def test_a_wrong_setting_ends_with_2(tmp_path: Path, flags: list[str], variables: dict[str, str], says: str) -> None:
    result = refused(*flags, data=tmp_path, **variables)
    assert result.returncode == 2
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_a_data_directory_in_use_ends_with_1_and_names_the_owner(tmp_path: Path) -> None:
    with start_collector(tmp_path) as collector:
        result = refused(data=tmp_path)
        assert result.returncode == 1
        assert str(collector.process.pid) in result.stderr
        assert len(result.stderr.splitlines()) == 1
        assert collector.get("/readyz")["ready"]


def test_help_teaches(tmp_path: Path) -> None:
    result = refused("--help", data=tmp_path)
    assert result.returncode == 0
    for part in ("--http-port", "FLUORO_HTTP_PORT", "AWS_XRAY_DAEMON_ADDRESS", "fluoro dashboard", "default: 4318"):
        assert part in result.stdout


def test_a_request_in_flight_is_finished_when_stopping(tmp_path: Path) -> None:
    with start_collector(tmp_path) as collector:
        data = batch(*range(1, 200))
        with begin_post(collector, data) as connection:
            collector.process.send_signal(signal.SIGTERM)
            collector.wait_for_output("stopping")
            connection.sendall(data[len(data) // 2 :])
            reply = b"".join(iter(lambda: connection.recv(65536), b""))
        assert reply.startswith(b"HTTP/1.1 200 ")
        assert b'"stored":199' in reply
        assert collector.process.wait(20) == 0


def test_a_second_interrupt_leaves_at_once(tmp_path: Path) -> None:
    with start_collector(tmp_path) as collector, begin_post(collector, batch(1)):  # holds the stop up for seconds
        collector.process.send_signal(signal.SIGINT)
        collector.wait_for_output("stopping")
        started = time.monotonic()
        collector.process.send_signal(signal.SIGINT)
        assert collector.process.wait(20) == 130
        assert time.monotonic() - started < 3


def test_a_stop_is_cut_short_by_its_timeout(tmp_path: Path) -> None:
    with start_collector(tmp_path, "--stop-timeout", "0.2") as collector, begin_post(collector, batch(1)):
        started = time.monotonic()
        collector.process.send_signal(signal.SIGTERM)
        assert collector.process.wait(20) == 1
        assert time.monotonic() - started < 5
        collector.wait_for_output("not stopped after 0.2 s")


def test_minutes_are_rolled_up_while_it_runs(tmp_path: Path) -> None:
    with start_collector(tmp_path, "--rollup-interval", "0.1") as collector:
        request = Request(collector.http + "/v1/segments", batch(1, 2, 3), {"Content-Type": MEDIA_TYPE})
        with urlopen(request, timeout=30) as reply:
            assert json.load(reply)["stored"] == 3
        collector.wait_for(
            lambda: re.search(r"^fluoro_rollup_minutes_total [1-9]", collector.get("/metrics"), re.MULTILINE)
        )
        assert "fluoro_rollup_failures_total 0\n" in collector.get("/metrics")
        assert collector.stop() == 0


def test_the_banner_keeps_the_password_to_itself() -> None:
    settings = Settings(store="clickhouse://fluoro:secret@db.internal:9440/traces")
    nothing: Any = None
    doors = {"http": "http://127.0.0.1:4318", "grpc": "127.0.0.1:4317", "xray": "127.0.0.1:2000"}
    text = banner(State(settings, nothing, nothing, nothing, nothing, nothing, nothing, doors))
    assert "ClickHouse at db.internal:9440/traces" in text
    assert "secret" not in text
