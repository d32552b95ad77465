"""A real MariaDB server from Debian's package: a second to start, nothing written to disk for good."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from servers.account import directory_of, unprivileged
from servers.process import accepts, binary, free_port, running

USER = "shopper"
PASSWORD = "my-s3cret-word"
DATABASE = "shop"


class MariaDB(NamedTuple):
    host: str
    port: int


@contextmanager
def mariadb() -> Iterator[MariaDB]:
    """A server with one user, `USER`, who may do anything, and the database `DATABASE`."""
    install, server = (binary(name, "mariadb-server") for name in ("mariadb-install-db", "mariadbd"))
    account = "mysql" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    with directory_of(account) as directory:
        as_user = unprivileged(account)
        data = f"--datadir={directory / 'data'}"
        made = subprocess.run(
            [*as_user, install, "--no-defaults", data, "--auth-root-authentication-method=normal", "--skip-test-db"],
            capture_output=True,
            check=False,
        )
        assert made.returncode == 0, made.stderr.decode()
        first = directory / "first.sql"
        first.write_text(
            f"CREATE DATABASE {DATABASE};"
            f"CREATE USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';"
            f"GRANT ALL ON *.* TO '{USER}'@'%';\n".replace(";", ";\n")
        )
        port = free_port()
        options = ["--bind-address=127.0.0.1", f"--port={port}", f"--socket={directory / 'socket'}"]
        fast = ["--innodb-flush-method=nosync", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=16M"]
        command = [*as_user, server, "--no-defaults", data, *options, *fast, f"--init-file={first}"]
        with running(command, lambda: accepts(port), log=directory / "server.log"):
            yield MariaDB("127.0.0.1", port)
