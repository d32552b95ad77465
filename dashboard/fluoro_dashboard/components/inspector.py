"""The panel beside map and waterfall (`frontend/inspector.js`): a title, then tabs of sections.

Sections: `tiles` (figures), `shares` (outcome bar), `histogram`, `table`, `code`, `exception`, `facts`, `note`. All text is shown as text.
"""

from __future__ import annotations

from typing import Any

from fluoro_dashboard.components.registry import component, ignore


def inspector(panel: dict[str, Any], *, key: str) -> str | None:
    """Draw a panel. Returns the filter expression of the count that was clicked just now, if any.

    `shares` takes `filters`, one expression or None for each of its counts, and `hrefs`, where a new browser tab finds the same.
    """
    value = component("inspector")(key=key, data=panel, on_search_change=ignore).get("search")
    return value if isinstance(value, str) and value else None
