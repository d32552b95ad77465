"""One connection of clickhouse-driver that speaks in whole columns, with the values of `columns`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
from .parameters import serialize

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


class Text:
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


class WireConnection(Connection):  # type: ignore[misc]
    """Not thread-safe; after an error its state is unknown and it must be closed."""

    def __init__(self, host: str, port: int, settings: Mapping[str, Any], options: Mapping[str, Any]) -> None:
        """`settings` are ClickHouse's, sent with every statement; `options` the driver's. Connects when it is used."""
        self.send_receive_timeout: float
        super().__init__(host, port, **options)
        self.context.settings = dict(settings)
        self.context.client_settings = _CLIENT_SETTINGS

    def open(self) -> None:
        """Connect. A host that accepts and then says nothing (stopped, overloaded) costs `connect_timeout`, like one that is gone."""
        patience: float = self.send_receive_timeout
        self.send_receive_timeout = self.connect_timeout
        try:
            self.connect()
        finally:
            self.send_receive_timeout = patience
        self.socket.settimeout(patience)

    def alive(self) -> bool:
        """Whether the other side still answers; it may have restarted while the connection was idle."""
        try:
            return bool(self.ping())
        except errors.Error:
            return False

    def get_block_in_stream(self) -> BlockInputStream:
        if self.compression:
            return _CompressedIn(self.fin, self.context)
        return _In(self.fin, self.context)

    def get_block_out_stream(self) -> BlockOutputStream:
        if self.compression:
            return _CompressedOut(self.compressor_cls, self.compress_block_size, self.fout, self.context)
        return _Out(self.fout, self.context)

    def run(self, sql: str, params: Mapping[str, Any], timeout_s: float | None = None) -> dict[str, list[Any]]:
        """All rows of an answer by column. `timeout_s` bounds the silence of the server; None = `send_receive_timeout`."""
        if timeout_s is not None:
            with self.timeout_setter(timeout_s):
                return self.run(sql, params)
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
