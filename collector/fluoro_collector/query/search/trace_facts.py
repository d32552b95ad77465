"""What a summary says of a trace besides the columns of `traces`: annotations, users, accounts, instances, zones, ARNs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Union

from fluoro_collector.query.resource_places import NOWHERE, resource_places
from fluoro_collector.query.sql import statement
from fluoro_collector.store.engine import Engine

MOST = 10_000  # facts of one trace; X-Ray indexes 50 annotations of one
_REACH = 3600 * 1_000_000_000  # how far after its start the rows of a trace are looked for, as search does


class Service(NamedTuple):
    """Name, type and account; type and account may be ""."""

    name: str
    type: str
    account: str


@dataclass
class TraceFacts:
    """Dicts of None are ordered sets.

    `annotations`: key → value → the services that set it; a value goes with the name of its type, since True and 1.0 are
    equal in Python. `accounts`: (name, type) of a node → its account.
    """

    annotations: dict[str, dict[tuple[str, Union[str, float, bool]], dict[Service, None]]] = field(default_factory=dict)
    users: dict[str, dict[Service, None]] = field(default_factory=dict)
    accounts: dict[tuple[str, str], str] = field(default_factory=dict)
    arns: dict[str, None] = field(default_factory=dict)
    instances: dict[str, None] = field(default_factory=dict)
    zones: dict[str, None] = field(default_factory=dict)


def trace_facts(engine: Engine, ids: Sequence[bytes], begin_ns: int, end_ns: int) -> dict[bytes, TraceFacts]:
    """Facts of these traces, which began in [begin_ns, end_ns); empty ones of a trace that has none."""
    found = {id_: TraceFacts() for id_ in ids}
    if not found:
        return found
    params = {"ids": list(found), "from": begin_ns, "until": end_ns + _REACH, "most": MOST}
    columns = engine.query(statement("trace_facts"), params)
    places = resource_places(engine, columns["resource_id"])
    rows = list(zip(*columns.values(), strict=True))
    types: dict[tuple[bytes, str], str] = {}
    for trace_id, service, resource_id, kind, name, _ in rows:
        if kind == "entry":
            facts, place = found[trace_id], places.get(resource_id, NOWHERE)
            types[trace_id, service] = name
            if place.account:
                facts.accounts[service, name] = place.account
            if place.instance:
                facts.instances[place.instance] = None
            if place.zone:
                facts.zones[place.zone] = None
    for trace_id, service, _, kind, name, value in rows:
        facts = found[trace_id]
        type_ = types.get((trace_id, service), "")
        who = Service(service, type_, facts.accounts.get((service, type_), ""))
        if kind in ("text", "number"):
            facts.annotations.setdefault(name, {}).setdefault(_value(kind, value), {})[who] = None
        elif kind == "user":
            facts.users.setdefault(name, {})[who] = None
        elif kind == "arn":
            facts.arns[name] = None
    return found


def _value(kind: str, text: str) -> tuple[str, Union[str, float, bool]]:
    if kind == "number":
        return "float", float(text)
    return ("bool", text == "true") if text in ("true", "false") else ("str", text)
