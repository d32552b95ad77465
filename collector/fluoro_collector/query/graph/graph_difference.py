"""What changed on the service map from one range to another: new, gone, slower, faster, more or less failing.

A change is told only when it is hardly chance (99.9 %: a map has hundreds of nodes and edges, each asked four questions)
and large enough to matter:

- **new**, **gone**: there in one range only. Requests are taken to come evenly: if the element was as busy in both, all its `n`
  requests would fall into the one range with probability (its seconds / seconds of both) ** n, which must be below 0.1 %. For two
  ranges of equal length that takes 10 requests, for a minute against an hour 2; 5 are needed in any case. A range counts
  from its first minute with data, so a store that has just begun makes nothing new.
- **more_failing**, **less_failing**: share of requests with an error, a throttle or a fault. Newcombe's interval for the difference of two
  shares lies on one side of 0, the shares are at least one percentage point apart, and both sides have 20 requests.
- **slower**, **faster**: the histograms' greatest vertical distance (Kolmogorov–Smirnov) is beyond chance, both sides have 50
  finished requests, and the median or the 95th percentile (interpolated within its bucket) moved that way by 20 % or more.
  The distance also sees a tail: 5 % of requests that moved are beyond chance from some 3,000 requests on each side.

**importance** is the share of all requests that a change is about, 0 to 1: for new and gone all requests of the element, for failing
the difference of shares times its requests, for slower and faster the distance times its requests, each divided by the
requests of all nodes (for edges: of all edges) in that range; of several changes the greatest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec

from fluoro_collector.query.filter.groups import Groups, no_groups
from fluoro_collector.query.graph.filtered_graph import filtered_graph
from fluoro_collector.query.graph.graph_minutes import Dirty
from fluoro_collector.query.graph.service_graph import Edge, Node, ServiceGraph
from fluoro_collector.query.graph.statistics import Figures
from fluoro_collector.query.sets.proportions import Difference, difference
from fluoro_collector.store.engine import Engine
from fluoro_collector.store.histogram import FIRST, PER_OCTAVE, bucket

CHANCE = 0.001
Z = 3.2905  # two-sided, CHANCE
KS = math.sqrt(-math.log(CHANCE / 2) / 2)
MIN_PRESENT = 5  # requests
MIN_SHARES = 20
MIN_TIMES = 50
MIN_SHARE = 0.01
MIN_RATIO = 1.2


class Side(msgspec.Struct, kw_only=True):
    """Figures of an element in one range. `failing` = error + throttle + fault, `rate` requests per second.

    Quantiles in seconds, at most 9 % off, null when nothing finished. A client has the figures of its edges.
    """

    total: int
    ok: int
    error: int
    throttle: int
    fault: int
    failing: int
    rate: float
    mean: float | None
    p50: float | None
    p95: float | None
    p99: float | None


class Change(msgspec.Struct, kw_only=True):
    """A node or an edge in both ranges. `changes` may be empty; `now` or `base` is null where the element is not there.

    `source` and `target` are ids of nodes, "" for a node; `name` and `type` are "" for an edge. `kind`: "node", or the edge's
    "sync" or "link". `failing`: [difference of the failing shares, lower, upper bound], null where it was not tested.
    """

    id: str
    kind: str
    name: str
    type: str
    source: str
    target: str
    changes: list[str]
    importance: float
    failing: tuple[float, float, float] | None
    now: Side | None
    base: Side | None


class GraphDifference(msgspec.Struct, kw_only=True):
    """Every node and edge of both maps, those that changed first, by importance. Times in epoch seconds.

    `since`, `base_since`: as `since` of a service graph; null = no data in that range, then everything is on one side only
    and nothing is called new or gone.
    """

    start: float
    end: float
    since: float | None
    base_start: float
    base_end: float
    base_since: float | None
    nodes: list[Change]
    edges: list[Change]


def graph_difference(
    engine: Engine,
    dirty: Dirty,
    start: float,
    end: float,
    base_start: float,
    base_end: float,
    filter_text: str = "",
    *,
    groups: Groups = no_groups,
) -> GraphDifference:
    """[start, end) against [base_start, base_end), epoch seconds; with a filter of matching traces only. Raises FilterError."""
    now = filtered_graph(engine, dirty, start, end, filter_text, groups)
    base = filtered_graph(engine, dirty, base_start, base_end, filter_text, groups)
    return compared(now, base)


def compared(now: ServiceGraph, base: ServiceGraph) -> GraphDifference:
    seconds = _seconds(now), _seconds(base)
    return GraphDifference(
        start=now.start,
        end=now.end,
        since=now.since,
        base_start=base.start,
        base_end=base.end,
        base_since=base.since,
        nodes=_changes(_nodes(now), _nodes(base), seconds),
        edges=_changes(_edges(now), _edges(base), seconds),
    )


class _Element(msgspec.Struct):
    """A node or edge, and what is counted for it: several `Figures` for a client, which has only those of its edges."""

    of: Node | Edge
    figures: list[Figures]


_Elements = dict[tuple[str, str], _Element]


def _nodes(graph: ServiceGraph) -> _Elements:
    calls: dict[str, list[Figures]] = {}
    for edge in graph.edges:
        calls.setdefault(edge.source, []).append(edge)
    return {(node.id, "node"): _Element(node, [node] if node.total else calls.get(node.id, [])) for node in graph.nodes}


def _edges(graph: ServiceGraph) -> _Elements:
    return {(edge.id, edge.kind): _Element(edge, [edge]) for edge in graph.edges}


def _seconds(graph: ServiceGraph) -> float:
    """How much of the range has data; 0 = none."""
    return 0.0 if graph.since is None else max(graph.end - graph.since, 1.0)


def _changes(now: _Elements, base: _Elements, seconds: tuple[float, float]) -> list[Change]:
    totals = tuple(max(sum(_total(each) for each in side.values()), 1) for side in (now, base))
    found = [
        _change(key, now.get(key), base.get(key), seconds, (totals[0], totals[1])) for key in now.keys() | base.keys()
    ]
    found.sort(key=lambda each: (not each.changes, -each.importance, -_busy(each), each.id, each.kind))
    return found


def _busy(change: Change) -> int:
    return max(side.total for side in (change.now, change.base) if side is not None)


def _total(element: _Element) -> int:
    return sum(each.total for each in element.figures)


def _change(
    key: tuple[str, str],
    now: _Element | None,
    base: _Element | None,
    seconds: tuple[float, float],
    totals: tuple[int, int],
) -> Change:
    element = now or base
    if element is None:
        raise ValueError(key)
    sides = tuple(
        None if each is None else _side(each, length) for each, length in zip((now, base), seconds, strict=True)
    )
    changes: dict[str, float] = {}
    failing: Difference | None = None
    if now is None or base is None:
        place = 0 if base is None else 1
        there = seconds[place] / (seconds[0] + seconds[1]) if seconds[1 - place] else 1.0
        requests = _total(element)
        if requests >= MIN_PRESENT and there**requests < CHANCE:
            changes["new" if base is None else "gone"] = requests / totals[place]
    else:
        failing = _failing(now, base)
        if failing is not None and (failing.low > 0 or failing.high < 0) and abs(failing.value) >= MIN_SHARE:
            weight = abs(failing.value) * max(_total(now) / totals[0], _total(base) / totals[1])
            changes["more_failing" if failing.value > 0 else "less_failing"] = weight
        shift = latency_shift(_histogram(now), _histogram(base))
        if shift:
            weight = abs(shift) * max(_total(now) / totals[0], _total(base) / totals[1])
            changes["slower" if shift > 0 else "faster"] = weight
    of = element.of
    return Change(
        id=of.id,
        kind=key[1],
        name=of.name if isinstance(of, Node) else "",
        type=of.type if isinstance(of, Node) else "",
        source=of.source if isinstance(of, Edge) else "",
        target=of.target if isinstance(of, Edge) else "",
        changes=sorted(changes, key=lambda name: (-changes[name], name)),
        importance=max(changes.values(), default=0.0),
        failing=None if failing is None else (failing.value, failing.low, failing.high),
        now=sides[0],
        base=sides[1],
    )


def _failing(now: _Element, base: _Element) -> Difference | None:
    totals = _total(now), _total(base)
    if min(totals) < MIN_SHARES:
        return None
    failing = [sum(each.total - each.ok for each in element.figures) for element in (now, base)]
    return difference(failing[0], totals[0], failing[1], totals[1], Z)


def latency_shift(now: Mapping[int, int], base: Mapping[int, int]) -> float:
    """The signed Kolmogorov–Smirnov distance of two histograms by bucket: > 0 slower, < 0 faster, 0 no change to tell of."""
    count, base_count = sum(now.values()), sum(base.values())
    if min(count, base_count) < MIN_TIMES:
        return 0.0
    below = base_below = 0
    distance = 0.0
    for index in sorted(now.keys() | base.keys()):
        below += now.get(index, 0)
        base_below += base.get(index, 0)
        apart = base_below / base_count - below / count
        if abs(apart) > abs(distance):
            distance = apart
    if abs(distance) <= KS * math.sqrt((count + base_count) / (count * base_count)):
        return 0.0
    ratios = [_interpolated(now, share) / _interpolated(base, share) for share in (0.5, 0.95)]
    moved = max(ratios) >= MIN_RATIO if distance > 0 else min(ratios) <= 1 / MIN_RATIO
    return distance if moved else 0.0


def _interpolated(histogram: Mapping[int, int], share: float) -> float:
    """The quantile in ns, with the counts of a bucket spread evenly over its logarithm."""
    rank = share * sum(histogram.values())
    seen = 0
    place = 0.0
    for index in sorted(histogram):
        place = index + min((rank - seen) / histogram[index], 1.0)
        seen += histogram[index]
        if seen >= rank:
            break
    return float(2.0 ** ((place + FIRST) / PER_OCTAVE))


def _histogram(element: _Element) -> dict[int, int]:
    found: dict[int, int] = {}
    for each in element.figures:
        for seconds, count in each.histogram:
            index = bucket(round(seconds * 1e9))
            found[index] = found.get(index, 0) + count
    return found


def _side(element: _Element, seconds: float) -> Side:
    figures: Sequence[Figures] = element.figures
    total = sum(each.total for each in figures)
    finished = sum(count for each in figures for _, count in each.histogram)
    one = figures[0] if len(figures) == 1 else None
    ok = sum(each.ok for each in figures)
    return Side(
        total=total,
        ok=ok,
        error=sum(each.error for each in figures),
        throttle=sum(each.throttle for each in figures),
        fault=sum(each.fault for each in figures),
        failing=total - ok,
        rate=total / seconds if seconds else 0.0,
        mean=sum(each.total_time for each in figures) / finished if finished else None,
        p50=one.p50 if one else None,
        p95=one.p95 if one else None,
        p99=one.p99 if one else None,
    )
