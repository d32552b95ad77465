"""Colours and Streamlit settings. Both themes are given, the browser's preference picks one, the menu can change it."""

from __future__ import annotations

OUTCOME_COLOURS = {"ok": "#2fa362", "error": "#e6a117", "throttle": "#9566dd", "fault": "#dd4340"}
"""X-Ray's code: green ok, yellow 4xx, purple 429, red 5xx. `frontend/base.css` has the same."""

_LIGHT = {
    "primaryColor": "#3267d6",
    "backgroundColor": "#ffffff",
    "secondaryBackgroundColor": "#f4f6f9",
    "textColor": "#1c2330",
    "borderColor": "#d9dee7",
    "linkColor": "#2a5bc4",
}
_DARK = {
    "primaryColor": "#6c9bff",
    "backgroundColor": "#10141b",
    "secondaryBackgroundColor": "#191f29",
    "textColor": "#e3e8f0",
    "borderColor": "#2d3645",
    "linkColor": "#86adff",
}
_BOTH = {"baseRadius": "0.4rem", "buttonRadius": "0.4rem", "baseFontSize": 15, "showWidgetBorder": True}


def options() -> dict[str, object]:
    """Theme options for `App.run(config=…)`."""
    values: dict[str, object] = {f"theme.{name}": value for name, value in _BOTH.items()}
    for theme, colours in (("light", _LIGHT), ("dark", _DARK)):
        values.update({f"theme.{theme}.{name}": value for name, value in colours.items()})
    return values
