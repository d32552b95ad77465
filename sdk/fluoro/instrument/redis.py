"""redis-py 4 to 8, sync, asyncio and cluster: one span per command, and one per pipeline or transaction.

The operation is the command ("GET", "CONFIG GET", "PIPELINE"); of its arguments only their number is recorded, of a
pipeline the names of its first 20 commands. Retries and redirects belong to their call. WatchError and NoScriptError are
part of the library's protocols: an error, no fault.

A command that waits for data (BLPOP, XREAD, …) and brings none, or is made outside any other span, is not recorded: an
idle worker must not fill the store. What kombu does to keep Celery's queues is not recorded either; the message is
(`fluoro.instrument.celery`). Gaps: PubSub and MONITOR, which have no end; a cluster is named after its default node.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import Any

from fluoro.instrument import _datastore, _patch
from fluoro.recorder import Span

MAX_COMMANDS = 20  # of a pipeline whose names are recorded
UNTRACED = "fluoro_untraced"  # an attribute of a connection pool whose clients are not traced

_WAITING = frozenset(
    ["BLPOP", "BRPOP", "BRPOPLPUSH", "BLMOVE", "BLMPOP", "BZPOPMIN", "BZPOPMAX", "BZMPOP", "XREAD", "XREADGROUP"]
)
_CONTAINERS = frozenset(
    [
        "ACL",
        "CLIENT",
        "CLUSTER",
        "COMMAND",
        "CONFIG",
        "FUNCTION",
        "HOTKEYS",
        "LATENCY",
        "MEMORY",
        "MODULE",
        "OBJECT",
        "PUBSUB",
        "SCRIPT",
        "SENTINEL",
        "SLOWLOG",
        "XGROUP",
        "XINFO",
    ]
)
_ROUTINE = frozenset({"WatchError", "NoScriptError"})
_WORD = re.compile(r"[A-Z][A-Z0-9._]{0,31}\Z")


def patch(module: ModuleType) -> None:
    for library in (module, getattr(module, "asyncio", None)):  # asyncio is new in 4.2
        client, cluster = getattr(library, "client", None), getattr(library, "cluster", None)
        if client is not None:
            _commands(client.Redis, "execute_command", _pool_name)
            _commands(client.Pipeline, "immediate_execute_command", _pool_name)
            _pipelines(client.Pipeline, _pool_name)
        if cluster is not None:  # new in 4.1
            _commands(cluster.RedisCluster, "execute_command", _cluster_name)
            if hasattr(cluster, "ClusterPipeline"):  # in asyncio new in 4.4
                _pipelines(cluster.ClusterPipeline, _cluster_name)


def _commands(owner: Any, method: str, name: Callable[[Any], str]) -> None:
    def before(client: Any, *args: Any, **_: Any) -> Span | None:
        store = name(client)
        if not store or not args:
            return None
        operation = _operation(args[0])
        return _datastore.call_span("redis", store, operation, {"db.redis.args_length": len(args)})

    _patch.around(owner, method, before, _ended)


def _pipelines(owner: Any, name: Callable[[Any], str]) -> None:
    def before(pipeline: Any, *_: Any, **__: Any) -> Span | None:
        stack, store = _stack(pipeline), name(pipeline)
        if not stack or not store:
            return None
        span = _datastore.call_span("redis", store, "PIPELINE", {"db.operation.batch.size": len(stack)})
        if span is not None and span.recording:
            names = [_operation(_arguments(command)[0]) for command in stack[:MAX_COMMANDS]]
            span.segment.metadata = {"redis": {"commands": names}}
        return span

    _patch.around(owner, "execute", before, _ended)


def _ended(span: Span, result: object, error: BaseException | None) -> None:
    if isinstance(error, Exception):
        if type(error).__name__ in _ROUTINE:
            span.segment.error = True
        else:
            span.fail(error)
    elif span.segment.operation in _WAITING and (error is not None or not result or span.segment.parent_id == 0):
        span.recording = False
    span.end()


def _stack(pipeline: Any) -> list[Any]:
    """The commands that a pipeline will send. A cluster's lie in its strategy, in asyncio before 6 in itself."""
    owner = getattr(pipeline, "_execution_strategy", pipeline)
    for attribute in ("command_stack", "command_queue", "_command_queue", "_command_stack"):
        stack = getattr(owner, attribute, None)
        if isinstance(stack, list):
            return stack
    return []


def _arguments(command: Any) -> Any:
    return command[0] if isinstance(command, tuple) else command.args


def _operation(command: object) -> str:
    if isinstance(command, bytes):
        command = command.decode("latin-1")
    return _named(command) if isinstance(command, str) else "OTHER"


@lru_cache(maxsize=1024)
def _named(command: str) -> str:
    """`config get` → "CONFIG GET". redis-py splits the first argument at spaces: what follows may be a value."""
    words = command[:100].upper().split()
    if not words or not _WORD.match(words[0]):
        return "OTHER"
    if words[0] in _CONTAINERS and len(words) > 1 and _WORD.match(words[1].replace("-", "_")):
        return f"{words[0]} {words[1]}"
    return words[0]


def _pool_name(client: Any) -> str:
    """`redis@host`, after the socket's path or Sentinel's name of the master; "" for a client that is not traced."""
    pool = client.connection_pool
    if getattr(pool, UNTRACED, False):
        return ""
    settings = pool.connection_kwargs
    return f"redis@{getattr(pool, 'service_name', None) or settings.get('path') or settings.get('host', 'localhost')}"


def _cluster_name(cluster: Any) -> str:
    # asyncio's pipeline has its cluster in an attribute, whose name changed.
    for owner in (cluster, getattr(cluster, "cluster_client", None), getattr(cluster, "_client", None)):
        nodes = getattr(owner, "nodes_manager", None)
        if nodes is not None:
            node = nodes.default_node or next(iter(nodes.startup_nodes.values()), None)
            return "redis" if node is None else f"redis@{node.host}"
    return "redis"
