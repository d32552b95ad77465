"""How a group does: its requests over time beside what is usual, and a verdict on each of its services.

Everything is compared with the 24 hours before (`usual.py`, `insights/`).
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence

import msgspec

from fluoro_collector.insights import keep
from fluoro_collector.insights.detect import WINDOW, judge
from fluoro_collector.insights.history import BUCKET_S, HOUR, REACH_S, History
from fluoro_collector.insights.listing import InsightItem, item
from fluoro_collector.insights.watch import LAG_S
from fluoro_collector.insights.words import share
from fluoro_collector.query.graph.graph_minutes import MINUTE, Dirty
from fluoro_collector.query.graph.outcomes import NONE, Counts, oldest_minute, source
from fluoro_collector.query.graph.service_graph import node_id
from fluoro_collector.query.graph.time_series import series
from fluoro_collector.query.graph.usual import Entries, HealthPoint, Usual
from fluoro_collector.query.groups import Group, Groups
from fluoro_collector.query.search.matching import BUCKET, OUTCOME, UNFINISHED, matching
from fluoro_collector.store.engine import Engine

OK, DEGRADED, UNKNOWN = "ok", "degraded", "unknown"
_KEPT_GROUPS = 64  # whose histories stay in memory


class NodeHealth(msgspec.Struct, kw_only=True):
    """A service in the last minutes: `faults` among `requests`, of which `low` to `high` are usual (null: not known).

    `verdict` is "ok", "degraded" or "unknown"; `why` says it in a sentence.
    """

    id: str
    name: str
    type: str
    verdict: str
    why: str
    requests: int
    faults: int
    low: int | None
    high: int | None


class Health(msgspec.Struct, kw_only=True):
    """`start` and `end` are the range asked for, widened to whole periods; `judged` is the end of the minutes that the
    verdicts are about, the last ones of the range that are complete. Worst services first.
    """

    group: str
    start: float
    end: float
    period: int
    judged: float
    verdict: str
    why: str
    points: list[HealthPoint]
    nodes: list[NodeHealth]
    insights: list[InsightItem]


class HealthView:
    """Thread-safe; keeps what it has read of the last day, so a second look is cheap. Blocks on the engine."""

    def __init__(self, engine: Engine, dirty: Dirty, groups: Groups, now: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._dirty = dirty
        self._groups = groups
        self._now = now
        self._lock = threading.Lock()
        self._histories: dict[tuple[str, str], History] = {}

    def health(self, name: str, start: float, end: float, period: int = MINUTE) -> Health | None:
        """Of the group in [start, end) (epoch seconds); `period` is a multiple of 60. None: there is no such group.

        Raises FilterError when its expression cannot be answered.
        """
        group = self._groups.find(name=name)
        if group is None:
            return None
        first, last = math.floor(start / period) * period, math.ceil(end / period) * period
        judged = max(int(min(end, self._now() - LAG_S)) // MINUTE * MINUTE, HOUR + BUCKET_S)
        nodes = self._nodes(group, judged)
        found = keep.find(self._engine, start, end, group=group.name, events=True)
        verdict, why = _overall(nodes, [each.summary for each in found if each.end is None and each.start < judged])
        return Health(
            group=group.name,
            start=float(first),
            end=float(last),
            period=period,
            judged=float(judged),
            verdict=verdict,
            why=why,
            points=self._points(group, first, last, period),
            nodes=nodes,
            insights=[item(each) for each in found],
        )

    def _nodes(self, group: Group, judged: int) -> list[NodeHealth]:
        read = source(self._engine, self._dirty, group.expression, self._groups)
        window = [*read(judged - WINDOW * MINUTE, judged, MINUTE, False).values()]
        around = (judged - HOUR) // BUCKET_S * BUCKET_S, math.ceil(judged / BUCKET_S) * BUCKET_S
        hour = read(*around, BUCKET_S, False)
        key = group.name, group.expression
        with self._lock:
            history = self._histories.pop(key, None) or History(read, lambda: oldest_minute(self._engine))
            self._histories[key] = history  # the last one used is the last to go
            while len(self._histories) > _KEPT_GROUPS:
                del self._histories[next(iter(self._histories))]
        expected = history.expected(judged - MINUTE)
        names = {node for outcomes in (*hour.values(), *window) for node in outcomes.nodes}
        found = []
        for node in sorted(names):
            counts = [outcomes.nodes.get(node, NONE) for outcomes in window]
            known = expected(node)
            verdict = None if known is None else judge(known, counts)
            total, faults = sum(each.total for each in counts), sum(each.fault for each in counts)
            band = None if known is None else known.band(total)
            state, why = UNKNOWN, f"no requests in the last {WINDOW} minutes"
            if total:
                why = f"{share(faults / total)} of {total:,} requests failed in the last {WINDOW} minutes"
                if verdict is None or known is None:
                    why += "; there were too few before to know what is usual"
                else:
                    state = DEGRADED if verdict.anomalous else OK
                    why += f"; {share(known.rate)} are usual"
            found.append(
                NodeHealth(
                    id=node_id(node),
                    name=node[0],
                    type=node[1],
                    verdict=state,
                    why=why,
                    requests=total,
                    faults=faults,
                    low=band.low if band else None,
                    high=band.high if band else None,
                )
            )
        rank = (DEGRADED, UNKNOWN, OK)
        return sorted(found, key=lambda node: (rank.index(node.verdict), -node.faults, -node.requests, node.id))

    def _points(self, group: Group, first: int, last: int, period: int) -> list[HealthPoint]:
        entries = self._entries(group, first, last, period)
        begin = max(first // HOUR * HOUR - REACH_S, 0)
        before = self._entries(group, begin, max((last - 1) // HOUR * HOUR, begin + BUCKET_S), BUCKET_S)
        points = []
        usual: Usual | None = None
        for moment, here in entries.items():
            hour = moment // HOUR * HOUR
            if usual is None or usual.hour != hour:
                usual = Usual(hour, before)
            points.append(usual.point(moment, here, period))
        return points

    def _entries(self, group: Group, first: int, last: int, period: int) -> dict[int, Entries]:
        """Requests of clients; of a group with an expression its traces, as their roots tell."""
        if not group.expression.strip():
            sums = series(self._engine, self._dirty, first, last, period)
            return {
                moment: Entries(Counts(each.ok, each.error, each.throttle, each.fault), each.histogram)
                for moment, each in sorted(sums.items())
            }
        counts = {moment: [0, 0, 0, 0] for moment in range(first, last, period)}
        histograms: dict[int, dict[int, int]] = {moment: {} for moment in counts}
        columns = ("toUnixTimestamp(began) AS second", OUTCOME, BUCKET)
        for part in matching(self._engine, self._dirty, first, last, group.expression, columns, groups=self._groups):
            rows = self._engine.query(part.within("trace_series"), {**part.params, "period": period})
            for moment, outcome, bucket, traces in zip(*rows.values(), strict=True):
                counts[moment][outcome] += traces
                if bucket != UNFINISHED:
                    histograms[moment][bucket] = histograms[moment].get(bucket, 0) + traces
        return {moment: Entries(Counts(*each), histograms[moment]) for moment, each in counts.items()}


def _overall(nodes: Sequence[NodeHealth], active: Sequence[str]) -> tuple[str, str]:
    """The group's verdict: that of its worst service; an active insight outweighs them."""
    if active:
        return DEGRADED, active[0]
    degraded = [node for node in nodes if node.verdict == DEGRADED]
    if degraded:
        more = f" ({len(degraded) - 1} more)" if len(degraded) > 1 else ""
        return DEGRADED, f"{degraded[0].name}: {degraded[0].why}{more}"
    known = sum(node.verdict == OK for node in nodes)
    if not known:
        return UNKNOWN, nodes[0].why if nodes else "no requests in the last hour"
    return OK, f"{known} of {len(nodes)} services are in their bands"
