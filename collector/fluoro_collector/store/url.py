"""The store's URL: `clickhouse://user:password@host1:9000,host2:9000/database?cluster=NAME&secure=1`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from .engine import StoreError

SCHEMES = ("clickhouse://", "clickhouses://")
EXAMPLE = "clickhouse://user:password@host:9000/database"
PORT = 9000
SECURE_PORT = 9440

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# A cluster's name is written into statements between quotes.
_CLUSTER = re.compile(r"[A-Za-z0-9_.{}-]{1,100}")
_TRUE = frozenset({"1", "true", "yes"})
_OPTIONS: dict[str, Callable[[str], Any]] = {
    "secure": lambda text: text.lower() in _TRUE,
    "verify": lambda text: text.lower() in _TRUE,
    "compression": lambda text: text if text in ("lz4", "lz4hc", "zstd") else text.lower() in _TRUE,
    "ca_certs": str,
    "certfile": str,
    "keyfile": str,
    "server_hostname": str,
    "connect_timeout": float,
    "send_receive_timeout": float,
}
_OWN = ("alt_hosts", "cluster")  # what the driver is not told


@dataclass(frozen=True)
class Target:
    """What a URL names. `options` are arguments of the driver's connection; `cluster` is "" for servers without one."""

    hosts: tuple[tuple[str, int], ...]
    user: str
    password: str = field(repr=False)
    database: str
    cluster: str
    options: dict[str, Any]

    def __str__(self) -> str:
        """For people and logs; without the password."""
        hosts = ",".join(f"{host}:{port}" for host, port in self.hosts)
        return f"{hosts}/{self.database}" + (f" (cluster {self.cluster})" if self.cluster else "")


def parse_url(url: str) -> Target:
    """Raises StoreError, without the URL in the message: it may hold a password."""
    try:
        parts = urlsplit(url)
        given = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    except ValueError:
        raise StoreError(f"the store's URL cannot be parsed; write {EXAMPLE}") from None
    unknown = sorted(given.keys() - _OPTIONS.keys() - set(_OWN))
    if unknown:
        known = ", ".join((*_OWN, *_OPTIONS))
        raise StoreError(f"unknown option in the store's URL: {', '.join(unknown)}; known are {known}")
    options: dict[str, Any] = {"secure": parts.scheme == "clickhouses", "connect_timeout": 5.0}
    for name, text in given.items():
        if name in _OPTIONS:
            try:
                options[name] = _OPTIONS[name](text)
            except ValueError:
                raise StoreError(f"option {name} in the store's URL must be a number") from None
    if options.get("compression") == "zstd" and not find_spec("zstd"):
        raise StoreError("compression=zstd in the store's URL needs the package zstd (pip install zstd); lz4 is there")
    credentials, _, names = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    port = SECURE_PORT if options["secure"] else PORT
    listed = [name for name in f"{names},{given.get('alt_hosts', '')}".split(",") if name]
    hosts = tuple(dict.fromkeys(_host(name, port) for name in listed))
    if not names or not hosts:
        raise StoreError(f"the store's URL has no host; write {EXAMPLE}")
    database = unquote(parts.path.strip("/")) or "fluoro"
    if not _NAME.fullmatch(database):
        raise StoreError("the database in the store's URL may have letters, digits and _ only")
    cluster = given.get("cluster", "")
    if cluster and not _CLUSTER.fullmatch(cluster):
        raise StoreError("the cluster in the store's URL may have letters, digits and _.- only")
    return Target(hosts, unquote(user) or "default", unquote(password), database, cluster, options)


def _host(text: str, port: int) -> tuple[str, int]:
    """`db.internal:9000`, `db.internal`, `[::1]:9000`."""
    try:
        parts = urlsplit(f"//{text}")
        name, given = parts.hostname, parts.port
    except ValueError:
        name, given = None, None
    if not name:
        raise StoreError(f"a host in the store's URL cannot be parsed; write {EXAMPLE}")
    return name, given or port
