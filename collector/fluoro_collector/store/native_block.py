"""ClickHouse's `Native` format: a block is the number of columns and rows, then each column's name, type and values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from clickhouse_driver.bufferedreader import BufferedReader
from clickhouse_driver.bufferedwriter import BufferedSocketWriter
from clickhouse_driver.reader import read_binary_str, read_varint
from clickhouse_driver.varint import write_varint
from clickhouse_driver.writer import write_binary_str

from .columns import column

Columns = Mapping[str, tuple[str, Sequence[Any]]]


class _Parts:
    """The "socket" behind the compiled writer: keeps what it is sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        self.sent.append(data)


class _Reader(BufferedReader):  # type: ignore[misc]
    """Reads one complete answer from memory."""

    def read_into_buffer(self) -> None:
        raise EOFError("the block ends early")


def insert_statement(table: str, columns: Columns, token: str) -> str:
    """`INSERT INTO table (a, b) SETTINGS …`, without the data.

    With a token the block is written as it is: merging copies inside one block would double the cost of an insert, and
    an asynchronous insert would be acknowledged for another block than the token's.
    """
    names = ", ".join(f"`{name}`" for name in columns)
    statement = f"INSERT INTO {table} ({names})"
    if token:
        escaped = token.replace("\\", "\\\\").replace("'", "\\'")
        statement += (
            " SETTINGS async_insert = 0, optimize_on_insert = 0, max_partitions_per_insert_block = 0, insert_deduplicate = 1, "
            f"insert_deduplication_token = '{escaped}'"
        )
    return statement


def encode(columns: Columns) -> bytes:
    """One block. Raises TypeError, ValueError, struct.error, UnicodeEncodeError or the driver's errors on values that do not fit."""
    parts = _Parts()
    writer = BufferedSocketWriter(parts, 1 << 20)
    rows = len(next(iter(columns.values()))[1])
    write_varint(len(columns), writer)
    write_varint(rows, writer)
    for name, (spec, values) in columns.items():
        if len(values) != rows:
            raise ValueError(f"column {name} has {len(values)} values, the first column has {rows}")
        write_binary_str(name, writer)
        write_binary_str(spec, writer)
        if rows:
            target = column(spec)
            target.write_state_prefix(writer, values)
            target.write_data(values, writer)
    writer.flush()
    return b"".join(parts.sent)


def decode(data: bytes) -> dict[str, list[Any]]:
    """All blocks of an answer, joined: columns by name, in order. No bytes, no columns: the engine sends no header without rows."""
    result: dict[str, list[Any]] = {}
    for _, columns in _blocks(data):
        for name, _, values, _ in columns:
            result.setdefault(name, []).extend(values)
    return result


def raw_blocks(data: bytes) -> Iterator[tuple[int, list[tuple[str, str, bytes]]]]:
    """Each block as its number of rows and its columns (name, type, bytes of the values), to send them on as they are."""
    for rows, columns in _blocks(data):
        yield rows, [(name, spec, data[place]) for name, spec, _, place in columns]


def _blocks(data: bytes) -> Iterator[tuple[int, list[tuple[str, str, Sequence[Any], slice]]]]:
    reader = _Reader(1)
    reader.buffer = bytearray(data)
    reader.current_buffer_size = len(data)
    while reader.position < len(data):
        width = read_varint(reader)
        rows = read_varint(reader)
        columns = []
        for _ in range(width):
            name = read_binary_str(reader)
            spec = read_binary_str(reader)
            first = reader.position
            values: Sequence[Any] = ()
            if rows:
                source = column(spec)
                source.read_state_prefix(reader)
                values = source.read_data(rows, reader)
            columns.append((name, spec, values, slice(first, reader.position)))
        yield rows, columns
