"""The pages and the links between them."""

from __future__ import annotations

from typing import Any, NoReturn
from urllib.parse import urlencode

import streamlit as st

from fluoro_dashboard import assets

MAP, TRACES, TRACE = "map", "traces", "trace"

_STYLE = """
<style>
  .stMainBlockContainer { padding: 4.25rem 1.5rem 1rem; max-width: none; }
  /* A refresh must not fade what is being read. */
  [data-stale="true"] { opacity: 1 !important; }
  /* As tall as the buttons of the time range beside it. */
  .st-key-refresh_widget [role="group"] { min-height: 0; height: 2rem; }
  .st-key-refresh_widget input { padding-block: 0; height: 100%; }
  .stMainBlockContainer h3 { font-size: 1.25rem; }
  [data-testid="stToolbarActions"] { display: none; }
</style>
"""


def run(default: str = MAP) -> None:
    from fluoro_dashboard.pages import service_map, trace, traces

    st.set_page_config(page_title="fluoro", page_icon=str(assets.DIRECTORY / "logo.svg"), layout="wide")
    pages = {
        MAP: st.Page(
            service_map.page, title="Service map", icon=":material/hub:", url_path="map", default=default == MAP
        ),
        TRACES: st.Page(
            traces.page, title="Traces", icon=":material/list:", url_path="traces", default=default == TRACES
        ),
        TRACE: st.Page(trace.page, title="Trace", url_path="trace", visibility="hidden", default=default == TRACE),
    }
    st.session_state["_pages"] = pages
    chosen = st.navigation(list(pages.values()), position="top")
    st.logo(str(assets.DIRECTORY / "logo.svg"), size="small")
    st.html(_STYLE)
    chosen.run()


def go(page: str, params: dict[str, str]) -> NoReturn:
    """Open another page now."""
    st.switch_page(st.session_state["_pages"][page], query_params=params)


def url(page: str, params: dict[str, str]) -> str:
    """Where a new browser tab finds a page. Relative to the server's root, where all pages are."""
    return f"{'' if page == MAP else page}?{urlencode(params)}"


def link(page: str, label: str, params: dict[str, str], *, icon: str | None = None, help_: str | None = None) -> None:
    """A link to another page. `label` is Markdown: escape span text with `format.plain`."""
    target: Any = st.session_state["_pages"][page]
    st.page_link(target, label=label, icon=icon, help=help_, query_params=params)
