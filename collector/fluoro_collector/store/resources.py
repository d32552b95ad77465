"""Resources: each is stored once, and a segment's row carries only its 64-bit hash."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from fluoro.model import Resource

from .engine import Engine

_CAPACITY = 4096
_identity = msgspec.json.Encoder(order="sorted")
_lookup = msgspec.msgpack.Encoder()
_decode = msgspec.json.Decoder(Resource).decode
_ids: dict[bytes, int] = {}


def resource_id(resource: Resource) -> int:
    """A hash that is the same in every process and does not depend on the order of attributes. Never 0."""
    key = blake2b(
        _lookup.encode(resource), digest_size=16
    ).digest()  # not the bytes: a sender chooses how many they are
    known = _ids.get(key)
    if known is None:
        digest = blake2b(_identity.encode(resource), digest_size=8).digest()
        known = int.from_bytes(digest, "big") or 1
        if len(_ids) >= _CAPACITY:
            _ids.clear()
        _ids[key] = known
    return known


def from_rows(columns: dict[str, list[Any]]) -> dict[int, Resource]:
    """Resources by id from `SELECT id, resource FROM resources`."""
    return {id_: _decode(text) for id_, text in zip(columns["id"], columns["resource"], strict=True)}


def read(engine: Engine, ids: Sequence[int]) -> dict[int, Resource]:
    """The resources of these ids; an unknown id is left out."""
    if not ids:
        return {}
    sql = "SELECT id, any(resource) AS resource FROM resources WHERE id IN {ids:Array(UInt64)} GROUP BY id"
    return from_rows(engine.query(sql, {"ids": sorted(set(ids))}))


class KnownResources:
    """Writes a resource the first time this process sees it. Thread-safe; a resource written twice is one row after a merge."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._stored: dict[int, None] = {}

    def store(self, resources: Iterable[Resource], received_ns: int) -> None:
        new = {}
        for resource in resources:
            id_ = resource_id(resource)
            if id_ not in self._stored:
                new[id_] = resource
        if not new:
            return
        self._engine.insert("resources", to_columns(new, received_ns))
        with self._lock:
            if len(self._stored) + len(new) > _CAPACITY:
                self._stored.clear()
            self._stored.update(dict.fromkeys(new))


def to_columns(resources: dict[int, Resource], received_ns: int) -> dict[str, tuple[str, list[Any]]]:
    """Resources by id to the columns of table `resources`."""
    values = list(resources.values())
    return {
        "id": ("UInt64", list(resources)),
        "service": ("LowCardinality(String)", [resource.service_name for resource in values]),
        "version": ("LowCardinality(String)", [resource.service_version for resource in values]),
        "environment": ("LowCardinality(String)", [resource.environment for resource in values]),
        "host": ("String", [resource.host for resource in values]),
        "resource": ("String", [_identity.encode(resource) for resource in values]),
        "first_seen": ("DateTime64(3, 'UTC')", [received_ns // 1_000_000] * len(values)),
    }
