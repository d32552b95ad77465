"""Whether a store is fit for work: each thing that has made a store fail, looked at, with what to do about it.

A check that cannot be made (the user may not read a system table) is a warning, not a failure. The file is a list of short
functions, one for each thing, and stays together so that nothing is looked at twice.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterator
from typing import NamedTuple

from . import migrate
from .cluster import everywhere, stored_as
from .engine import Engine, StoreError
from .server import UNKNOWN_DATABASE, Server

OK, WARNING, FAILED = "ok", "warning", "failed"

# Older servers lack functions that the rollup uses (arrayFold over tuples, JSON with typed maps).
OLDEST = (24, 8)
FREE_SHARE = 0.1
FREE_BYTES = 1 << 30
PARTS_MANY, PARTS_TOO_MANY = 300, 1000  # of one partition; the engine slows inserts at 1000 and refuses them at 3000
LAG_S = 60
QUEUE = 1000
CLOCK_S = 2.0
ROLLUP_S = 600
LOG_BYTES = 10 << 30

_TABLES = "SELECT name FROM system.tables WHERE database = currentDatabase()"
# What inserts ask for; a profile may forbid it.
_INSERT_SETTINGS = {
    "async_insert": 0,
    "optimize_on_insert": 0,
    "max_partitions_per_insert_block": 0,
    "insert_deduplicate": 1,
}


class Finding(NamedTuple):
    """One line: `state` is OK, WARNING or FAILED; `advice` says what to do, "" when nothing is."""

    state: str
    what: str
    says: str
    advice: str = ""


def check(engine: Engine) -> Iterator[Finding]:
    """Every check, in an order in which the first failure explains the others. Changes nothing that stays."""
    if isinstance(engine, Server):
        hosts = list(_hosts(engine))
        yield from hosts
        if not any(each.state == OK for each in hosts):
            return  # nothing else would say more
    for name, run in _CHECKS.items():
        try:
            yield from run(engine)
        except StoreError as error:
            yield Finding(WARNING, name, f"could not be checked: {_short(error)}")


def _hosts(engine: Server) -> Iterator[Finding]:
    for host, answer in engine.each_host("SELECT version() AS version"):
        if isinstance(answer, StoreError):
            says = _short(answer)
            missing = says.startswith(f"Code: {UNKNOWN_DATABASE}.")
            advice = "fluoro store migrate creates it" if missing else "start it, or correct the store's URL"
            yield Finding(FAILED, "host", f"{host}: {says}", advice)
            continue
        version = answer["version"][0]
        if version_of(version) < OLDEST:
            yield Finding(
                FAILED, "version", f"{host} is ClickHouse {version}", f"upgrade it to {_dotted(OLDEST)} or newer"
            )
        else:
            yield Finding(OK, "version", f"{host} is ClickHouse {version}")


def _settings(engine: Engine) -> Iterator[Finding]:
    if int(engine.query("SELECT getSetting('readonly') AS readonly")["readonly"][0]):
        yield Finding(FAILED, "settings", "the user may only read", "give the user a profile with readonly = 0")
        return
    try:
        engine.query("SELECT 1 AS one", None, _INSERT_SETTINGS)
    except StoreError as error:
        yield Finding(FAILED, "settings", _short(error), "let the user's profile change these settings for its inserts")
        return
    answer = engine.query(
        "SELECT toInt64(getSetting('max_execution_time')) AS seconds, toInt64(getSetting('max_memory_usage')) AS memory"
    )
    seconds, memory = answer["seconds"][0], answer["memory"][0]
    if 0 < seconds < 60:
        yield Finding(
            WARNING, "settings", f"max_execution_time is {seconds} s", "the rollup may need a minute: raise it to 60"
        )
    if 0 < memory < FREE_BYTES:
        yield Finding(
            WARNING, "settings", f"max_memory_usage is {_size(memory)}", "the rollup may need 1 GiB: raise it"
        )
    if not 0 < seconds < 60 and not 0 < memory < FREE_BYTES:
        yield Finding(OK, "settings", "inserts may set what makes them durable and exact")


def _permissions(engine: Engine) -> Iterator[Finding]:
    """Creates, fills and drops a table on the host that answers, not on the whole cluster."""
    table = f"fluoro_check_{uuid.uuid4().hex}"
    step = "CREATE TABLE"
    try:
        engine.command(
            f"CREATE TABLE {table} (x UInt8) ENGINE = MergeTree ORDER BY x SETTINGS non_replicated_deduplication_window = 10"
        )
        try:
            step = "INSERT"
            for _ in range(2):
                engine.insert(table, {"x": ("UInt8", [1])}, "check")
            step = "SELECT"
            rows = engine.query(f"SELECT count() AS rows FROM {table}")["rows"][0]  # noqa: S608 - our own name
            step = "ALTER DELETE"
            engine.command(f"ALTER TABLE {table} DELETE WHERE x = 1 SETTINGS mutations_sync = 2")
        finally:
            engine.command(f"DROP TABLE IF EXISTS {table}")
    except StoreError as error:
        yield Finding(FAILED, "permissions", f"{step}: {_short(error)}", "GRANT ALL ON the database TO the user")
        return
    if rows == 1:
        yield Finding(
            OK, "permissions", "create, insert, select, alter and drop work; a repeated insert is stored once"
        )
    else:
        yield Finding(
            FAILED, "tokens", f"an insert that was repeated is there {rows} times", "set insert_deduplicate = 1"
        )


def _disks(engine: Engine) -> Iterator[Finding]:
    sql = (
        f"SELECT name, min(free_space) AS free, max(total_space) AS total FROM {everywhere(engine, 'disks')} "  # noqa: S608 - our words
        "WHERE total_space > 0 GROUP BY name ORDER BY name"
    )
    answer = engine.query(sql)
    for name, free, total in zip(answer["name"], answer["free"], answer["total"], strict=True):
        text = f"disk {name}: {_size(free)} of {_size(total)} free"
        if free < FREE_BYTES or free < FREE_SHARE * total:
            yield Finding(FAILED, "disk", text, "make room: a shorter --retention, or a larger disk")
        else:
            yield Finding(OK, "disk", text)


def _schema(engine: Engine) -> Iterator[Finding]:
    try:
        missing = migrate.pending(engine)
    except StoreError as error:
        yield Finding(FAILED, "schema", _short(error))
        return
    if missing:
        names = ", ".join(each.name for each in missing)
        yield Finding(
            FAILED,
            "schema",
            f"{len(missing)} migrations are missing: {names}",
            "fluoro store migrate (fluoro serve does it too)",
        )
    else:
        yield Finding(OK, "schema", f"up to date ({max(migrate.files()):04d})")


def _replication(engine: Engine) -> Iterator[Finding]:
    sql = (
        "SELECT table, max(is_readonly) AS read_only, max(absolute_delay) AS lag, max(queue_size) AS queue "  # noqa: S608 - our words
        f"FROM {everywhere(engine, 'replicas')} WHERE database = currentDatabase() GROUP BY table ORDER BY table"
    )
    answer = engine.query(sql)
    rows = list(zip(answer["table"], answer["read_only"], answer["lag"], answer["queue"], strict=True))
    for table, read_only, lag, queue in rows:
        if read_only:
            yield Finding(
                FAILED, "replication", f"{table} is read-only on a replica", "see that the replica reaches Keeper"
            )
        if lag > LAG_S or queue > QUEUE:
            yield Finding(
                FAILED,
                "replication",
                f"{table} is {lag} s behind, {queue} entries wait",
                "look at system.replication_queue",
            )
    if rows and not any(read_only or lag > LAG_S or queue > QUEUE for _, read_only, lag, queue in rows):
        yield Finding(OK, "replication", f"{len(rows)} tables, at most {max(row[2] for row in rows)} s behind")
    elif engine.cluster and not rows:
        yield Finding(WARNING, "replication", "no table is replicated: each row is on one disk only")


def _cluster(engine: Engine) -> Iterator[Finding]:
    if not engine.cluster:
        return
    answer = engine.query(
        "SELECT uniqExact(shard_num) AS shards, count() AS hosts, sum(errors_count) AS errors FROM system.clusters "
        "WHERE cluster = {name:String}",
        {"name": engine.cluster},
    )
    shards, hosts, errors = answer["shards"][0], answer["hosts"][0], answer["errors"][0]
    if not hosts:
        yield Finding(
            FAILED, "cluster", f"no cluster {engine.cluster} here", "see system.clusters for the names it knows"
        )
    elif errors:
        yield Finding(WARNING, "cluster", f"{shards} shards, {hosts} replicas, {errors} connections failed lately")
    else:
        yield Finding(OK, "cluster", f"{shards} shards, {hosts} replicas")


def _parts(engine: Engine) -> Iterator[Finding]:
    sql = (
        "SELECT table, max(parts) AS parts, sum(bytes) AS bytes FROM (SELECT table, partition, hostName() AS host, "  # noqa: S608
        f"count() AS parts, sum(bytes_on_disk) AS bytes FROM {everywhere(engine, 'parts')} "
        "WHERE database = currentDatabase() AND active GROUP BY table, partition, host) GROUP BY table ORDER BY parts DESC"
    )
    answer = engine.query(sql)
    if not answer["table"]:
        yield Finding(OK, "parts", "no data yet")
        return
    table, parts = answer["table"][0], answer["parts"][0]
    text = f"{_size(sum(answer['bytes']))} on disk; at most {parts} parts in a partition ({table})"
    advice = "merges do not keep up: fewer collectors per shard, a faster disk, or wait for the backlog to go"
    state = FAILED if parts >= PARTS_TOO_MANY else WARNING if parts >= PARTS_MANY else OK
    yield Finding(state, "parts", text, "" if state == OK else advice)


def _mutations(engine: Engine) -> Iterator[Finding]:
    sql = (
        f"SELECT table, latest_fail_reason AS reason FROM {everywhere(engine, 'mutations')} "  # noqa: S608 - our words
        "WHERE database = currentDatabase() AND NOT is_done AND latest_fail_reason != '' LIMIT 1"
    )
    answer = engine.query(sql)
    for table, reason in zip(answer["table"], answer["reason"], strict=True):
        yield Finding(FAILED, "mutations", f"{table}: {reason[:200]}", "KILL MUTATION, then repeat what was asked")


def _clock(engine: Engine) -> Iterator[Finding]:
    before = time.time()
    now = engine.query("SELECT toUnixTimestamp64Milli(now64(3)) AS now")["now"][0] / 1000
    after = time.time()
    off = max(before - now, now - after, 0.0)
    if off > CLOCK_S:
        yield Finding(FAILED, "clock", f"{off:.1f} s away from this machine's", "run an NTP client on both machines")
    else:
        yield Finding(OK, "clock", "as this machine's")


def _rollups(engine: Engine) -> Iterator[Finding]:
    if stored_as(engine, "segments") not in engine.query(_TABLES)["name"]:
        return  # said by the check of the schema
    sql = (
        "SELECT toInt64(toUnixTimestamp64Milli(max(received))) AS newest, count() AS rows, "
        "(SELECT max(version) FROM nodes_1m) AS version FROM segments"
    )
    answer = engine.query(sql)
    if not answer["rows"][0]:
        yield Finding(OK, "rollup", "no segments yet")
        return
    behind = answer["newest"][0] / 1000 - answer["version"][0] / 1e9
    if behind > ROLLUP_S:
        since = "never ran" if not answer["version"][0] else f"is {behind / 60:.0f} minutes behind the newest segment"
        yield Finding(
            FAILED, "rollup", f"it {since}", "run fluoro serve on this store and see its log for 'rollup failed'"
        )
    else:
        yield Finding(OK, "rollup", "minutes are up to date")


def _system_logs(engine: Engine) -> Iterator[Finding]:
    """They have no retention by default and have filled small machines."""
    sql = (
        f"SELECT sum(bytes_on_disk) AS bytes FROM {everywhere(engine, 'parts')} "  # noqa: S608 - our words
        "WHERE database = 'system' AND active"
    )
    size = engine.query(sql)["bytes"][0]
    if size > LOG_BYTES:
        yield Finding(
            WARNING, "system logs", f"{_size(size)} in database system", "give system.query_log and its like a TTL"
        )


def _durable(engine: Engine) -> Iterator[Finding]:
    sql = "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = {table:String}"
    found = engine.query(sql, {"table": stored_as(engine, "segments")})["engine_full"]
    if not found:
        return
    missing = [name for name in ("fsync_after_insert = 1", "deduplication_window") if name not in found[0]]
    if missing:
        yield Finding(
            FAILED, "durability", f"table segments lacks {', '.join(missing)}", "ALTER TABLE segments MODIFY SETTING …"
        )
    else:
        yield Finding(OK, "durability", "inserts are synced to disk before they are acknowledged, and known by token")


_CHECKS: dict[str, Callable[[Engine], Iterator[Finding]]] = {
    "settings": _settings,
    "cluster": _cluster,
    "permissions": _permissions,
    "disk": _disks,
    "schema": _schema,
    "durability": _durable,
    "replication": _replication,
    "parts": _parts,
    "mutations": _mutations,
    "clock": _clock,
    "rollup": _rollups,
    "system logs": _system_logs,
}


def version_of(text: str) -> tuple[int, int]:
    """(major, minor) of `24.8.4.13`; (0, 0) for what is no version."""
    found = re.match(r"(\d{1,4})\.(\d{1,4})", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def _size(count: int) -> str:
    size, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


def _short(error: StoreError) -> str:
    """The first line, without the engine's boilerplate."""
    line = str(error).splitlines()[0] if str(error) else ""
    lines = [each for each in str(error).splitlines() if each.strip()]
    text = " ".join(lines[:2]) if re.fullmatch(r"Code: \d+\.", line.strip()) else line
    return text[:300]
