"""The service map computed the slow, obvious way: what the SQL must give for any set of rows."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from fluoro.model import Kind, Resource, Segment
from fluoro_collector.decode.peer import peer

Node = tuple[str, str]
Counts = dict[Any, list[int]]  # ok, error, throttle, fault
MINUTE = 60_000_000_000


class Expected:
    """`nodes[(name, type)]`, `edges[(source, target, kind)]` → [ok, error, throttle, fault]; `own`, `roots`.

    `minutes[minute, node]` and `edge_minutes[minute, edge]` (epoch seconds) likewise. `outcomes[node or (source, target)]`:
    a bit (error + 2 * throttle + 4 * fault) for each request. `latest[trace_id, id]`: the row that counts.
    """

    def __init__(self, rows: list[tuple[Resource, Segment]]) -> None:
        self.nodes: Counts = defaultdict(lambda: [0, 0, 0, 0])
        self.edges: Counts = defaultdict(lambda: [0, 0, 0, 0])
        self.minutes: Counts = defaultdict(lambda: [0, 0, 0, 0])
        self.edge_minutes: Counts = defaultdict(lambda: [0, 0, 0, 0])
        self.outcomes: dict[Any, int] = defaultdict(int)
        self.own: set[Node] = set()
        self.roots: set[Node] = set()
        latest: dict[tuple[bytes, int], tuple[Resource, Segment]] = {}
        for resource, segment in rows:
            key = (segment.trace_id, segment.id)
            if key not in latest or latest[key][1].in_progress:
                latest[key] = (resource, segment)
        traces: dict[bytes, dict[int, tuple[Resource, Segment]]] = defaultdict(dict)
        self.latest = latest
        for (trace_id, id_), row in latest.items():
            traces[trace_id][id_] = row
        for trace in traces.values():
            self._trace(trace)

    def _trace(self, trace: dict[int, tuple[Resource, Segment]]) -> None:
        children: dict[int, list[Segment]] = defaultdict(list)
        for _, segment in trace.values():
            if not segment.subsegment:
                children[segment.parent_id].append(segment)
        for _, segment in trace.values():
            if segment.subsegment and segment.namespace:
                self._call(segment, children[segment.id], self._owner(trace, segment))
            elif not segment.subsegment:
                self._entry(trace, segment)

    def _call(self, call: Segment, answers: list[Segment], owner: Node | None) -> None:
        waiting = {(each.name, each.origin) for each in answers if each.kind != Kind.CONSUMER}
        queued = any(each.kind == Kind.CONSUMER for each in answers)
        if not waiting or queued:
            self._node(peer(call), call, inferred=True)
            self._edge(owner, peer(call), "sync", call)
        for target in waiting:
            self._edge(owner, target, "sync", call)

    def _entry(self, trace: dict[int, tuple[Resource, Segment]], segment: Segment) -> None:
        node = (segment.name, segment.origin)
        consumer = segment.kind == Kind.CONSUMER
        source = peer(segment) if consumer else ("", "")
        self._node(node, segment, inferred=False)
        parent = trace[segment.parent_id][1] if segment.parent_id in trace else None
        if source[0]:
            self._edge(source, node, "link", segment)
        elif parent is None:
            self.roots.add(node)
            self._edge((segment.name, "client"), node, "sync", segment)
        elif parent.subsegment and parent.namespace:
            if consumer:
                self._edge(peer(parent), node, "link", segment)
        else:
            owner = self._owner(trace, parent)
            if owner != node:
                self._edge(owner, node, "link" if consumer else "sync", segment)

    def _owner(self, trace: dict[int, tuple[Resource, Segment]], segment: Segment) -> Node | None:
        resource = trace[segment.id][0]
        own = segment.name if not segment.subsegment else segment.service or resource.service_name
        above: Segment | None = segment
        seen: set[int] = set()
        while above is not None and above.subsegment:
            if above.id in seen:
                above = None
                break
            seen.add(above.id)
            above = trace[above.parent_id][1] if above.parent_id in trace else None
        if above is not None and own in ("", above.name):
            return above.name, above.origin
        return (own, segment.origin) if own else None

    def _node(self, node: Node, segment: Segment, *, inferred: bool) -> None:
        self.nodes[node][_class(segment)] += 1
        self.minutes[segment.start // MINUTE * 60, node][_class(segment)] += 1
        self.outcomes[node] |= 1 << _flags(segment)
        if not inferred:
            self.own.add(node)

    def _edge(self, source: Node | None, target: Node, kind: str, segment: Segment) -> None:
        if source is not None:
            self.edges[source, target, kind][_class(segment)] += 1
            self.edge_minutes[segment.start // MINUTE * 60, (source, target, kind)][_class(segment)] += 1
            self.outcomes[source, target] |= 1 << _flags(segment)


def _class(segment: Segment) -> int:
    return 3 if segment.fault else 2 if segment.throttle else 1 if segment.error else 0


def _flags(segment: Segment) -> int:
    return segment.error + 2 * segment.throttle + 4 * segment.fault
