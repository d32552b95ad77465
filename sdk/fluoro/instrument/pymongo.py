"""pymongo ≥ 4.0, MongoClient and AsyncMongoClient, and Motor, which runs on it: one span per command sent to a server.

The operation is the command and its collection, "find orders"; a cursor's `getMore` is a call of its own, and so is each
attempt of a retried one. Filters, documents and pipelines are not looked at. A write that the server refused in part
(`writeErrors`) is a fault although the command succeeded.

This listens where pymongo publishes its command events, on the class that every client has, so it also sees clients that
were made before. Only a client with listeners of its own builds the events.

Gap: a command whose task was cancelled publishes no end and is not recorded.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import ModuleType
from typing import Any

from fluoro.instrument import _datastore, _patch
from fluoro.recorder import Span

# Commands whose own value is a collection. Of others it may be anything: a user's name, a comment.
_OF_COLLECTIONS = frozenset(
    [
        "aggregate",
        "collMod",
        "collStats",
        "count",
        "create",
        "createIndexes",
        "delete",
        "distinct",
        "drop",
        "dropIndexes",
        "find",
        "findAndModify",
        "insert",
        "listIndexes",
        "mapReduce",
        "update",
        "validate",
    ]
)
MAX_NAME = 128

# The span of the command that this thread or task has sent, and its request id. There is at most one.
_sent: ContextVar[tuple[int, Span] | None] = ContextVar("fluoro_mongo", default=None)


def patch(module: ModuleType) -> None:
    listeners = module._EventListeners  # noqa: SLF001  its methods are called for every command of every client
    enabled = listeners.enabled_for_commands.fget

    def listening(before: Callable[..., None]) -> Callable[..., None]:
        def publish(original: Callable[..., None], self: Any, *args: Any, **kwargs: Any) -> None:
            before(*args, **kwargs)
            if enabled(self):
                original(self, *args, **kwargs)

        return publish

    _patch.wrap(listeners, "publish_command_start", listening(_started))
    _patch.wrap(listeners, "publish_command_success", listening(_succeeded))
    _patch.wrap(listeners, "publish_command_failure", listening(_failed))
    _patch.replace(listeners, "enabled_for_commands", property(lambda _: True))


@_patch.guarded
def _started(
    command: Mapping[str, Any], database: str, request_id: int, address: tuple[str, Any], *_: Any, **__: Any
) -> None:
    span = _datastore.call_span("mongodb", f"{database}@{address[0]}", _operation(command), {}, current=False)
    if span is not None:
        _sent.set((request_id, span))


@_patch.guarded
def _succeeded(_duration: Any, reply: Mapping[str, Any], _name: str, request_id: int, *_: Any, **__: Any) -> None:
    span = _taken(request_id)
    if span is not None:
        errors = reply.get("writeErrors")
        if errors:
            _datastore.refuse(span, f"MongoDB error {errors[0].get('code')}", _message(errors[0]))
        span.end()


@_patch.guarded
def _failed(_duration: Any, failure: Mapping[str, Any], _name: str, request_id: int, *_: Any, **__: Any) -> None:
    span = _taken(request_id)
    if span is not None:
        error = sys.exc_info()[1]  # pymongo publishes where it has caught the error, and raises it again
        if error is not None:
            span.fail(error)
        else:
            _datastore.refuse(span, str(failure.get("codeName") or failure.get("errtype") or ""), _message(failure))
        span.end()


def _taken(request_id: int) -> Span | None:
    sent = _sent.get()
    if sent is None or sent[0] != request_id:
        return None
    _sent.set(None)
    return sent[1]


def _operation(command: Mapping[str, Any]) -> str:
    name = str(next(iter(command)))
    collection = command.get("collection") if name == "getMore" else command[name] if name in _OF_COLLECTIONS else None
    return f"{name[:MAX_NAME]} {collection[:MAX_NAME]}" if isinstance(collection, str) else name[:MAX_NAME]


def _message(failure: Mapping[str, Any]) -> str:
    # "E11000 duplicate key error collection: shop.orders index: _id_ dup key: { _id: … }" shows a stored value.
    return str(failure.get("errmsg", "")).partition(" dup key:")[0]
