"""Traffic by outcome and response time of one node over time (`frontend/series.js`)."""

from __future__ import annotations

from typing import Any

from fluoro_dashboard.components.registry import component

Json = dict[str, Any]
_COLUMNS = ("time", "ok", "error", "throttle", "fault", "p50", "p95")


def series(answer: Json, *, key: str) -> None:
    """Draw an answer of `/api/time-series`: requests stacked by outcome, and p95 (solid) over p50 (dashed)."""
    if answer["points"]:
        points = [[point[column] for column in _COLUMNS] for point in answer["points"]]
        component("series")(key=key, data={"points": points, "period": answer["period"]})
