"""What a person may have to take back: whole traces, or the values of one annotation.

Both rewrite the parts of a table that hold such rows (a mutation) and return when every replica has done so. The engine
deletes the old files some minutes later, while it runs. What arrives again afterwards (a sender's retry, a spool) is stored again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Any, NamedTuple

from .cluster import local
from .engine import Engine, StoreError

FOREVER_NS = (1 << 63) - 1
_WAIT = "SETTINGS mutations_sync = 2"
_BY_TRACE = ("segments", "traces")


class Erased(NamedTuple):
    """What `delete_traces` removed: rows of segments, the traces that had any, and the minutes to roll up again (epoch s)."""

    rows: int
    traces: list[bytes]
    minutes: list[int]


def delete_traces(engine: Engine, ids: Sequence[bytes]) -> Erased:
    """Remove every row of these traces (16 bytes each). The caller rolls up `minutes`; until then the map counts them."""
    params = {"ids": list(ids)}
    found = engine.query(
        "SELECT trace_id, count() AS rows, groupUniqArray(toUnixTimestamp(toStartOfMinute(start))) AS minutes "
        "FROM segments WHERE trace_id IN {ids:Array(FixedString(16))} GROUP BY trace_id ORDER BY trace_id",
        params,
    )
    summaries = (
        "SELECT DISTINCT toUnixTimestamp(minute) AS minute FROM traces WHERE trace_id IN {ids:Array(FixedString(16))}"
    )
    minutes = set(engine.query(summaries, params)["minute"]).union(*found["minutes"])
    for table in _BY_TRACE:
        engine.command(
            f"ALTER TABLE {local(engine, table)} DELETE WHERE trace_id IN {{ids:Array(FixedString(16))}} {_WAIT}",
            params,
        )
    left = "SELECT count() AS rows FROM segments WHERE trace_id IN {ids:Array(FixedString(16))}"
    if engine.query(left, params)["rows"][0]:
        raise StoreError("rows of these traces are there again: a sender is still sending them; stop it and repeat")
    return Erased(sum(found["rows"]), found["trace_id"], sorted(minutes))


def redact(
    engine: Engine,
    key: str,
    *,
    first_ns: int = 0,
    last_ns: int = FOREVER_NS,
    value: str | None = None,
    replacement: str | None = None,
) -> int:
    """Remove the annotation `key` from rows that start in [first_ns, last_ns), or replace its value; the rows changed.

    With `value` only where it has this value (a number as it is shown: 5, 0.1; a boolean: true, false).
    """
    params: dict[str, Any] = {
        "key": key,
        "remove": replacement is None,
        "replacement": replacement or "",
        "digest": "" if value is None else sha256(value.encode()).hexdigest().upper(),
        "first": first_ns,
        "last": last_ns,
    }
    where = _text("redact_rows")
    counting = f"SELECT count() AS rows FROM segments WHERE {where}"  # noqa: S608 - a file of ours
    rows = int(engine.query(counting, params)["rows"][0])
    if rows:
        engine.command(f"ALTER TABLE {local(engine, 'segments')} {_text('redact')} {where} {_WAIT}", params)
    _forget_completions(engine, key, value, first_ns, last_ns)
    return rows


def _forget_completions(engine: Engine, key: str, value: str | None, first_ns: int, last_ns: int) -> None:
    """The filter box offers values it has seen; the rollup fills these hours again from what is there now."""
    params: dict[str, Any] = {
        "key": f"annotation.{key}",
        "any": value is None,
        "digest": "" if value is None else sha256(value.encode()).hexdigest().upper(),
        "first": first_ns // 10**9 // 3600 * 3600,
        "last": min(last_ns // 10**9, (1 << 32) - 1),
    }
    engine.command(
        f"ALTER TABLE {local(engine, 'completions_1h')} DELETE WHERE key = {{key:String}} "
        "AND toUnixTimestamp(hour) >= {first:Int64} AND toUnixTimestamp(hour) <= {last:Int64} "
        f"AND ({{any:UInt8}} OR hex(SHA256(value)) = {{digest:String}}) {_WAIT}",
        params,
    )


@cache
def _text(name: str) -> str:
    """The text of `store/{name}.sql`, without its remarks: a mutation is kept as one line."""
    lines = resources.files(__package__).joinpath(f"{name}.sql").read_text(encoding="utf-8").splitlines()
    return " ".join(line.strip() for line in lines if not line.startswith("--"))
