"""Query parameters as the text that ClickHouse parses by the type written in the SQL: `{start:DateTime64(9)}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# The parser of a top-level value reads it as one TSV field: a backslash, tab or line end in it would end or change it.
_ESCAPES = {0x5C: "\\\\", 0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r", 0x00: "\\0"}
_QUOTED = {**_ESCAPES, 0x27: "\\'"}


def serialize(value: Any) -> str:
    """One value. int, float, bool, str, bytes (FixedString), None, and list, tuple, dict of these.

    DateTime64 columns are compared with ints through `fromUnixTimestamp64Nano({start:Int64})`. Raises TypeError for another type.
    """
    if isinstance(value, str):
        return value.translate(_ESCAPES)
    if value is None:
        return "\\N"
    if isinstance(value, (bytes, bytearray)):
        return _hex(value)
    return _literal(value)


def _literal(value: Any) -> str:
    """A value as it is written inside an array, tuple or map."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "1" if value else "0"  # read by Bool and UInt8 alike
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str):
        return f"'{value.translate(_QUOTED)}'"
    if isinstance(value, (bytes, bytearray)):
        return f"'{_hex(value)}'"
    if isinstance(value, list):
        return f"[{','.join(map(_literal, value))}]"
    if isinstance(value, tuple):
        return f"({','.join(map(_literal, value))})"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{_literal(key)}:{_literal(item)}" for key, item in value.items()) + "}"
    raise TypeError(f"a query parameter cannot be a {type(value).__name__}")


def _hex(value: bytes | bytearray) -> str:
    return "".join(f"\\x{byte:02x}" for byte in value)


def with_settings(sql: str, settings: Mapping[str, float] | None) -> str:
    """`sql` with a SETTINGS clause at its end; names are ours, never input."""
    if not settings:
        return sql
    return f"{sql.rstrip()}\nSETTINGS {', '.join(f'{name} = {value}' for name, value in settings.items())}"
