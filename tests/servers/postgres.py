"""A real PostgreSQL server from Debian's package: a second to start, nothing written to disk for good."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from servers.account import directory_of, unprivileged
from servers.process import accepts, binary, free_port, running

USER = "shopper"
PASSWORD = "pg-s3cret-word"
DATABASE = "postgres"
_PATH = ":".join(f"/usr/lib/postgresql/{version}/bin" for version in range(18, 12, -1))


class Postgres(NamedTuple):
    host: str
    port: int


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A server with one superuser, `USER`, and the database `DATABASE`."""
    initdb, server = (binary(name, "postgresql", _PATH) for name in ("initdb", "postgres"))
    with directory_of("postgres") as directory:
        data, password = directory / "data", directory / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        as_user = unprivileged("postgres")
        options = ["--no-sync", "--no-instructions", "--no-locale", "--encoding=UTF8", "--auth=scram-sha-256"]
        made = subprocess.run(
            [*as_user, initdb, "-D", data, "-U", USER, f"--pwfile={password}", *options],
            capture_output=True,
            check=False,
        )
        assert made.returncode == 0, made.stderr.decode()
        port = free_port()
        settings = {"fsync": "off", "unix_socket_directories": directory, "shared_buffers": "16MB"}
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [*as_user, server, "-D", data, "-h", "127.0.0.1", "-p", port, *arguments]
        with running(command, lambda: _answers(port), log=directory / "server.log"):
            yield Postgres("127.0.0.1", port)


def _answers(port: int) -> bool:
    """It listens before it lets anybody in, and says so."""
    if not accepts(port):
        return False
    ready = binary("pg_isready", "postgresql-client", _PATH)
    return subprocess.run([ready, "-q", "-h", "127.0.0.1", "-p", str(port)], check=False).returncode == 0
