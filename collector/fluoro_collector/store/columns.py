"""Which Python value stands for which ClickHouse type, on both engines, and how a column of them is written and read.

| ClickHouse                    | Python                                                      |
|-------------------------------|-------------------------------------------------------------|
| FixedString(n)                | bytes, n long                                               |
| String, LowCardinality, Enum  | str (bytes where the stored text is not UTF-8)              |
| DateTime64(p)                 | int, in units of 10^-p s since the epoch                    |
| DateTime                      | int, seconds since the epoch                                |
| Bool                          | bool                                                        |
| (U)Int*, Float*               | int, float                                                  |
| Map, Array, Tuple, Nullable   | dict, list, tuple, None                                     |

The work is done by clickhouse-driver's compiled columns. Two kinds are written by our own code, since a collector writes
little else and theirs goes through the values one by one: low-cardinality text, and text that is mostly empty.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

from clickhouse_driver.columns.arraycolumn import create_array_column
from clickhouse_driver.columns.intcolumn import Int64Column, UInt32Column
from clickhouse_driver.columns.lowcardinalitycolumn import LowCardinalityColumn
from clickhouse_driver.columns.mapcolumn import MapColumn, comma_re
from clickhouse_driver.columns.nullablecolumn import create_nullable_column
from clickhouse_driver.columns.service import get_column_by_spec
from clickhouse_driver.columns.stringcolumn import ByteFixedString, String
from clickhouse_driver.columns.tuplecolumn import create_tuple_column
from clickhouse_driver.writer import write_binary_int64

_KEY_CODES = (("B", 1 << 8), ("H", 1 << 16), ("I", 1 << 32))


class _Text(String):  # type: ignore[misc]
    def write_items(self, items: Sequence[str], buf: Any) -> None:
        if any(items):
            super().write_items(items, buf)
        else:
            buf.write(bytes(len(items)))  # an empty string is its length, one zero byte


class _LowCardinality(LowCardinalityColumn):  # type: ignore[misc]
    """Dictionary and keys in three passes that run in C."""

    def _write_data(self, items: Sequence[Any], buf: Any) -> None:
        if self.nested_column.nullable:
            super()._write_data(items, buf)
            return
        if not items:
            return
        dictionary = dict.fromkeys(items)
        size = len(dictionary)
        position = dict(zip(dictionary, range(size), strict=True))
        width, code = next((width, code) for width, (code, limit) in enumerate(_KEY_CODES) if size <= limit)
        write_binary_int64(self.serialization_type | width, buf)
        write_binary_int64(size, buf)
        self.nested_column.write_data(list(dictionary), buf)
        write_binary_int64(len(items), buf)
        if size == 1:
            buf.write(bytes(len(items)))
        elif code == "B":
            buf.write(bytes(map(position.__getitem__, items)))
        else:
            buf.write(array(code, map(position.__getitem__, items)).tobytes())


class _Context:
    """What the driver's columns ask of a connection."""

    client_settings = {"strings_as_bytes": False, "use_numpy": False}  # noqa: RUF012
    settings: dict[str, Any] = {}  # noqa: RUF012


def column(spec: str, context: Any = _Context, *, custom: bool = False) -> Any:
    """The column for the ClickHouse type `spec`: `write_state_prefix`, `write_data`, `read_state_prefix`, `read_data`.

    `custom` says that the server announced a serialization of its own (sparse) for this column. A column is used once.
    """
    options = {"context": context, "has_custom_serialization": custom}

    def nested(inner: str) -> Any:
        return column(inner, context)

    name, _, rest = spec.partition("(")
    if name == "String":
        return _Text(**options)
    if name == "FixedString":
        return ByteFixedString(int(rest[:-1]), **options)
    if name == "DateTime64":
        return Int64Column(**options)
    if name == "DateTime":
        return UInt32Column(**options)
    if name == "LowCardinality":
        return _LowCardinality(nested(rest[:-1]), **options)
    if name == "Map":
        key, value = comma_re.split(rest[:-1])
        return MapColumn(nested(key.strip()), nested(value.strip()), **options)
    if name == "Array":
        return create_array_column(spec, nested, options)
    if name == "Tuple":
        return create_tuple_column(spec, nested, options)
    if name == "Nullable":
        return create_nullable_column(spec, nested)
    return get_column_by_spec(spec, options, use_numpy=False)
