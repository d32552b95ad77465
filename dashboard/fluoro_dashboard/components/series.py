"""Traffic by outcome and response time of one node over time, in Altair."""

from __future__ import annotations

from typing import Any

import streamlit as st

from fluoro_dashboard.map_data import OUTCOMES
from fluoro_dashboard.theme import OUTCOME_COLOURS

Json = dict[str, Any]
_HEIGHT = 112


def series(answer: Json) -> None:
    """Draw an answer of `/api/time-series`: stacked requests per second, and p95 (solid) over p50 (dashed)."""
    import altair as alt  # half a second of import, needed only once something is selected

    points = answer["points"]
    if not points:
        return
    counts = [
        {"time": point["time"] * 1000, "outcome": outcome, "order": order, "rate": point[outcome] / answer["period"]}
        for point in points
        for order, outcome in enumerate(OUTCOMES)
    ]
    latency = [
        {"time": point["time"] * 1000, "quantile": name, "ms": point[name] * 1000}
        for point in points
        for name in ("p95", "p50")
        if point[name] is not None
    ]
    days = points[-1]["time"] - points[0]["time"] > 2 * 86400
    x = alt.X(
        "time:T",
        axis=alt.Axis(title=None, format="%b %d" if days else "%H:%M", tickCount=5, labelOverlap=True, grid=False),
    )
    traffic = (
        alt.Chart(alt.InlineData(values=counts), height=_HEIGHT)
        .mark_area(interpolate="step-after")
        .encode(
            x=x,
            y=alt.Y("rate:Q", stack=True, axis=alt.Axis(title="req/s", tickCount=3)),
            color=alt.Color(
                "outcome:N",
                legend=None,
                scale=alt.Scale(domain=list(OUTCOME_COLOURS), range=list(OUTCOME_COLOURS.values())),
            ),
            order=alt.Order("order:Q", sort="descending"),
            tooltip=[
                alt.Tooltip("time:T", format="%b %d %H:%M"),
                "outcome:N",
                alt.Tooltip("rate:Q", format=".3~g", title="req/s"),
            ],
        )
    )
    lines = (
        alt.Chart(alt.InlineData(values=latency), height=_HEIGHT)
        .mark_line(strokeWidth=1.8)
        .encode(
            x=x,
            y=alt.Y("ms:Q", axis=alt.Axis(title="p95, p50 (ms)", tickCount=3)),
            strokeDash=alt.StrokeDash(
                "quantile:N", legend=None, scale=alt.Scale(domain=["p95", "p50"], range=[[1, 0], [4, 3]])
            ),
            tooltip=[alt.Tooltip("time:T", format="%b %d %H:%M"), "quantile:N", alt.Tooltip("ms:Q", format=".3~g")],
        )
    )
    st.altair_chart(traffic, width="stretch", key="series_traffic")
    st.altair_chart(lines, width="stretch", key="series_latency")
