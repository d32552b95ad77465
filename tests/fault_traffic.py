"""Minutes of requests through a small shop, with as many faults as a test wants: web → orders → the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fluoro.model import Kind, Resource, Segment, Sql
from fluoro_collector.rollup import Rollup
from fluoro_collector.store.store import Store

SECOND = 1_000_000_000
MINUTE = 60
WEB, ORDERS, DATABASE = ("web", ""), ("orders", "AWS::ECS::Container"), ("shop@db", "Database::SQL")

# Minute number → (requests, of them faults of the database, of orders alone, of web alone). Faults below reach web.
Plan = Callable[[int], tuple[int, int, int, int]]


def steady(minute: int) -> tuple[int, int, int, int]:
    """Twenty requests a minute without any fault."""
    return 20, 0, 0, 0


def traffic(first: int, minutes: int, plan: Plan, environment: str = "prod") -> list[tuple[Resource, list[Segment]]]:
    """From `first` (epoch seconds) on; ids are deterministic."""
    found: dict[str, list[Segment]] = {"web": [], "orders": []}
    for number in range(minutes):
        requests, database, orders, web = plan(number)
        for request in range(requests):
            at = (first + number * MINUTE) * SECOND + request * (60 * SECOND // max(requests, 1))
            below = request < database
            middle = below or request < database + orders
            outer = middle or request < database + orders + web
            for service, segment in _trace(at, below, middle, outer):
                found[service].append(segment)
    return [(Resource(service_name=name, environment=environment), rows) for name, rows in found.items()]


def _trace(at: int, database: bool, orders: bool, web: bool) -> Iterator[tuple[str, Segment]]:
    trace_id = (at // SECOND).to_bytes(4, "big") + at.to_bytes(12, "big")
    name, origin = ORDERS
    yield "web", Segment(trace_id, 1, 0, "web", at, at + 90_000_000, Kind.SERVER, fault=web)
    yield "web", Segment(trace_id, 2, 1, name, at + 1, at + 80_000_000, Kind.CLIENT, True, "remote", fault=orders)
    yield "orders", Segment(trace_id, 3, 2, name, at + 2, at + 70_000_000, Kind.SERVER, origin=origin, fault=orders)
    call = Segment(trace_id, 4, 3, DATABASE[0], at + 3, at + 60_000_000, Kind.CLIENT, True, "remote", fault=database)
    call.sql = Sql(database_type="PostgreSQL")
    yield "orders", call


def feed(store: Store, rollup: Rollup, first: int, minutes: int, plan: Plan = steady) -> None:
    """Store the traffic and roll it up."""
    batches = traffic(first, minutes, plan)
    store.insert(batches)
    rollup.touched({segment.start // SECOND for _, rows in batches for segment in rows})
    rollup.run_once()
