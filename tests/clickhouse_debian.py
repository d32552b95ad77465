"""A real ClickHouse server from Debian's package, in a process of its own: version 18.16, so simple tables only."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PASSWORD = "s3cret-word"
_BINARY = shutil.which("clickhouse-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin")

_CONFIG = """<yandex>
  <logger><level>warning</level><console>1</console></logger>
  <listen_host>127.0.0.1</listen_host>
  <tcp_port>{tcp}</tcp_port><http_port>{http}</http_port><interserver_http_port>{inter}</interserver_http_port>
  <path>{path}/data/</path><tmp_path>{path}/tmp/</tmp_path>
  <users_config>users.xml</users_config><default_profile>default</default_profile>
  <default_database>default</default_database><mark_cache_size>5368709</mark_cache_size><timezone>UTC</timezone>
</yandex>
"""
_USERS = f"""<yandex>
  <profiles><default><max_memory_usage>1000000000</max_memory_usage></default><fixed><readonly>1</readonly></fixed></profiles>
  <users>
    <default><password>{PASSWORD}</password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></default>
    <reader><password></password><networks><ip>127.0.0.1</ip></networks><profile>fixed</profile><quota>default</quota></reader>
  </users>
  <quotas><default/></quotas>
</yandex>
"""


def need_server() -> None:
    """Skip the calling test, or fail it where no skip is allowed, when the server is not installed."""
    if _BINARY:
        return
    reason = "clickhouse-server is not installed (Debian: apt-get install clickhouse-server)"
    if os.environ.get("FLUORO_TEST_NO_SKIP") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@contextlib.contextmanager
def running_server(directory: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """(port, process) of a server over `directory`; ends with the block. `PASSWORD` is user default's, `reader` may only read."""
    need_server()
    assert _BINARY
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        tcp, http, inter = (each.getsockname()[1] for each in sockets)
    (directory / "config.xml").write_text(_CONFIG.format(tcp=tcp, http=http, inter=inter, path=directory))
    (directory / "users.xml").write_text(_USERS)
    with (directory / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [_BINARY, f"--config-file={directory}/config.xml"], cwd=directory, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + 60
        while not _answers(tcp):
            assert process.poll() is None, (directory / "server.log").read_text()
            assert time.monotonic() < deadline, "clickhouse-server did not start in 60 s"
            time.sleep(0.05)
        yield tcp, process
    finally:
        process.kill()
        process.wait(30)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
