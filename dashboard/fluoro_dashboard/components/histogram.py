"""Histogram of durations with drag selection (`frontend/histogram.js`)."""

from __future__ import annotations

from collections.abc import Callable

from fluoro_dashboard.components.registry import component


def histogram(durations: list[float], on_brush: Callable[[], None], *, key: str) -> None:
    """Draw durations (seconds). A drag calls `on_brush` with `st.session_state[key]["brush"]` = `[low, high]`, the edges of whole bars."""
    component("histogram")(
        key=key, data={"durations": sorted(round(value, 6) for value in durations)}, on_brush_change=on_brush
    )
