"""The panel beside map and waterfall (`assets/inspector.js`): a title, then tabs of sections.

Sections: `tiles` (figures), `shares` (outcome bar), `histogram`, `table`, `code`, `exception`, `note`. All text is shown as text.
"""

from __future__ import annotations

from typing import Any

from fluoro_dashboard.components.registry import component


def inspector(panel: dict[str, Any], *, key: str) -> None:
    component("inspector")(key=key, data=panel)
