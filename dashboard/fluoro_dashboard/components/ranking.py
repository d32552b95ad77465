"""All nodes as a table that sorts by any column (`frontend/ranking.js`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fluoro_dashboard.components.registry import component


def ranking(rows: list[dict[str, Any]], on_pick: Callable[[], None], *, key: str) -> None:
    """Draw rows of `map_data.ranking`. A click on one calls `on_pick` with `st.session_state[key]["pick"]` = its node's id."""
    component("ranking")(key=key, data={"rows": rows}, on_pick_change=on_pick)
