"""ClickHouse's native protocol in front of the embedded engine: the server that the store's contract kit talks to.

It is the server's half of the wire only: Hello, Ping, Query with settings and parameters, blocks of data both ways, plain or
compressed, exceptions, end of stream. What it answers comes from a real engine. Run it as a process (`running_front`), since a
process can own one data directory.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clickhouse_driver import defines
from clickhouse_driver.block import BlockInfo
from clickhouse_driver.bufferedreader import BufferedSocketReader
from clickhouse_driver.bufferedwriter import BufferedSocketWriter
from clickhouse_driver.compression import get_compressor_cls
from clickhouse_driver.protocol import ClientPacketTypes, ServerPacketTypes
from clickhouse_driver.reader import read_binary_str, read_binary_uint8, read_binary_uint64, read_binary_uint128
from clickhouse_driver.streams.compressed import CompressedBlockInputStream, CompressedBlockOutputStream
from clickhouse_driver.varint import read_varint, write_varint
from clickhouse_driver.writer import write_binary_int32, write_binary_str, write_binary_uint8, write_binary_uint64

from fluoro_collector.store import native_block
from fluoro_collector.store.columns import column
from fluoro_collector.store.embedded import insert_block

REVISION = defines.CLIENT_REVISION
_INSERT = re.compile(
    r"\s*(?P<statement>INSERT\s+INTO\s+(?P<table>[\w.`]+)\s*\((?P<columns>[^)]*)\)\s*(SETTINGS\b.*)?)VALUES\s*$",
    re.IGNORECASE | re.DOTALL,
)
_ERROR = re.compile(r"Code: (\d+)\. (.*)", re.DOTALL)
_UNESCAPED = {
    "b": "\b",
    "f": "\f",
    "r": "\r",
    "n": "\n",
    "t": "\t",
    "0": "\0",
    "a": "\a",
    "v": "\v",
    "\\": "\\",
    "'": "'",
}


class RefusedError(Exception):
    """An error that goes to the client as an Exception packet."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Session:
    """One TCP connection, which is one connection of the engine."""

    def __init__(self, peer: socket.socket, engine: Any, password: str) -> None:
        self.fin = BufferedSocketReader(peer, 1 << 16)
        self.fout = BufferedSocketWriter(peer, 1 << 16)
        self.engine = engine
        self.password = password

    def serve(self) -> None:
        try:
            self._hello()
            while True:
                packet = read_varint(self.fin)
                if packet == ClientPacketTypes.PING:
                    write_varint(ServerPacketTypes.PONG, self.fout)
                    self.fout.flush()
                elif packet == ClientPacketTypes.QUERY:
                    self._query()
                elif packet == ClientPacketTypes.CANCEL:
                    continue
                else:
                    raise ConnectionError(f"unexpected packet {packet}")
        except RefusedError as error:
            self._exception(error)

    def _hello(self) -> None:
        if read_varint(self.fin) != ClientPacketTypes.HELLO:
            raise ConnectionError("no Hello")
        read_binary_str(self.fin)
        for _ in range(3):
            read_varint(self.fin)
        database, user, password = (read_binary_str(self.fin) for _ in range(3))
        if password != self.password:
            raise RefusedError(516, f"DB::Exception: {user}: Authentication failed: password is incorrect")
        if database:
            self._run(f"USE `{database}`")
        out = self.fout
        write_varint(ServerPacketTypes.HELLO, out)
        write_binary_str("fluoro test front", out)
        for number in (26, 9, REVISION):
            write_varint(number, out)
        write_binary_str("UTC", out)
        write_binary_str("front", out)
        write_varint(2, out)
        write_varint(0, out)
        write_binary_uint64(0, out)
        out.flush()
        read_binary_str(self.fin)  # addendum: quota key

    def _run(self, sql: str, params: dict[str, str] | None = None) -> bytes:
        try:
            return bytes(self.engine.query(sql, "Native", params=params or {}).bytes())
        except RuntimeError as error:
            raise self._refused(error) from None

    @staticmethod
    def _refused(error: RuntimeError) -> RefusedError:
        found = _ERROR.match(str(error))
        return RefusedError(int(found.group(1)), found.group(2)) if found else RefusedError(1001, str(error))

    def _query(self) -> None:
        read_binary_str(self.fin)
        self._client_info()
        settings = self._pairs()
        read_binary_str(self.fin)  # interserver secret
        read_varint(self.fin)  # stage
        compressed = bool(read_varint(self.fin))
        sql = read_binary_str(self.fin)
        params = {name: _undump(value) for name, value in self._pairs().items()}
        reader = self._block_reader(compressed)
        while self._data(reader):
            pass  # external tables: none are used
        try:
            for name, value in settings.items():
                self._run(f"SET {name} = '{value}'")
            insert = _INSERT.match(sql)
            if insert:
                self._insert(insert, reader, compressed)
            else:
                self._send_blocks(self._run(sql, params) or self._header(sql, params), compressed)
                write_varint(ServerPacketTypes.END_OF_STREAM, self.fout)
                self.fout.flush()
        except RefusedError as error:
            self._exception(error)

    def _header(self, sql: str, params: dict[str, str]) -> bytes:
        """A server sends the columns of an answer even if it has no rows; a statement that is no SELECT has none."""
        try:
            described = native_block.decode(self._run(f"DESCRIBE TABLE ({sql})", params))
        except RefusedError:
            return b""
        return native_block.encode(
            {name: (spec, []) for name, spec in zip(described["name"], described["type"], strict=True)}
        )

    def _insert(self, insert: re.Match[str], reader: Any, compressed: bool) -> None:
        described = native_block.decode(self._run(f"DESCRIBE TABLE {insert['table']}"))
        types = dict(zip(described["name"], described["type"], strict=True))
        names = [name.strip().strip("`") for name in insert["columns"].split(",")]
        missing = [name for name in names if name not in types]
        if missing:
            raise RefusedError(
                16, f"DB::Exception: No such column {missing[0]} in table {insert['table']}. (NO_SUCH_COLUMN_IN_TABLE)"
            )
        header = {name: (types[name], []) for name in names}
        self._send_blocks(native_block.encode(header), compressed)
        self.fout.flush()
        blocks = []
        while True:
            if read_varint(self.fin) != ClientPacketTypes.DATA:
                raise ConnectionError("an INSERT needs data")
            block = self._data(reader, announced=True)
            if not block:
                break
            blocks.append(block)
        try:
            for block in blocks:
                insert_block(
                    self.engine, insert["statement"], {name: types[name] for name in names}, native_block.encode(block)
                )
        except RuntimeError as error:
            raise self._refused(error) from None
        write_varint(ServerPacketTypes.END_OF_STREAM, self.fout)
        self.fout.flush()

    def _block_reader(self, compressed: bool) -> Any:
        return CompressedBlockInputStream(self.fin, None).fin if compressed else self.fin

    def _data(self, fin: Any, *, announced: bool = False) -> dict[str, tuple[str, Any]]:
        """One Data packet; {} is the empty block that ends a series."""
        if not announced and read_varint(self.fin) != ClientPacketTypes.DATA:
            raise ConnectionError("expected Data")
        read_binary_str(self.fin)  # name of the external table
        BlockInfo().read(fin)
        width = read_varint(fin)
        rows = read_varint(fin)
        block = {}
        for _ in range(width):
            name = read_binary_str(fin)
            spec = read_binary_str(fin)
            if read_binary_uint8(fin):
                raise ConnectionError("custom serialization is not spoken here")
            source = column(spec)
            if rows:
                source.read_state_prefix(fin)
                block[name] = (spec, list(source.read_data(rows, fin)))
        return block

    def _send_blocks(self, data: bytes, compressed: bool) -> None:
        """Blocks in the engine's file form, each sent as a Data packet. The values travel as the bytes the engine wrote."""
        for rows, columns in native_block.raw_blocks(data):
            write_varint(ServerPacketTypes.DATA, self.fout)
            write_binary_str("", self.fout)
            stream = (
                CompressedBlockOutputStream(get_compressor_cls("lz4"), 1 << 20, self.fout, None) if compressed else None
            )
            out = stream.fout if stream else self.fout
            BlockInfo().write(out)
            write_varint(len(columns), out)
            write_varint(rows, out)
            for name, spec, raw in columns:
                write_binary_str(name, out)
                write_binary_str(spec, out)
                write_binary_uint8(0, out)
                out.write(raw)
            if stream:
                stream.finalize()

    def _exception(self, error: RefusedError) -> None:
        write_varint(ServerPacketTypes.EXCEPTION, self.fout)
        write_binary_int32(error.code, self.fout)
        write_binary_str("DB::Exception", self.fout)
        write_binary_str(str(error), self.fout)
        write_binary_str("", self.fout)
        write_binary_uint8(0, self.fout)
        self.fout.flush()

    def _pairs(self) -> dict[str, str]:
        pairs = {}
        while name := read_binary_str(self.fin):
            read_binary_uint8(self.fin)
            pairs[name] = read_binary_str(self.fin)
        return pairs

    def _client_info(self) -> None:
        fin = self.fin
        if not read_binary_uint8(fin):
            return
        for _ in range(3):
            read_binary_str(fin)
        read_binary_uint64(fin)
        read_binary_uint8(fin)
        for _ in range(3):
            read_binary_str(fin)
        for _ in range(3):
            read_varint(fin)
        read_binary_str(fin)
        for _ in range(2):
            read_varint(fin)
        if read_binary_uint8(fin):
            read_binary_uint128(fin)
            read_binary_uint64(fin)
            read_binary_str(fin)
            read_binary_uint8(fin)
        for _ in range(3):
            read_varint(fin)


def _undump(text: str) -> str:
    """A parameter as it travels, a quoted literal, to the text that the engine parses."""
    return re.sub(r"\\(.)", lambda found: _UNESCAPED.get(found[1], found[0]), text[1:-1], flags=re.DOTALL)


def serve(directory: str, port: int, password: str) -> None:
    """Answer until SIGTERM. Prints the port it listens on."""
    from fluoro_collector.store.embedded import Embedded

    engine = Embedded(directory)
    listener = socket.create_server(("127.0.0.1", port))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()

    def session(peer: socket.socket) -> None:
        with peer, engine._connection() as connection, contextlib.suppress(EOFError, OSError):
            connection.query("USE default", "Native")
            Session(peer, connection, password).serve()

    try:
        while True:
            peer, _ = listener.accept()
            threading.Thread(target=session, args=(peer,), daemon=True).start()
    finally:
        engine.close()
        os._exit(0)  # sessions may hold connections; every statement they finished is on disk


@contextlib.contextmanager
def running_front(directory: Path, *, port: int = 0, password: str = "") -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """A front in a process of its own over `directory`: (port, process). It ends with the block."""
    paths = [str(Path(__file__).parent.parent / part) for part in ("sdk", "collector")]
    command = [sys.executable, __file__, "--data", str(directory), "--port", str(port), "--password", password]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": ":".join(paths), "PATH": ""}
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the front did not start"
        yield int(line), process
    finally:
        process.terminate()
        process.wait(30)
        assert process.stdout is not None
        process.stdout.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--password", default="")
    arguments = parser.parse_args()
    serve(arguments.data, arguments.port, arguments.password)
