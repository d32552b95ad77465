"""The service map (`frontend/service_map.js`)."""

from __future__ import annotations

from typing import Any

from fluoro_dashboard.components.registry import component, ignore

Selection = dict[str, str]


def service_map(payload: dict[str, Any], selected: Selection | None, *, key: str) -> Selection | None:
    """Draw the map. Returns what is selected: `{"kind": "node" | "edge", "id": …}` or None."""
    state = component("service_map")(
        key=key,
        data={**payload, "selected": selected},
        default={"selected": selected},
        on_selected_change=ignore,
    )
    value = state.get("selected")
    return value if isinstance(value, dict) and value.get("id") else None
