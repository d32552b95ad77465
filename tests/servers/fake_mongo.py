"""A stand-in for a MongoDB server: Debian carries none, and no package of the index has its program.

It speaks the real protocol, OP_MSG over TCP with pymongo's own BSON, and answers the dozen commands that the tests of
the client library need, from a dict in memory. The client library in front of it is the real one.
"""

from __future__ import annotations

import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import bson
from bson import Int64

_HEADER = struct.Struct("<iiii")
_OP_REPLY, _OP_QUERY, _OP_MSG = 1, 2004, 2013
_EXHAUST_ALLOWED, _MORE_TO_COME = 1 << 16, 1 << 1
_HELLO = {
    "ismaster": True,
    "isWritablePrimary": True,
    "maxBsonObjectSize": 16_777_216,
    "maxMessageSizeBytes": 48_000_000,
    "maxWriteBatchSize": 100_000,
    "minWireVersion": 0,
    "maxWireVersion": 21,
    "readOnly": False,
    "ok": 1.0,
}


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.collections: dict[str, dict[Any, dict[str, Any]]] = {}
        self.cursors: dict[int, tuple[str, list[dict[str, Any]]]] = {}
        self.lock = threading.Lock()


class _Connection(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        while head := self.rfile.read(_HEADER.size):
            length, request, _, operation = _HEADER.unpack(head)
            body = self.rfile.read(length - _HEADER.size)
            if operation == _OP_QUERY:  # the first greeting of clients that do not know the server yet
                reply = struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(_HELLO)
                self._send(request, _OP_REPLY, reply)
                continue
            flags, command = _read(body)
            answer = self._answer(command)
            if not flags & _MORE_TO_COME:
                self._send(request, _OP_MSG, struct.pack("<IB", 0, 0) + bson.encode(answer))

    def _send(self, request: int, operation: int, body: bytes) -> None:
        self.wfile.write(_HEADER.pack(_HEADER.size + len(body), 1, request, operation) + body)

    def _answer(self, command: dict[str, Any]) -> dict[str, Any]:
        name = next(iter(command))
        handler = getattr(self, f"_{name.lower()}", None)
        if handler is None:
            return {"ok": 0.0, "errmsg": f"no such command: '{name}'", "code": 59, "codeName": "CommandNotFound"}
        with self.server.lock:
            return {"ok": 1.0, **handler(command)}

    def _hello(self, _: dict[str, Any]) -> dict[str, Any]:
        return _HELLO

    _ismaster = _hello

    def _ping(self, _: dict[str, Any]) -> dict[str, Any]:
        return {}

    _endsessions = _ping

    def _insert(self, command: dict[str, Any]) -> dict[str, Any]:
        stored = self._collection(command["insert"])
        for index, document in enumerate(command["documents"]):
            if document["_id"] in stored:
                message = (
                    f"E11000 duplicate key error collection: shop.{command['insert']} index: _id_ dup key: "
                    f"{{ _id: {document['_id']!r} }}"
                )
                return {"n": index, "writeErrors": [{"index": index, "code": 11000, "errmsg": message}]}
            stored[document["_id"]] = document
        return {"n": len(command["documents"])}

    def _find(self, command: dict[str, Any]) -> dict[str, Any]:
        if any(key.startswith("$") for key in command["filter"]):
            return {"ok": 0.0, "errmsg": "unknown top level operator", "code": 2, "codeName": "BadValue"}
        found = [each for each in self._collection(command["find"]).values() if _matches(each, command["filter"])]
        found = found[: abs(command.get("limit") or len(found))]
        size = command.get("batchSize") or 101
        cursor = 0
        if len(found) > size:
            cursor = len(self.server.cursors) + 1
            self.server.cursors[cursor] = (command["find"], found[size:])
        return self._batch("firstBatch", cursor, command["find"], found[:size])

    def _getmore(self, command: dict[str, Any]) -> dict[str, Any]:
        collection, rest = self.server.cursors.pop(command["getMore"])
        return self._batch("nextBatch", 0, collection, rest)

    def _batch(self, kind: str, cursor: int, collection: str, documents: list[dict[str, Any]]) -> dict[str, Any]:
        return {"cursor": {"id": Int64(cursor), "ns": f"shop.{collection}", kind: documents}}

    def _update(self, command: dict[str, Any]) -> dict[str, Any]:
        changed = 0
        for update in command["updates"]:
            for each in self._collection(command["update"]).values():
                if _matches(each, update["q"]):
                    each.update(update["u"]["$set"])
                    changed += 1
        return {"n": changed, "nModified": changed}

    def _delete(self, command: dict[str, Any]) -> dict[str, Any]:
        stored = self._collection(command["delete"])
        gone = [
            key for key, each in stored.items() if any(_matches(each, delete["q"]) for delete in command["deletes"])
        ]
        for key in gone:
            del stored[key]
        return {"n": len(gone)}

    def _drop(self, command: dict[str, Any]) -> dict[str, Any]:
        self.server.collections.pop(command["drop"], None)
        return {}

    def _collection(self, name: str) -> dict[Any, dict[str, Any]]:
        return self.server.collections.setdefault(name, {})


def _read(body: bytes) -> tuple[int, dict[str, Any]]:
    """Flags and command of an OP_MSG; a sequence of documents beside the command becomes a member of it."""
    (flags,) = struct.unpack_from("<I", body)
    place, command = 4, {}
    while place < len(body):
        kind = body[place]
        place += 1
        (size,) = struct.unpack_from("<i", body, place)
        section = body[place : place + size]
        if kind == 0:
            command = {**bson.decode(section), **command}
        else:
            name, _, documents = section[4:].partition(b"\0")
            command[name.decode()] = bson.decode_all(documents)
        place += size
    return flags, command


def _matches(document: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return all(document.get(key) == value for key, value in wanted.items())


@contextmanager
def fake_mongo() -> Iterator[int]:
    """Its port on 127.0.0.1."""
    with _Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
