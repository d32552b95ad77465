"""What `bench_store.py` asks: of fluoro through the functions that the API calls, of the peer in SQL.

Each question returns what both must agree on. "newest 50" is a page of the search.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import store_shapes
from store_peer import Peer

from fluoro_collector.query.graph import service_graph, time_series
from fluoro_collector.query.graph.graph_minutes import Live
from fluoro_collector.query.search import search
from fluoro_collector.query.trace import trace
from fluoro_collector.rollup import Rollup
from fluoro_collector.store.engine import Engine

HOUR, DAY = 3600, 86_400
PAGE = 50
SERVICE = store_shapes.NAMES[store_shapes.FRONTS]
SLOW_S = 1


@dataclass(frozen=True)
class Question:
    """`fluoro` and `peer` take the number of the round, so that no round asks for what another has just read.

    `alike`: their answers are compared. (A page by service is not: what is newest is the trace here, the span there.)
    """

    name: str
    fluoro: Callable[[int], Any]
    peer: Callable[[Peer, int], Any]
    alike: bool = True


class Questions:
    """Over the traces of [first, end), epoch seconds. Call `look_around` after rows were added."""

    def __init__(self, engine: Engine, rollup: Rollup, first: int, end: int) -> None:
        self.engine = engine
        self.rollup = rollup
        self.first, self.end = first, end
        self.whole = f"{(end - first) // DAY} d"
        self._xray: list[bytes] = []
        self._random: list[bytes] = []
        self._rare: list[tuple[str, str]] = []

    def look_around(self) -> None:
        """Pick ids and values of stored traces to ask for."""
        chance = random.Random(3)
        self._xray, self._random, self._rare = [], [], []
        for _ in range(12):
            moment = chance.randrange(self.first, self.end - HOUR)
            found = self.engine.query(
                "SELECT trace_id, annotations['order.id'] AS order_id, user FROM segments"
                " WHERE start >= toDateTime({moment:UInt32}, 'UTC') AND start < toDateTime({moment:UInt32}, 'UTC') + 3600"
                " AND parent_id = 0 AND order_id != '' ORDER BY start LIMIT 300",
                {"moment": moment},
            )
            for trace_id, order, user in zip(*found.values(), strict=True):
                seconds = int.from_bytes(trace_id[:4], "big")
                ids = self._xray if self.first - HOUR <= seconds < self.end else self._random
                ids.append(trace_id)
                self._rare.append((order, user))
        for each in (self._xray, self._random, self._rare):
            chance.shuffle(each)

    def all(self) -> list[Question]:
        return [
            Question(
                "trace by id: X-Ray",
                lambda n: self._trace(self._nth(self._xray, n)),
                lambda peer, n: peer.trace(self._nth(self._xray, n)),
            ),
            Question(
                "trace by id: random (W3C)",
                lambda n: self._trace(self._nth(self._random, n)),
                lambda peer, n: peer.trace(self._nth(self._random, n)),
            ),
            Question(
                "trace by id: not stored", lambda n: self._trace(_missing(n)), lambda peer, n: peer.trace(_missing(n))
            ),
            *(self._roots(name, span) for name, span in (("1 h", HOUR), (self.whole, self.end - self.first))),
            *(self._slow(name, span) for name, span in (("1 h", HOUR), (self.whole, self.end - self.first))),
            *(self._service(name, span) for name, span in (("1 h", HOUR), (self.whole, self.end - self.first))),
            Question(
                f"annotation of one trace, {self.whole}",
                lambda n: self._search(f'annotation.order.id = "{self._nth(self._rare, n)[0]}"', 0),
                lambda peer, n: peer.attribute(self.first, self.end, "order.id", self._nth(self._rare, n)[0], PAGE),
            ),
            Question(
                f"user of some traces, {self.whole}",
                lambda n: self._search(f'user = "{self._nth(self._rare, n)[1]}"', 0),
                lambda peer, n: peer.attribute(self.first, self.end, "user.id", self._nth(self._rare, n)[1], PAGE),
            ),
            *(
                self._map(name, span)
                for name, span in (("1 h", HOUR), ("24 h", DAY), (self.whole, self.end - self.first))
            ),
            self._series("24 h by minute", DAY, 60),
            self._series(f"{self.whole} by hour", self.end - self.first, HOUR),
        ]

    def _roots(self, name: str, span: int) -> Question:
        start = self.end - span
        return Question(
            f"fault = true, newest {PAGE} of {name}",
            lambda n: self._search("fault = true", start),
            lambda peer, n: peer.roots(start, self.end, "StatusCode = 'Error'", PAGE),
        )

    def _slow(self, name: str, span: int) -> Question:
        start = self.end - span
        return Question(
            f"responsetime > {SLOW_S}, newest {PAGE} of {name}",
            lambda n: self._search(f"responsetime > {SLOW_S}", start),
            lambda peer, n: peer.roots(start, self.end, f"Duration > {SLOW_S * 10**9}", PAGE),
        )

    def _service(self, name: str, span: int) -> Question:
        start = self.end - span
        return Question(
            f"service(), newest {PAGE} of {name}",
            lambda n: self._search(f'service("{SERVICE}")', start),
            lambda peer, n: peer.spans(start, self.end, "ServiceName = {service:String}", PAGE, service=SERVICE),
            alike=False,
        )

    def _map(self, name: str, span: int) -> Question:
        start = self.end - span
        return Question(
            f"service map of {name}",
            lambda n: len(service_graph.service_graph(self.engine, self._dirty, start, self.end).nodes),
            lambda peer, n: peer.service_map(start, self.end),
            alike=False,
        )

    def _series(self, name: str, span: int, period: int) -> Question:
        start = self.end - span

        def ours(n: int) -> int:
            found = time_series.time_series(
                self.engine, self._dirty, start, self.end, period, (SERVICE, self._origin())
            )
            return sum(point.total for point in found.points)

        return Question(
            f"time series of a service, {name}", ours, lambda peer, n: peer.series(start, self.end, SERVICE, period)
        )

    def _origin(self) -> str:
        return store_shapes.resource(store_shapes.FRONTS, 0, 0)[1]

    def _trace(self, trace_id: bytes) -> int:
        return len(trace.rows(self.engine, trace_id, now=self.end))

    def _search(self, text: str, start: int) -> set[str]:
        found, _ = search.search(self.engine, self._dirty, start or self.first, self.end, text, PAGE)
        return {position.trace_id.hex() for position in found}

    def _dirty(self, first: int, last: int) -> Live:
        """What the API asks, without the answers it keeps: every round must do the work."""
        return self.rollup.dirty(first, last)._replace(memo=None)

    @staticmethod
    def _nth(values: list[Any], number: int) -> Any:
        return values[number % len(values)]


def _missing(number: int) -> bytes:
    """A random id that no trace has."""
    return random.Random(f"missing {number}").randbytes(16)
