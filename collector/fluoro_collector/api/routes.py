"""All routes of `api/` that ask the store or feed it, over one set of query threads."""

from __future__ import annotations

from starlette.routing import BaseRoute

from fluoro_collector.receivers.take import Taker
from fluoro_collector.state import State

from . import dashboard
from .readers import Readers
from .xray import routes as xray


def routes(state: State, taker: Taker) -> list[BaseRoute]:
    """Call it on the running loop."""
    readers = Readers()
    return [*xray.routes(state, taker, readers), *dashboard.routes(state, readers)]
