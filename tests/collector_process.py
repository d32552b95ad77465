"""The real collector as a process of its own: `with start_collector(tmp_path) as collector:`."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

ROOT = Path(__file__).parent.parent
START_S = 60
DOORS = re.compile(r"^ {2}(HTTP|gRPC|X-Ray) +(\S+)", re.MULTILINE)
SAMPLE = re.compile(r'^fluoro_segments_(\w+?)(?:_total)?\{door="([^"]+)"(?:,reason="([^"]+)")?\} (\d+)', re.MULTILINE)


@dataclass
class Collector:
    """A running collector. `http` is a URL, `grpc` and `xray` are host:port. `output` gathers what it prints."""

    process: subprocess.Popen[str]
    output: list[str] = field(default_factory=list)
    http: str = ""
    grpc: str = ""
    xray: str = ""

    def get(self, path: str) -> Any:
        """The JSON (or text) that `path` answers; raises HTTPError for a status of 400 and above."""
        with urlopen(self.http + path, timeout=30) as reply:
            text = reply.read().decode()
        return json.loads(text) if reply.headers.get_content_type() == "application/json" else text

    def ledger(self) -> dict[tuple[str, str], int]:
        """{(door, "received" | "stored" | "in_flight" | "rejected:<reason>" | "dropped:<reason>"): segments}."""
        found = SAMPLE.findall(self.get("/metrics"))
        return {(door, f"{what}:{reason}" if reason else what): int(count) for what, door, reason, count in found}

    def wait_for(self, condition: Callable[[], Any], seconds: float = 30) -> Any:
        """What `condition` returns once it is true; fails with the collector's output after `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            result = condition()
            if result:
                return result
            assert time.monotonic() < deadline, "".join(["not true in time; the collector said:\n", *self.output])
            assert self.process.poll() is None, "".join(["the collector ended:\n", *self.output])
            time.sleep(0.02)

    def wait_for_output(self, text: str, seconds: float = 30) -> None:
        """Until it has printed `text`; it may have ended since."""
        deadline = time.monotonic() + seconds
        while not any(text in line for line in self.output):
            assert time.monotonic() < deadline, "".join([f"never said {text!r}, but:\n", *self.output])
            time.sleep(0.02)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def kill(self) -> None:
        """SIGKILL: what a crash or a power cut leaves."""
        self.process.kill()
        self.process.wait(20)


def command(data: Path, *flags: str) -> list[str]:
    """The command line of a collector on free ports."""
    ports = ["--http-port", "0", "--grpc-port", "0", "--xray-port", "0"]
    return [sys.executable, "-m", "fluoro_collector", "serve", "--data", str(data), *ports, *flags]


def environment(**more: str) -> dict[str, str]:
    """This process's environment with our sources on the path and no setting of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLUORO_")}
    path = os.pathsep.join(str(ROOT / each) for each in ("sdk", "collector"))
    return {**kept, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **more}


@contextlib.contextmanager
def start_collector(data: Path, *flags: str, **variables: str) -> Iterator[Collector]:
    """A collector on free ports that answers /readyz; it is killed on the way out if it still runs."""
    process = subprocess.Popen(
        command(data, *flags),
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    collector = Collector(process)
    reader = threading.Thread(target=_read, args=(collector,), daemon=True)
    reader.start()
    try:
        doors = collector.wait_for(lambda: _doors(collector), START_S)
        collector.http, collector.grpc, collector.xray = doors["HTTP"], doors["gRPC"], doors["X-Ray"]
        assert collector.get("/readyz")["ready"]
        yield collector
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(20)
        reader.join(20)
        assert process.stdout is not None
        process.stdout.close()


def _read(collector: Collector) -> None:
    assert collector.process.stdout is not None
    for line in collector.process.stdout:
        collector.output.append(line)


def _doors(collector: Collector) -> dict[str, str]:
    doors = dict(DOORS.findall("".join(collector.output)))
    return doors if len(doors) == 3 else {}
