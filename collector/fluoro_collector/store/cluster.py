"""The same tables on a cluster: `X_local` on every shard, replicated, and `X` over all of them.

`clickhouse://host/db?cluster=NAME` makes of each `CREATE TABLE X … ENGINE = MergeTree …` of the schema

    CREATE TABLE X_local ON CLUSTER 'NAME' … ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/db/X', '{replica}') …
    CREATE TABLE X ON CLUSTER 'NAME' AS X_local ENGINE = Distributed('NAME', 'db', 'X_local', cityHash64(<key>))

so that every statement names the same tables as on one server. `{shard}` and `{replica}` are macros of each server.

The key decides what is together on a shard. A trace is: whatever is grouped by trace needs no other shard, and copies of
a segment meet in a merge. A minute, hour or day of a rollup is: it is replaced as a whole. A resource is by its id, and
configuration by its name. What lies apart is found all the same, since subqueries see the whole cluster
(`distributed_product_mode = 'global'`, store/server.py): the traces of a minute, for example, are on all shards.
"""

from __future__ import annotations

import re

from .engine import Engine, StoreError

LOCAL = "_local"
KEEPER_PATH = "/clickhouse/tables/{{shard}}/{database}/{table}"

_CREATE = re.compile(
    r"CREATE TABLE IF NOT EXISTS (?P<table>\w+)\s*(?P<columns>\(.*\n\))\s*ENGINE = (?P<engine>\w*MergeTree)(?:\((?P<arguments>[^)]*)\))?(?P<rest>.*)",
    re.DOTALL,
)
_ALTER = re.compile(r"ALTER TABLE (?P<table>\w+)\s+(?P<action>.*)", re.DOTALL)
_ON_COLUMNS = re.compile(r"(ADD|DROP|CLEAR|RENAME|MODIFY|COMMENT)\s+COLUMN\b")
_SORTED_BY = re.compile(r"\bORDER BY \(?\s*(\w+)")
_COMMENT = re.compile(r"COMMENT '(?:[^'\\]|\\.)*'\s*$")
# Where the first column of the sorting key would put all rows on one shard.
_SHARD_BY = {"configuration": "name"}
# What one server remembers of blocks, and its counterparts. A spool may be replayed days later.
_WINDOW = re.compile(r"\bnon_replicated_deduplication_window = (\d+)")
_REPLICATED_WINDOW = r"replicated_deduplication_window = \1, replicated_deduplication_window_seconds = 604800"


def local(engine: Engine, table: str) -> str:
    """The name for ALTER, TRUNCATE, OPTIMIZE and DROP, which work where rows are: `table`, or `table_local ON CLUSTER …`."""
    return f"{table}{LOCAL} ON CLUSTER '{engine.cluster}'" if engine.cluster else table


def everywhere(engine: Engine, table: str) -> str:
    """What reads `system.{table}` of all servers: `FROM {everywhere(engine, "parts")}`."""
    return f"clusterAllReplicas('{engine.cluster}', system.{table})" if engine.cluster else f"system.{table}"


def stored_as(engine: Engine, table: str) -> str:
    """The name under which `system.parts` and `system.mutations` know the rows of `table`."""
    return f"{table}{LOCAL}" if engine.cluster else table


def on_cluster(statement: str, cluster: str, database: str) -> list[str]:
    """The statements that do on a cluster what `statement` does on one server. Raises StoreError on one that is not known."""
    create = _CREATE.fullmatch(statement.strip())
    if create:
        return _create(create, cluster, database)
    alter = _ALTER.fullmatch(statement.strip())
    if alter:
        table, action = alter["table"], alter["action"]
        statements = [f"ALTER TABLE {table}{LOCAL} ON CLUSTER '{cluster}' {action}"]
        if _ON_COLUMNS.match(action):
            # Codecs and defaults are the local table's business, but the columns must be the same.
            statements.append(f"ALTER TABLE {table} ON CLUSTER '{cluster}' {action}")
        return statements
    raise StoreError(f"no rule for a cluster: {statement[:100]}")


def _create(found: re.Match[str], cluster: str, database: str) -> list[str]:
    table, columns, rest = found["table"], found["columns"], found["rest"]
    arguments = [f"'{KEEPER_PATH.format(database=database, table=table)}'", "'{replica}'"]
    if found["arguments"]:
        arguments.append(found["arguments"])
    rest = _WINDOW.sub(_REPLICATED_WINDOW, rest)
    comment = _COMMENT.search(rest)
    key = sharding_key(table, columns, rest)
    stored = (
        f"CREATE TABLE IF NOT EXISTS {table}{LOCAL} ON CLUSTER '{cluster}'\n{columns}\n"
        f"ENGINE = Replicated{found['engine']}({', '.join(arguments)}){rest}"
    )
    spread = (
        f"CREATE TABLE IF NOT EXISTS {table} ON CLUSTER '{cluster}' AS {table}{LOCAL}\n"
        f"ENGINE = Distributed('{cluster}', '{database}', '{table}{LOCAL}', cityHash64({key}))"
    )
    return [stored, f"{spread}\n{comment[0].strip()}" if comment else spread]


def sharding_key(table: str, columns: str, rest: str) -> str:
    """The column whose equal values lie on one shard: the trace where there is one, else the first of the sorting key."""
    if table in _SHARD_BY:
        return _SHARD_BY[table]
    if re.search(r"^\s*trace_id ", columns, re.MULTILINE):
        return "trace_id"
    found = _SORTED_BY.search(rest)
    if not found:
        raise StoreError(f"table {table} has no sorting key to spread it by")
    return found[1]
