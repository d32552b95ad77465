"""What was acknowledged is there, once: after kill -9 under load, and after SIGTERM under load."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from collector_process import environment, start_collector
from senders import sending

ACKNOWLEDGED = 2_000  # segments before the collector is stopped: a hundred commits

READ = """
import json, sys
from fluoro_collector.store.store import Store, open_engine
store = Store(open_engine(sys.argv[1]))
found = store.engine.query("SELECT id, count() AS copies, uniqExact(trace_id) AS traces FROM segments GROUP BY id")
print(json.dumps([found["id"], found["copies"], found["traces"]]))
store.close()
"""


def stored(data: Path) -> Counter[int]:
    """{segment id: rows} in a data directory that no collector owns."""
    result = subprocess.run(
        [sys.executable, "-c", READ, str(data)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    ids, copies, traces = json.loads(result.stdout)
    assert set(traces) == {1}
    return Counter(dict(zip(ids, copies, strict=True)))


@pytest.mark.parametrize("rounds", [2])
def test_kill_9_under_load_loses_nothing_that_was_acknowledged(tmp_path: Path, rounds: int) -> None:
    acknowledged: set[int] = set()
    offset = 0
    for _ in range(rounds):
        with start_collector(tmp_path) as collector, sending(collector, first_id=offset + 1) as senders:
            collector.wait_for(lambda now=senders: len(now.acknowledged) >= ACKNOWLEDGED, 60)
            collector.kill()
        assert {"native", "otlp-http", "otlp-grpc"} == senders.by_door.keys()
        acknowledged |= senders.acknowledged
        offset = senders.last_id
    with start_collector(tmp_path) as collector:
        assert collector.get("/readyz")["ready"]
        assert collector.get("/api/status")["segments"] >= len(acknowledged)
        assert collector.stop() == 0
    rows = stored(tmp_path)
    assert acknowledged <= rows.keys()
    assert set(rows.values()) == {1}
    assert max(rows) <= offset


def test_a_stop_under_load_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    with start_collector(tmp_path) as collector, sending(collector) as senders:
        collector.wait_for(lambda: len(senders.acknowledged) >= ACKNOWLEDGED, 60)
        assert collector.stop() == 0
    assert {"native", "otlp-http", "otlp-grpc"} == senders.by_door.keys()
    rows = stored(tmp_path)
    assert senders.acknowledged <= rows.keys()
    assert set(rows.values()) == {1}
    said = "".join(collector.output)
    assert "Traceback" not in said
    assert "not stopped" not in said


def test_datagrams_that_arrived_before_the_stop_are_stored(tmp_path: Path) -> None:
    """UDP acknowledges nothing; but what the socket holds when SIGTERM comes is not thrown away."""
    count = 150
    with start_collector(tmp_path) as collector, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        host, port = collector.xray.rsplit(":", 1)
        now = time.time()
        for number in range(1, count + 1):
            trace_id = f"1-{int(now):08x}-{number:024x}"
            document = {
                "name": "shop",
                "id": f"{number:016x}",
                "trace_id": trace_id,
                "start_time": now,
                "end_time": now,
            }
            datagram = b'{"format": "json", "version": 1}\n' + json.dumps(document).encode()
            sender.sendto(datagram, (host, int(port)))
        assert collector.stop() == 0
    assert stored(tmp_path) == dict.fromkeys(range(1, count + 1), 1)
