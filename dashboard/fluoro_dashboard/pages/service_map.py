"""The service map: the graph, what is selected in it, and the URL that says the same."""

from __future__ import annotations

from typing import Any

import streamlit as st

from fluoro_dashboard import client, map_data, ranges
from fluoro_dashboard.components.service_map import Selection, service_map
from fluoro_dashboard.pages import controls, map_panels, states

Json = dict[str, Any]
_KEY = "service_map"
_SEEN = "_map_selection"


def page() -> None:
    _adopt_url()
    with st.container(horizontal=True, vertical_alignment="center"):
        controls.time_range_control()
        step = controls.refresh_control("5s")

    @st.fragment(run_every=step, key="map")
    def live() -> None:
        controls.start_of_fragment()
        shown = controls.current_range(step)
        try:
            graph = client.service_graph(shown.start, shown.end)
            if graph["nodes"]:
                _draw(graph, shown)
            else:
                states.empty(shown)
        except client.UnreachableError as error:
            states.unreachable(error)
        except client.RefusedError as error:
            states.refused(error)

    live()


def _draw(graph: Json, shown: ranges.TimeRange) -> None:
    wanted = _selection()
    view = map_panels.Shown(graph, shown, map_data.covered(graph, shown.end))
    left, right = st.columns([2.6, 1], gap="medium")
    with left:
        layout = shown.name if shown.name != ranges.CUSTOM else f"{shown.start}-{shown.end}"
        selected = service_map(map_data.payload(graph, view.covered, layout=layout), wanted, key=_KEY)
    _to_url(selected)
    with right:
        if selected is None:
            map_panels.overview(view, _picked)
            return
        item = next((item for item in graph[f"{selected['kind']}s"] if item["id"] == selected["id"]), None)
        if item is None:
            map_panels.gone(selected["id"], view)
        elif selected["kind"] == "node":
            map_panels.node(item, view)
        else:
            map_panels.edge(item, view)


# -- selection and URL ---------------------------------------------------------


def _adopt_url() -> None:
    """When the URL moved by itself (deep link, Back, Forward) it wins over the component's state.

    Only in a run of the whole page, which is what those cause: the timer of a fragment may bring along the URL of before
    the last pick, and would undo it.
    """
    query = st.query_params
    asked: Selection | None = None
    if "node" in query:
        asked = {"kind": "node", "id": query["node"]}
    elif "edge" in query:
        asked = {"kind": "edge", "id": query["edge"]}
    if asked != st.session_state.get(_SEEN):
        st.session_state[_SEEN] = asked
        st.session_state[_KEY] = {"selected": asked}


def _selection() -> Selection | None:
    state = st.session_state.get(_KEY)
    selected: Selection | None = state.get("selected") if state else st.session_state.get(_SEEN)
    return selected


def _picked() -> None:
    """Callback of the table."""
    state = st.session_state.get(map_panels.TABLE)
    if state and state.get("pick"):
        st.session_state[_KEY] = {"selected": {"kind": "node", "id": state["pick"]}}


def _to_url(selected: Selection | None) -> None:
    """The user picked: one history entry."""
    if selected == st.session_state.get(_SEEN):
        return
    st.session_state[_SEEN] = selected
    # One by one: parameters that are bound to a widget may not be written, not even with the value they have.
    for kind in ("node", "edge"):
        if kind in st.query_params and (selected is None or selected["kind"] != kind):
            del st.query_params[kind]
    if selected:
        st.query_params[selected["kind"]] = selected["id"]
