"""Which anomalies belong together, and which of them is the cause: reachability in the service map."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from fluoro_collector.query.graph.outcomes import Pair
from fluoro_collector.query.graph.service_graph import NodeKey

Links = Mapping[NodeKey, Collection[NodeKey]]


def links(edges: Iterable[Pair], *, backwards: bool = False) -> dict[NodeKey, set[NodeKey]]:
    """Callees of each caller; callers of each callee when `backwards`."""
    found: dict[NodeKey, set[NodeKey]] = defaultdict(set)
    for source, target in edges:
        if backwards:
            source, target = target, source  # noqa: PLW2901 - the edge turned round
        found[source].add(target)
    return dict(found)


def reach(begin: Iterable[NodeKey], along: Links, within: Collection[NodeKey] | None = None) -> dict[NodeKey, int]:
    """Nodes that can be reached (over nodes of `within` only) → steps to there; `begin` itself with 0."""
    steps = dict.fromkeys(begin, 0)
    edge = list(steps)
    while edge:
        following = []
        for node in edge:
            for other in along.get(node, ()):
                if other not in steps and (within is None or other in within):
                    steps[other] = steps[node] + 1
                    following.append(other)
        edge = following
    return steps


def together(
    nodes: Collection[NodeKey], edges: Iterable[Pair], also: Iterable[Collection[NodeKey]] = ()
) -> list[set[NodeKey]]:
    """`nodes` in parts that are connected by edges between them, or by standing in one of `also`."""
    both: dict[NodeKey, set[NodeKey]] = defaultdict(set)
    for source, target in edges:
        both[source].add(target)
        both[target].add(source)
    for group in also:
        first, *rest = group
        for other in rest:
            both[first].add(other)
            both[other].add(first)
    left = set(nodes)
    parts = []
    for node in sorted(left):
        if node in left:
            part = set(reach([node], both, nodes))
            left -= part
            parts.append(part)
    return parts


def root_cause(faults: Mapping[NodeKey, int], edges: Collection[Pair]) -> NodeKey:
    """Of anomalous nodes (→ how many faults) the deepest callee: it calls no other one, save those that call it back.

    Of several the one farthest from where the anomaly meets the outside, then that with the most faults, then by name.
    """
    down, up = links(edges), links(edges, backwards=True)
    below = {node: set(reach([node], down, faults)) for node in faults}
    deepest = [node for node in faults if all(node in below[other] for other in below[node])]
    outer = [node for node in faults if not any(other in faults and other != node for other in up.get(node, ()))]
    depth = reach(outer or deepest, down, faults)
    return min(deepest, key=lambda node: (-depth.get(node, 0), -faults[node], node))


def clients_of(node: NodeKey, edges: Collection[Pair]) -> list[Pair]:
    """The edges of clients through whose requests `node` is reached."""
    above = reach([node], links(edges, backwards=True))
    return [(source, target) for source, target in edges if source[1] == "client" and target in above]
