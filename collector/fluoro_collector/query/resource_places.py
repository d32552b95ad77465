"""Where resources run: account, instance, availability zone, host."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from fluoro.model import Resource
from fluoro_collector.query.sql import statement
from fluoro_collector.store.engine import Engine


class Place(NamedTuple):
    """Empty text is unknown. `instance` is the resource's `host.id`, on EC2 the instance id."""

    account: str = ""
    instance: str = ""
    zone: str = ""
    host: str = ""


NOWHERE = Place()


def resource_places(engine: Engine, ids: Iterable[int]) -> dict[int, Place]:
    """Places of these resources by id; one that names nothing is left out."""
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    columns = engine.query(statement("resource_places"), {"ids": wanted})
    return {id_: Place(*place) for id_, *place in zip(*columns.values(), strict=True)}


def place_of(resource: Resource) -> Place:
    """The same, of a resource that is at hand."""
    found = (resource.attributes.get(name) for name in ("cloud.account.id", "host.id", "cloud.availability_zone"))
    account, instance, zone = (value if isinstance(value, str) else "" for value in found)
    return Place(account, instance, zone, resource.host)
