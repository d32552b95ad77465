"""What every family of operations works with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fluoro_collector.query.graph.graph_minutes import Dirty
from fluoro_collector.query.groups import Groups
from fluoro_collector.sampling.targets import Sampling
from fluoro_collector.store.configuration import Configuration
from fluoro_collector.store.engine import Engine

Body = dict[str, Any]

MAX_EXPRESSION = 2000  # characters of a filter
LATEST = float((1 << 32) - 7200)  # epoch seconds; minutes are stored as 32 bits


@dataclass(frozen=True)
class Shared:
    """`longest_graph` and `longest_search` are the greatest ranges in seconds; `now` gives epoch seconds.

    `daemons_reported(segments by what became of them, errors of connections)` counts what PutTelemetryRecords brings.
    """

    engine: Engine
    dirty: Dirty
    configuration: Configuration
    groups: Groups
    sampling: Sampling
    daemons_reported: Callable[[Mapping[str, int], int], object]
    longest_graph: float
    longest_search: float
    now: Callable[[], float]


# Input members that `inputs` has checked in, output members out. It blocks; routes run it in a thread.
Operation = Callable[[Shared, Body], Body]
