"""What an insight is, as it is stored. Times are epoch seconds; minutes are multiples of 60."""

from __future__ import annotations

import uuid
from typing import NamedTuple

import msgspec

from fluoro_collector.query.graph.outcomes import Counts
from fluoro_collector.query.graph.service_graph import NodeKey

MAX_EVENTS = 200  # of one insight; the last is kept for its end
_NAMESPACE = uuid.UUID("6a3f2c0e-4f0e-5d0b-9a58-1f2f6d8f0c11")


class Service(NamedTuple):
    """A node of the service map."""

    name: str
    type: str

    @property
    def key(self) -> NodeKey:
        return self.name, self.type


class Impact(msgspec.Struct, frozen=True):
    """Requests. `total` has those that failed by their caller's mistake (4xx) too, which are neither ok nor faults."""

    ok: int = 0
    fault: int = 0
    total: int = 0

    def plus(self, counts: Counts | Impact) -> Impact:
        return Impact(self.ok + counts.ok, self.fault + counts.fault, self.total + counts.total)

    def minus(self, other: Impact) -> Impact:
        return Impact(self.ok - other.ok, self.fault - other.fault, self.total - other.total)

    @property
    def share(self) -> float:
        """Of the requests that were faults."""
        return self.fault / self.total if self.total else 0.0


class Event(msgspec.Struct, frozen=True):
    """A change. `client` and `root_cause` are what came since the event before; `services` were anomalous then, the
    most faults first.
    """

    time: int
    summary: str
    client: Impact
    root_cause: Impact
    services: tuple[Service, ...]


class Insight(msgspec.Struct, frozen=True, kw_only=True):
    """Faults of connected services under one root cause.

    `start`: the first minute out of the band; `end`: the end of the last one, None while the insight is active.
    `checked`: the last minute that was looked at, `out` the last in which a service was out of its band. `usual`: the
    share of faults usual for the root cause. `services` are anomalous at `checked` (of a closed one: were last), the most
    faults first; `touched` were at some time.

    `client` and `root_impact` count from `start` to the end of `out`; `pending_*` what came since, which does not belong
    to the insight if it was the last. `told_*` is what events have told, `told_share` the share of client requests that
    failed at the last event.
    """

    id: str
    group: str
    group_arn: str
    root: Service
    start: int
    checked: int
    out: int
    usual: float
    summary: str = ""
    end: int | None = None
    services: tuple[Service, ...] = ()
    touched: tuple[Service, ...] = ()
    client: Impact = Impact()
    root_impact: Impact = Impact()
    pending_client: Impact = Impact()
    pending_root: Impact = Impact()
    told_client: Impact = Impact()
    told_root: Impact = Impact()
    told_share: float = 0.0
    events: tuple[Event, ...] = ()

    @property
    def state(self) -> str:
        return "ACTIVE" if self.end is None else "CLOSED"


def insight_id(group: str, root: Service, start: int) -> str:
    """The same in every collector that sees the same anomaly."""
    return str(uuid.uuid5(_NAMESPACE, "\n".join((group, root.name, root.type, str(start)))))
