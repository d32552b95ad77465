"""A ClickHouse server or cluster behind the native protocol, through clickhouse-driver."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from clickhouse_driver import errors

from . import native_block
from .engine import StoreBusy, StoreError
from .errors import NOT_HERE_CODES, UNSURE_CODES, classify
from .parameters import with_settings
from .url import Target, parse_url
from .wire import Text, WireConnection

# Every failed attempt to connect is a traceback there; what it means for us is in our own errors.
logging.getLogger("clickhouse_driver").setLevel(logging.CRITICAL)

T = TypeVar("T")
Host = tuple[str, int]

UNKNOWN_DATABASE = 81
# A mutation or a statement ON CLUSTER is answered when it is done, and the server is silent until then.
_COMMAND_TIMEOUT_S = 3600.0
_ANSWER_TIMEOUT_S = 30.0

# Rows are acknowledged when the shards have them. A subquery sees the whole cluster, wherever its rows lie; a statement
# whose subqueries need rows of their own shard only may say 'local' (store/cluster.py).
_CLUSTER_SETTINGS = {"insert_distributed_sync": 1, "distributed_product_mode": "global"}


class Server:
    """The engine behind `clickhouse://user:password@host:9000/database?secure=1`. The database is created if it is missing.

    Several hosts, `host1:9000,host2:9000`, are replicas or shards of one cluster: when one is gone, read-only or silent,
    the next is asked. A question and an insert with a token are asked again wherever the connection broke; an insert
    without a token only when the host had refused it before it took data.

    Options in the URL: cluster (the tables are Distributed over it: store/cluster.py), secure, verify, compression (1, lz4,
    zstd), ca_certs, certfile, keyfile, server_hostname, alt_hosts (host:port,host:port: more hosts), connect_timeout,
    send_receive_timeout (seconds of silence). `clickhouses://` is `secure=1`.
    Connections are made when they are needed, one per concurrent call, and kept. The password is in no message.
    """

    def __init__(self, url: str, *, create: bool = True) -> None:
        """`create=False` leaves a missing database missing: then every statement fails. Raises StoreError, StoreBusy."""
        self.target: Target = parse_url(url)
        self.cluster = self.target.cluster
        self._lock = threading.Lock()
        self._idle: dict[Host, list[WireConnection]] = {host: [] for host in self.target.hosts}
        self._preferred = 0  # index of the host that answered last
        self._closed = False
        if create:
            self._ensure_database()

    def __repr__(self) -> str:
        return f"Server({self.target.user}@{self.target})"

    def query(
        self, sql: str, params: Mapping[str, Any] | None = None, settings: Mapping[str, float] | None = None
    ) -> dict[str, list[Any]]:
        texts = {name: Text(value) for name, value in params.items()} if params else {}
        statement = with_settings(sql, settings)
        return self._call(lambda connection: connection.run(statement, texts), repeatable=True)

    def command(self, sql: str, params: Mapping[str, Any] | None = None) -> None:
        texts = {name: Text(value) for name, value in params.items()} if params else {}
        self._call(lambda connection: connection.run(sql, texts, _COMMAND_TIMEOUT_S), repeatable=False)

    def insert(self, table: str, columns: native_block.Columns, token: str = "") -> None:
        sizes = {len(values) for _, values in columns.values()}
        if len(sizes) != 1:
            raise StoreError(f"the columns of a block for {table} differ in length")
        statement = f"{native_block.insert_statement(table, columns, token)} VALUES"
        self._call(lambda connection: connection.insert(statement, columns), repeatable=bool(token))

    def each_host(self, sql: str) -> Iterator[tuple[str, dict[str, list[Any]] | StoreError]]:
        """(host:port, answer or error) of every host: for checks of a whole cluster."""
        for index, (host, port) in enumerate(self.target.hosts):
            try:
                yield (
                    f"{host}:{port}",
                    self._call(lambda connection: connection.run(sql, {}), repeatable=True, only=index),
                )
            except StoreError as error:
                yield f"{host}:{port}", error

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle = [connection for each in self._idle.values() for connection in each]
            self._idle = {host: [] for host in self.target.hosts}
        for connection in idle:
            connection.disconnect()

    def _call(self, work: Callable[[WireConnection], T], *, repeatable: bool, only: int | None = None) -> T:
        """`work` on the first host that can do it."""
        count = len(self.target.hosts)
        order = [only] if only is not None else [(self._preferred + step) % count for step in range(count)]
        failure = StoreError("no host")  # never seen: a URL has one
        for index in order:
            host = self.target.hosts[index]
            connection: WireConnection | None = None
            try:
                connection = self._take(host)
                result = work(connection)
            except BaseException as error:
                if connection is not None:
                    connection.disconnect()
                if isinstance(error, StoreError) or not isinstance(error, Exception):
                    raise
                failure = self._error(error, host)
                if not _elsewhere(error, repeatable=repeatable or connection is None):
                    raise failure from None
                continue
            self._give_back(host, connection)
            self._preferred = index if only is None else self._preferred
            return result
        raise failure from None

    def _take(self, host: Host) -> WireConnection:
        while True:
            with self._lock:
                if self._closed:
                    raise StoreError("the store is closed")
                idle = self._idle[host]
                connection = idle.pop() if idle else None
            if connection is None:
                return self._connect(host, self.target.database)
            if connection.alive():
                return connection
            connection.disconnect()

    def _give_back(self, host: Host, connection: WireConnection) -> None:
        with self._lock:
            keep = not self._closed
            if keep:
                self._idle[host].append(connection)
        if not keep:
            connection.disconnect()

    def _connect(self, host: Host, database: str) -> WireConnection:
        target = self.target
        options = {
            "send_receive_timeout": _ANSWER_TIMEOUT_S,
            "sync_request_timeout": target.options["connect_timeout"],
            **target.options,
            "user": target.user,
            "password": target.password,
            "database": database,
        }
        settings: dict[str, Any] = dict(_CLUSTER_SETTINGS) if self.cluster else {}
        if target.options.get("compression"):
            # What the server compresses with is its own default otherwise, and the driver may lack that library.
            settings["network_compression_method"] = "zstd" if target.options["compression"] == "zstd" else "lz4"
        connection = WireConnection(*host, settings, options)
        try:
            connection.open()
        except BaseException:
            connection.disconnect()
            raise
        return connection

    def _error(self, error: Exception, host: Host) -> StoreError:
        text = str(error)
        if self.target.password:
            text = text.replace(self.target.password, "***")
        where = f"{host[0]}:{host[1]}"
        if isinstance(error, errors.ServerException):
            return classify(text.split("Stack trace:")[0], error.code)
        if isinstance(error, (OSError, EOFError, errors.NetworkError, errors.SocketTimeoutError)):
            return StoreBusy(f"ClickHouse at {where} cannot be reached: {text}")
        if isinstance(error, (errors.UnexpectedPacketFromServerError, errors.UnknownPacketFromServerError)):
            return StoreBusy(f"ClickHouse at {where} answered out of turn: {text}")
        return StoreError(f"ClickHouse at {where}: {text}")

    def _ensure_database(self) -> None:
        try:
            self.command("SELECT 1")
        except StoreError as error:
            if not str(error).startswith(f"Code: {UNKNOWN_DATABASE}."):
                raise
            host = self.target.hosts[self._preferred]
            connection: WireConnection | None = None
            try:
                connection = self._connect(host, "")
                connection.run(create_database(self.target), {}, _COMMAND_TIMEOUT_S)
            except Exception as failure:  # noqa: BLE001 - the driver raises its own, OSError, EOFError, struct.error
                raise self._error(failure, host) from None
            finally:
                if connection is not None:
                    connection.disconnect()


def create_database(target: Target) -> str:
    """The statement that creates the database of a URL."""
    where = f" ON CLUSTER '{target.cluster}'" if target.cluster else ""
    return f"CREATE DATABASE IF NOT EXISTS `{target.database}`{where}"


def _elsewhere(error: Exception, *, repeatable: bool) -> bool:
    """Whether another host may be asked after this."""
    if isinstance(error, errors.ServerException):
        return error.code in NOT_HERE_CODES or (repeatable and error.code in UNSURE_CODES)
    lost = (
        OSError,
        EOFError,
        errors.NetworkError,
        errors.SocketTimeoutError,
        errors.UnexpectedPacketFromServerError,
        errors.UnknownPacketFromServerError,
    )
    return repeatable and isinstance(error, lost)
