"""A ClickHouse server of today as a process of its own: the engine of `chdb-core` has its TCP door open.

What answers is ClickHouse itself: its native protocol, users, Distributed tables between several nodes. It has no Keeper and no
queue for ON CLUSTER, so what these do is tested as text; `ClusterServer` runs
the same statements on every node instead.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fluoro_collector.store.server import Server

CLUSTER = "shards"

# clickhouse-local reads clickhouse-local.xml from its working directory. The statement that keeps it running reads its
# standard input, which ends when the test lets go of it.
_PROGRAM = """
import signal, sys
import chdb._chdb as engine
signal.signal(signal.SIGTERM, signal.SIG_DFL)
engine.set_signal_handlers_enabled(0)
engine.query("SYSTEM START LISTEN TCP; SELECT count() FROM file('/dev/stdin', 'LineAsString', 'line String') FORMAT Null", path=sys.argv[1])
"""
_CONFIG = """<clickhouse>
  <logger><level>none</level></logger>
  <listen_host>127.0.0.1</listen_host><tcp_port>{port}</tcp_port>
  <macros><shard>{number}</shard><replica>one</replica></macros>
  <remote_servers><{cluster}>{shards}</{cluster}></remote_servers>
</clickhouse>
"""
_SHARD = "<shard><internal_replication>true</internal_replication><replica><host>127.0.0.1</host><port>{}</port></replica></shard>"


@dataclass
class Node:
    """`host` is 127.0.0.1:port. `end` kills the process, `start` starts it again over the same data."""

    directory: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        self.process = _start(self.directory)
        _await_door(self)

    def stop(self) -> None:
        """The process stays and its port accepts, but nothing answers."""
        self.process.send_signal(signal.SIGSTOP)
        while " T " not in Path(f"/proc/{self.process.pid}/stat").read_text():
            assert self.process.poll() is None

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        self.process.kill()
        self.process.wait(30)
        if self.process.stdin is not None:
            self.process.stdin.close()


@contextlib.contextmanager
def running_nodes(directory: Path, count: int = 1) -> Iterator[list[Node]]:
    """Nodes that know each other as the shards of cluster `shards`."""
    with contextlib.ExitStack() as stack:
        doors = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        ports = [door.getsockname()[1] for door in doors]
    shards = "".join(_SHARD.format(port) for port in ports)
    nodes: list[Node] = []
    try:
        for number, port in enumerate(ports):
            home = directory / f"node{number}"
            home.mkdir(parents=True)
            config = _CONFIG.format(port=port, number=number, cluster=CLUSTER, shards=shards)
            (home / "clickhouse-local.xml").write_text(config)
            nodes.append(Node(home, port, _start(home)))
        for node in nodes:
            _await_door(node)
        yield nodes
    finally:
        for node in nodes:
            node.end()


def _start(home: Path) -> subprocess.Popen[bytes]:
    with (home / "output.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(home / "data")],
            cwd=home,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ["PATH"], "HOME": str(home)},
        )


def _await_door(node: Node) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert node.process.poll() is None, (node.directory / "output.log").read_text()
        assert time.monotonic() < deadline, "the node did not listen in 60 s"
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", node.port), 1).close()
            return
        time.sleep(0.02)


class ClusterServer(Server):
    """The server engine on a cluster of nodes without Keeper: what goes ON CLUSTER is run on each node, unreplicated.

    `sent` keeps these statements as the engine had them.
    """

    def __init__(self, nodes: Sequence[Node], database: str) -> None:
        self.sent: list[str] = []
        self._each = [Server(f"clickhouse://{node.host}/{database}") for node in nodes]
        hosts = ",".join(node.host for node in nodes)
        super().__init__(f"clickhouse://{hosts}/{database}?cluster={CLUSTER}")

    def command(self, sql: str, params: Mapping[str, Any] | None = None) -> None:
        if f" ON CLUSTER '{CLUSTER}'" not in sql:
            super().command(sql, params)
            return
        self.sent.append(sql)
        for engine in self._each:
            engine.command(without_keeper(sql), params)

    def on_each(self, sql: str) -> list[dict[str, list[Any]]]:
        """The answer of each node."""
        return [engine.query(sql) for engine in self._each]

    def close(self) -> None:
        for engine in self._each:
            engine.close()
        super().close()


def without_keeper(statement: str) -> str:
    """A statement of the cluster's schema as one node without Keeper can run it."""
    statement = statement.replace(f" ON CLUSTER '{CLUSTER}'", "")
    statement = re.sub(r"Replicated(\w*MergeTree)\('[^']*', '[^']*'(?:, )?", r"\1(", statement)
    return re.sub(
        r"\breplicated_deduplication_window = (\d+), replicated_deduplication_window_seconds = \d+",
        r"non_replicated_deduplication_window = \1",
        statement,
    )
