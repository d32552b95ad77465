"""What the routes of `api/` and the receivers are built with: `routes(state) -> list[BaseRoute]`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from fluoro_collector.counters import Counters
from fluoro_collector.ingest import Ingest
from fluoro_collector.rollup import Rollup
from fluoro_collector.sampling.targets import Sampling
from fluoro_collector.settings import Settings
from fluoro_collector.store.configuration import Configuration
from fluoro_collector.store.store import Store


@dataclass
class State:
    """Everything one collector process runs on. Built once by `serve`, in the order of the fields.

    `doors` maps a door that is open to its address as people write it ("grpc": "127.0.0.1:4317"); `/readyz` and the
    start page read it. `store.engine` blocks: call it in a worker thread, never on the event loop.
    """

    settings: Settings
    counters: Counters
    store: Store
    rollup: Rollup
    ingest: Ingest
    configuration: Configuration
    sampling: Sampling
    doors: dict[str, str] = field(default_factory=dict)
    stopping: Callable[[], bool] = lambda: False
