"""The service map of a time range: stored days, hours and minutes, and dirty minutes computed live."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import msgspec

from fluoro_collector.query.graph.graph_minutes import MINUTE, Dirty, Live, live_minutes
from fluoro_collector.query.graph.levels import Level, cover, leveled
from fluoro_collector.query.graph.statistics import FIGURES, Figures, Statistics, figures
from fluoro_collector.store.engine import Engine

NodeKey = tuple[str, str]
EdgeKey = tuple[NodeKey, NodeKey, str]


class Node(Figures, kw_only=True):
    """Requests a node answered. A client has none: what it saw is on its edge.

    `type` is "" or the origin for a service of its own, "client", or the type of an inferred node ("remote",
    "Database::SQL", "AWS::…"). `root`: traces begin here.
    """

    id: str
    name: str
    type: str
    inferred: bool
    root: bool


class Edge(Figures, kw_only=True):
    """Calls as the caller saw them. `kind` "link": the target took a message, the figures are the target's."""

    id: str
    source: str
    target: str
    kind: str


class ServiceGraph(msgspec.Struct, kw_only=True):
    """`start` and `end` are the range asked for, widened to whole minutes (epoch seconds).

    `since` is the first minute in it that has requests or calls, null when none has: rates count from there.
    """

    start: float
    end: float
    since: float | None
    nodes: list[Node]
    edges: list[Edge]


class Graph:
    """Nodes and edges being added up."""

    def __init__(self) -> None:
        self.nodes: dict[NodeKey, Statistics] = {}
        self.edges: dict[EdgeKey, Statistics] = {}
        self.own: set[NodeKey] = set()
        self.roots: set[NodeKey] = set()
        self.since: int | None = None

    def add_nodes(self, columns: dict[str, list[Any]]) -> None:
        """Rows of `nodes.sql`."""
        self._began(columns["first_minute"])
        rows = zip(columns["name"], columns["type"], columns["inferred"], columns["root"], _rows(columns), strict=True)
        for name, kind, inferred, root, values in rows:
            self._node((name, kind), inferred, root, values)

    def add_edges(self, columns: dict[str, list[Any]]) -> None:
        """Rows of `edges.sql`."""
        self._began(columns["first_minute"])
        names = ("source_name", "source_type", "target_name", "target_type", "relation")
        keys = zip(*(columns[name] for name in names), strict=True)
        for (source, source_type, target, target_type, relation), values in zip(keys, _rows(columns), strict=True):
            self._edge(((source, source_type), (target, target_type), relation), values)

    def add_minutes(self, columns: dict[str, list[Any]]) -> None:
        """Rows of `graph_minutes.sql`."""
        self._began(columns["minute"])
        names = ("relation", "source_name", "source_type", "target_name", "target_type", "inferred", "root")
        keys = zip(*(columns[name] for name in names), strict=True)
        for (relation, source, source_type, target, kind, inferred, root), values in zip(
            keys, _rows(columns), strict=True
        ):
            if relation == "node":
                self._node((target, kind), inferred, root, values)
            else:
                self._edge(((source, source_type), (target, kind), relation), values)

    def _began(self, minutes: Iterable[int]) -> None:
        known = [*minutes] if self.since is None else [self.since, *minutes]
        self.since = min(known, default=None)

    def _node(self, key: NodeKey, inferred: int, root: int, values: tuple[Any, ...]) -> None:
        self.nodes.setdefault(key, Statistics()).add(values)
        if not inferred:
            self.own.add(key)
        if root:
            self.roots.add(key)

    def _edge(self, key: EdgeKey, values: tuple[Any, ...]) -> None:
        self.edges.setdefault(key, Statistics()).add(values)

    def answer(self, first: int, last: int) -> ServiceGraph:
        """The graph, sorted by names. A node that only edges name (a client, a script that serves nothing) has no figures."""
        called = {target for _, target, _ in self.edges}
        for source, target, _ in list(self.edges):
            for key in (source, target):
                if key not in self.nodes:
                    self.nodes[key] = Statistics()
                    if key[1] in ("", "client"):
                        self.own.add(key)
            if source not in called and source[1] == "":
                self.roots.add(source)
        return ServiceGraph(
            start=float(first),
            end=float(last),
            since=None if self.since is None else float(self.since),
            nodes=[
                Node(
                    id=node_id(key),
                    name=key[0],
                    type=key[1],
                    inferred=key not in self.own,
                    root=key in self.roots,
                    **figures(sums),
                )
                for key, sums in sorted(self.nodes.items())
            ],
            edges=[
                Edge(
                    id=f"{node_id(source)}->{node_id(target)}",
                    source=node_id(source),
                    target=node_id(target),
                    kind=kind,
                    **figures(sums),
                )
                for (source, target, kind), sums in sorted(self.edges.items())
            ],
        )


def node_id(key: NodeKey) -> str:
    """(name, type) → "name|type"."""
    return f"{key[0]}|{key[1]}"


def parse_node_id(text: str) -> NodeKey | None:
    """The (name, type) of "name|type"; a name may hold "|", a type does not. None without a "|"."""
    name, bar, kind = text.rpartition("|")
    return (name, kind) if bar else None


def whole_minutes(start: float, end: float) -> tuple[int, int]:
    """The range widened to whole minutes."""
    return math.floor(start / MINUTE) * MINUTE, math.ceil(end / MINUTE) * MINUTE


def service_graph(engine: Engine, dirty: Dirty, start: float, end: float) -> ServiceGraph:
    """The map of requests and calls that began in [start, end) (epoch seconds).

    `dirty(first, last)` names the minutes to compute live (`Rollup.dirty`).
    """
    first, last = whole_minutes(start, end)
    live = dirty(first, last)
    graph = Graph()
    for level, periods in cover(first, last, live):
        graph.add_nodes(_stored(engine, live, "nodes", level, periods))
        graph.add_edges(_stored(engine, live, "edges", level, periods))
    for columns in live_minutes(engine, live):
        graph.add_minutes(columns)
    return graph.answer(first, last)


def _stored(engine: Engine, live: Live, name: str, level: Level, periods: list[int]) -> dict[str, list[Any]]:
    def ask() -> dict[str, list[Any]]:
        return engine.query(leveled(name, level), {"periods": periods}, {"max_threads": 1})

    return live.kept((name, live.version, level, *periods), ask)


def _rows(columns: dict[str, list[Any]]) -> Iterable[tuple[Any, ...]]:
    return zip(*(columns[name] for name in FIGURES), strict=True)
