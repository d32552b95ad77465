"""A ClickHouse server or cluster behind the native protocol, through clickhouse-driver."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from clickhouse_driver import defines, errors
from clickhouse_driver.block import BlockInfo, ColumnOrientedBlock
from clickhouse_driver.connection import Connection
from clickhouse_driver.protocol import ServerPacketTypes
from clickhouse_driver.reader import read_binary_str, read_binary_uint8
from clickhouse_driver.streams.compressed import CompressedBlockInputStream, CompressedBlockOutputStream
from clickhouse_driver.streams.native import BlockInputStream, BlockOutputStream
from clickhouse_driver.varint import read_varint, write_varint
from clickhouse_driver.writer import write_binary_str, write_binary_uint8

from . import native_block
from .columns import column
from .engine import StoreBusy, StoreError
from .errors import classify
from .parameters import serialize, with_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_UNKNOWN_DATABASE = 81
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CLIENT_SETTINGS = {
    "insert_block_size": 1 << 20,
    "strings_as_bytes": False,
    "strings_encoding": "utf-8",
    "use_numpy": False,
    "opentelemetry_traceparent": None,
    "opentelemetry_tracestate": "",
    "quota_key": "",
    "input_format_null_as_default": False,
    "namedtuple_as_json": True,
    "server_side_params": True,
}
_TRUE = frozenset({"1", "true", "yes"})
_OPTIONS: dict[str, Callable[[str], Any]] = {
    "secure": lambda text: text.lower() in _TRUE,
    "verify": lambda text: text.lower() in _TRUE,
    "compression": lambda text: text if text in ("lz4", "lz4hc", "zstd") else text.lower() in _TRUE,
    "ca_certs": str,
    "certfile": str,
    "keyfile": str,
    "server_hostname": str,
    "alt_hosts": str,
    "connect_timeout": float,
    "send_receive_timeout": float,
}


class _Text:
    """A serialized parameter. The driver quotes what is no str as it is, and would escape a str twice."""

    def __init__(self, value: Any) -> None:
        self._text = serialize(value).replace("\\", "\\\\").replace("'", "\\'")

    def __str__(self) -> str:
        return self._text


class _In(BlockInputStream):  # type: ignore[misc]
    """The driver's block reader, with the values of `columns`."""

    def read(self, use_numpy: bool | None = None) -> ColumnOrientedBlock:  # noqa: ARG002 - the driver passes it
        revision = self.context.server_info.used_revision
        info = BlockInfo()
        if revision >= defines.DBMS_MIN_REVISION_WITH_BLOCK_INFO:
            info.read(self.fin)
        width = read_varint(self.fin)
        rows = read_varint(self.fin)
        header = []
        data = []
        for _ in range(width):
            name = read_binary_str(self.fin)
            spec = read_binary_str(self.fin)
            custom = revision >= defines.DBMS_MIN_REVISION_WITH_CUSTOM_SERIALIZATION and bool(
                read_binary_uint8(self.fin)
            )
            header.append((name, spec))
            if rows:
                source = column(spec, self.context, custom=custom)
                source.read_state_prefix(self.fin)
                data.append(source.read_data(rows, self.fin))
        return ColumnOrientedBlock(columns_with_types=header, data=data, info=info)


class _Out(BlockOutputStream):  # type: ignore[misc]
    """The driver's block writer, with the values of `columns`."""

    def write(self, block: ColumnOrientedBlock) -> None:
        revision = self.context.server_info.used_revision
        if revision >= defines.DBMS_MIN_REVISION_WITH_BLOCK_INFO:
            block.info.write(self.fout)
        write_varint(block.num_columns, self.fout)
        write_varint(block.num_rows, self.fout)
        for (name, spec), values in zip(block.columns_with_types, block.data, strict=True):
            write_binary_str(name, self.fout)
            write_binary_str(spec, self.fout)
            if revision >= defines.DBMS_MIN_REVISION_WITH_CUSTOM_SERIALIZATION:
                write_binary_uint8(0, self.fout)
            target = column(spec, self.context)
            target.write_state_prefix(self.fout, values)
            target.write_data(values, self.fout)
        self.finalize()


class _CompressedIn(_In, CompressedBlockInputStream):  # type: ignore[misc]
    pass


class _CompressedOut(_Out, CompressedBlockOutputStream):  # type: ignore[misc]
    pass


class _Connection(Connection):  # type: ignore[misc]
    """One connection. Not thread-safe; after an error its state is unknown and it must be closed."""

    def get_block_in_stream(self) -> BlockInputStream:
        if self.compression:
            return _CompressedIn(self.fin, self.context)
        return _In(self.fin, self.context)

    def get_block_out_stream(self) -> BlockOutputStream:
        if self.compression:
            return _CompressedOut(self.compressor_cls, self.compress_block_size, self.fout, self.context)
        return _Out(self.fout, self.context)

    def run(self, sql: str, params: Mapping[str, Any]) -> dict[str, list[Any]]:
        self._begin(sql, params)
        result: dict[str, list[Any]] = {}
        while True:
            packet = self.receive_packet()
            if packet.type == ServerPacketTypes.DATA:
                self._collect(packet.block, result)
            elif packet.type == ServerPacketTypes.EXCEPTION:
                raise packet.exception
            elif packet.type == ServerPacketTypes.END_OF_STREAM:
                return result

    def insert(self, sql: str, columns: native_block.Columns) -> None:
        self._begin(sql, {})
        sample = self._await_block()
        values = []
        for name, _ in sample.columns_with_types:
            values.append(columns[name][1])
        self.send_data(ColumnOrientedBlock(sample.columns_with_types, values))
        self.send_data(ColumnOrientedBlock())
        while True:
            packet = self.receive_packet()
            if packet.type == ServerPacketTypes.EXCEPTION:
                raise packet.exception
            if packet.type == ServerPacketTypes.END_OF_STREAM:
                return

    def _begin(self, sql: str, params: Mapping[str, Any]) -> None:
        self.force_connect()
        self.server_info.session_timezone = None
        self.send_query(sql, params=params)
        self.send_external_tables(None)

    def _await_block(self) -> ColumnOrientedBlock:
        while True:
            packet = self.receive_packet()
            if packet.type == ServerPacketTypes.DATA:
                return packet.block
            if packet.type == ServerPacketTypes.EXCEPTION:
                raise packet.exception
            if packet.type == ServerPacketTypes.END_OF_STREAM:
                raise errors.UnexpectedPacketFromServerError("the server ended the INSERT before it took data")

    @staticmethod
    def _collect(block: ColumnOrientedBlock, result: dict[str, list[Any]]) -> None:
        for index, (name, _) in enumerate(block.columns_with_types):
            values = result.setdefault(name, [])
            if block.num_rows:
                values.extend(block.data[index])


class Server:
    """The engine behind `clickhouse://user:password@host:9000/database?secure=1`. The database is created if it is missing.

    Options in the URL: secure, verify, compression (1, lz4, zstd), ca_certs, certfile, keyfile, server_hostname,
    alt_hosts (host:port,host:port), connect_timeout, send_receive_timeout (seconds). `clickhouses://` is `secure=1`.
    Connections are made when they are needed, one per concurrent call, and kept. The password is in no message.
    """

    def __init__(self, url: str) -> None:
        self._options = parse_url(url)
        self._lock = threading.Lock()
        self._idle: list[_Connection] = []
        self._closed = False
        self._ensure_database()

    def __repr__(self) -> str:
        options = self._options
        return f"Server({options['user']}@{options['host']}:{options['port']}/{options['database']})"

    def query(
        self, sql: str, params: Mapping[str, Any] | None = None, settings: Mapping[str, float] | None = None
    ) -> dict[str, list[Any]]:
        texts = {name: _Text(value) for name, value in params.items()} if params else {}
        with self._connection() as connection:
            return connection.run(with_settings(sql, settings), texts)

    def command(self, sql: str) -> None:
        with self._connection() as connection:
            connection.run(sql, {})

    def insert(self, table: str, columns: native_block.Columns, token: str = "") -> None:
        sizes = {len(values) for _, values in columns.values()}
        if len(sizes) != 1:
            raise StoreError(f"the columns of a block for {table} differ in length")
        with self._connection() as connection:
            connection.insert(f"{native_block.insert_statement(table, columns, token)} VALUES", columns)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.disconnect()

    @contextmanager
    def _connection(self) -> Iterator[_Connection]:
        with self._lock:
            if self._closed:
                raise StoreError("the store is closed")
            connection = self._idle.pop() if self._idle else self._new(self._options["database"])
        try:
            yield connection
        except BaseException as error:
            connection.disconnect()
            if isinstance(error, Exception):
                raise self._error(error) from None
            raise
        with self._lock:
            keep = not self._closed
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.disconnect()

    def _new(self, database: str) -> _Connection:
        connection = _Connection(**{**self._options, "database": database})
        connection.context.settings = {}
        connection.context.client_settings = _CLIENT_SETTINGS
        return connection

    def _error(self, error: Exception) -> StoreError:
        text = str(error)
        password = self._options["password"]
        if password:
            text = text.replace(password, "***")
        where = f"{self._options['host']}:{self._options['port']}"
        if isinstance(error, errors.ServerException):
            return classify(text.split("Stack trace:")[0], error.code)
        if isinstance(error, (OSError, EOFError, errors.NetworkError, errors.SocketTimeoutError)):
            return StoreBusy(f"ClickHouse at {where} cannot be reached: {text}")
        if isinstance(error, (errors.UnexpectedPacketFromServerError, errors.UnknownPacketFromServerError)):
            return StoreBusy(f"ClickHouse at {where} answered out of turn: {text}")
        return StoreError(f"ClickHouse at {where}: {text}")

    def _ensure_database(self) -> None:
        database = self._options["database"]
        try:
            self.command("SELECT 1")
        except StoreError as error:
            if not str(error).startswith(f"Code: {_UNKNOWN_DATABASE}."):
                raise
            connection = self._new("")
            try:
                connection.run(f"CREATE DATABASE IF NOT EXISTS `{database}`", {})
            except Exception as failure:  # noqa: BLE001 - the driver raises its own, OSError, EOFError, struct.error
                raise self._error(failure) from None
            finally:
                connection.disconnect()


def parse_url(url: str) -> dict[str, Any]:
    """Arguments for a connection. Raises StoreError, without the URL in the message: it may hold a password."""
    try:
        parts = urlsplit(url)
        port = parts.port
        given = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    except ValueError:
        raise StoreError(
            "the store's URL cannot be parsed; write clickhouse://user:password@host:9000/database"
        ) from None
    if not parts.hostname:
        raise StoreError("the store's URL has no host; write clickhouse://user:password@host:9000/database")
    database = unquote(parts.path.strip("/")) or "fluoro"
    if not _NAME.fullmatch(database):
        raise StoreError("the database in the store's URL may have letters, digits and _ only")
    unknown = sorted(given.keys() - _OPTIONS.keys())
    if unknown:
        raise StoreError(f"unknown option in the store's URL: {', '.join(unknown)}; known are {', '.join(_OPTIONS)}")
    options: dict[str, Any] = {"secure": parts.scheme == "clickhouses", "connect_timeout": 5.0}
    for name, text in given.items():
        try:
            options[name] = _OPTIONS[name](text)
        except ValueError:
            raise StoreError(f"option {name} in the store's URL must be a number") from None
    return {
        "host": parts.hostname,
        "port": port or (9440 if options["secure"] else 9000),
        "user": unquote(parts.username or "default"),
        "password": unquote(parts.password or ""),
        "database": database,
        **options,
    }
