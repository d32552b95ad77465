"""Traces with everything that they can be told apart by, from a seed, and what brute force says of each."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field

import msgspec

from fluoro.model import Http, Kind, Resource, Segment
from fluoro_collector.store.store import Store

SECOND = 1_000_000_000
OUTCOMES = ("ok", "error", "throttle", "fault")
Rows = list[tuple[Resource, Segment]]


@dataclass
class Facts:
    """One trace. `response_time` in ns, None while the root runs; `values`: key → {(value, is it a number)}."""

    trace_id: bytes
    began: int
    lasted: int
    outcome: int
    response_time: int | None
    values: dict[str, set[tuple[str, int]]] = field(default_factory=lambda: defaultdict(set))


def insert(store: Store, rows: Rows) -> None:
    """In several blocks: within one the engine drops copies before they are stored."""
    for part in range(5):
        store.insert([(resource, [segment]) for resource, segment in rows[part::5]])


def faceted_traces(seed: int, base_ns: int, count: int = 60, spread_s: int = 7200) -> tuple[Rows, list[Facts]]:
    """Rows with copies and unfinished versions among them, in random order; and the facts of each trace."""
    rng = random.Random(seed)
    rows: Rows = []
    facts = []
    for number in range(count):
        began = base_ns + rng.randrange(spread_s) * SECOND + rng.randrange(SECOND)
        trace_id = (began // SECOND).to_bytes(4, "big") + number.to_bytes(4, "big") + rng.randbytes(8)
        members, found = _trace(rng, trace_id, began)
        facts.append(found)
        for resource, segment in members:
            rows.append((resource, segment))
            if rng.random() < 0.2:
                rows.append((resource, segment))
            if rng.random() < 0.3 and not segment.in_progress:
                early = msgspec.structs.replace(
                    segment, in_progress=True, end=0, annotations={"plan": "early"}, user="early"
                )
                rows.append((resource, early))
    rng.shuffle(rows)
    return rows, facts


def _trace(rng: random.Random, trace_id: bytes, began: int) -> tuple[Rows, Facts]:
    outcome = rng.choices(range(4), (6, 2, 1, 2))[0]
    running = rng.random() < 0.1
    took = round(10 ** rng.uniform(5, 10))
    root_resource = Resource(
        service_name=rng.choice(["web", "shop"]),
        service_version=rng.choice(["", "1.0", "1.1"]),
        environment=rng.choice(["", "prod"]),
        host=rng.choice(["", "h1", "h2"]),
    )
    root = Segment(
        trace_id,
        rng.getrandbits(62) + 1,
        0,
        root_resource.service_name,
        began,
        0 if running else began + took,
        Kind.SERVER,
        in_progress=running,
        operation=rng.choice(["GET /", "GET /cart"]),
        error=outcome in (1, 2),
        throttle=outcome == 2,
        fault=outcome == 3,
        annotations=_annotations(rng),
        user=rng.choice(["", "", "ann", "bob"]),
    )
    if rng.random() < 0.8:
        root.http = Http(rng.choice(["GET", "POST"]), f"http://web/{rng.randrange(3)}", rng.choice([0, 200, 404, 500]))
    rows = [(root_resource, root)]
    for _ in range(rng.randrange(3)):
        resource = Resource(
            service_name="pay", service_version=rng.choice(["2.0", "2.1"]), host=rng.choice(["h2", "h3"])
        )
        start = began + rng.randrange(1, SECOND)
        end = start + rng.randrange(SECOND)
        user = rng.choice(["", "bob", "eve"])
        child = Segment(trace_id, rng.getrandbits(62) + 1, root.id, "pay", start, end, Kind.SERVER, user=user)
        child.annotations = _annotations(rng)
        rows.append((resource, child))
    return rows, _facts(trace_id, outcome, rows)


def _annotations(rng: random.Random) -> dict[str, str | float | bool]:
    found: dict[str, str | float | bool] = {}
    if rng.random() < 0.6:
        found["plan"] = rng.choice(["gold", "free", "5", 5, 2.5, True, 'it\'s \\ "q"'])
    if rng.random() < 0.3:
        found["cart.size"] = rng.randrange(3)
    return found


def _facts(trace_id: bytes, outcome: int, rows: Rows) -> Facts:
    root_resource, root = rows[0]
    ends = [max(segment.end, segment.start) for _, segment in rows]
    found = Facts(
        trace_id,
        root.start,
        max(ends) - root.start,
        outcome,
        None if root.in_progress else root.end - root.start,
    )

    def note(key: str, value: str, number: int = 0) -> None:
        if value:
            found.values[key].add((value, number))

    note("operation", root.operation)
    note("environment", root_resource.environment)
    if root.http is not None:
        note("http.method", root.http.method)
        note("http.url", root.http.url)
        note("http.status", str(root.http.status or ""))
    for resource, segment in rows:
        note("service", segment.name)
        note("user", segment.user)
        note("host", resource.host)
        if resource.service_version:
            note("version", f"{segment.name} {resource.service_version}")
        for key, value in (segment.annotations or {}).items():
            if isinstance(value, bool):
                note(f"annotation.{key}", "true" if value else "false")
            elif isinstance(value, str):
                note(f"annotation.{key}", value)
            else:
                note(f"annotation.{key}", f"{value:g}", 1)
    return found
