"""The trace waterfall (`frontend/waterfall.js`)."""

from __future__ import annotations

from typing import Any

from fluoro_dashboard.components.registry import component, ignore


def waterfall(columns: dict[str, Any], selected: str | None, *, key: str) -> str | None:
    """Draw a trace (`trace_data.columns`). Returns the id of the selected segment."""
    state = component("waterfall")(
        key=key,
        data={"columns": columns, "selected": selected},
        default={"selected": selected},
        on_selected_change=ignore,
    )
    value = state.get("selected")
    return value if isinstance(value, str) and value else None
