"""One trace: its figures, the waterfall, and everything known of the selected segment."""

from __future__ import annotations

from typing import Any

import streamlit as st

from fluoro_dashboard import client, trace_data
from fluoro_dashboard import format as fmt
from fluoro_dashboard.components.inspector import inspector
from fluoro_dashboard.components.waterfall import waterfall
from fluoro_dashboard.pages import controls, navigation, states

Json = dict[str, Any]
_KEY = "waterfall"
_SEEN = "_trace_selection"


def page() -> None:
    trace_id = st.query_params.get("id", "").strip()
    if not trace_id:
        _ask()
        return
    try:
        trace = client.trace(trace_id)
    except client.UnreachableError as error:
        states.unreachable(error)
    except client.RefusedError as error:
        if error.status in (400, 404):
            _missing(trace_id, error)
        else:
            states.refused(error)
    else:
        _adopt_url()
        _header(trace)
        _detail(trace)


def _header(trace: Json) -> None:
    segments = trace["segments"]
    services = {segment["service"] or segment["name"] for segment in segments if segment["type"] == "segment"}
    root = segments[0] if segments else None
    failed = sum(1 for segment in segments if segment["outcome"] != "ok")
    facts = [
        ["Start", fmt.moment(trace["start"], controls.viewer_zone())],
        ["Duration", fmt.duration(trace["duration"])],
        ["Segments", fmt.count(len(segments))],
        ["Services", fmt.count(len(services))],
        ["Not OK", fmt.count(failed)],
    ]
    inspector(
        {
            "key": trace["id"],
            "title": f"{root['service'] or root['name']}  {trace_data.title(root)}" if root else trace["id"],
            "outcome": trace_data.outcome(trace),
            "copy": trace["id"],
            "tabs": [
                {
                    "name": "",
                    "sections": [
                        {
                            "kind": "facts",
                            "facts": facts,
                            "warning": "incomplete: parts are in progress or missing" if trace["partial"] else "",
                        }
                    ],
                }
            ],
        },
        key="trace_header",
    )


def _detail(trace: Json) -> None:
    @st.fragment(key="trace")
    def detail() -> None:
        index = {segment["id"]: position for position, segment in enumerate(trace["segments"])}
        left, right = st.columns([2.3, 1], gap="medium")
        with left:
            selected = waterfall(trace_data.columns(trace), _selection(), key=_KEY)
        _to_url(selected)
        with right:
            inspector(trace_data.inspector(trace, index.get(selected or "", 0)), key="segment")
            chosen = trace["segments"][index.get(selected or "", 0)]
            if chosen["service"]:
                navigation.link(
                    navigation.MAP,
                    f"{fmt.plain(chosen['service'])} on the service map",
                    {"node": f"{chosen['service']}|{_service_type(trace, chosen)}"},
                    icon=":material/hub:",
                )

    if trace["segments"]:
        detail()
    else:
        st.info("This trace has no segments.")


def _service_type(trace: Json, segment: Json) -> str:
    """A node's key has the type of the service's own segments, which is their origin."""
    return next(
        (
            item["origin"] or ""
            for item in trace["segments"]
            if item["type"] == "segment" and item["name"] == segment["service"]
        ),
        "",
    )


def _adopt_url() -> None:
    """As on the map: a URL that moved by itself (deep link, Back, Forward) wins over the component's state."""
    moved = (st.query_params["id"], st.query_params.get("segment"))
    if moved != st.session_state.get(_SEEN):
        st.session_state[_SEEN] = moved
        st.session_state[_KEY] = {"selected": moved[1]}


def _selection() -> str | None:
    state = st.session_state.get(_KEY)
    selected: str | None = state.get("selected") if state else st.session_state[_SEEN][1]
    return selected


def _to_url(selected: str | None) -> None:
    if (st.query_params["id"], selected) == st.session_state.get(_SEEN):
        return
    st.session_state[_SEEN] = (st.query_params["id"], selected)
    if selected:
        st.query_params["segment"] = selected
    else:
        st.query_params.pop("segment", None)


def _ask() -> None:
    with st.form("open", border=True):
        st.subheader("Open a trace", anchor=False)
        typed = st.text_input("Trace id", placeholder="1-5f84c7a1-0123456789abcdef01234567")
        if st.form_submit_button("Open") and typed.strip():
            st.query_params["id"] = typed.strip()
            st.rerun()
    navigation.link(navigation.TRACES, "or search for one", {}, icon=":material/search:")


def _missing(trace_id: str, error: client.RefusedError) -> None:
    with st.container(border=True):
        st.subheader("No such trace", anchor=False)
        st.text(trace_id)
        st.text(error.message)
        st.caption("Its data may have been removed by retention, or may not have arrived yet.")
        st.button("Try again", icon=":material/refresh:")
        navigation.link(navigation.TRACES, "Search traces", {}, icon=":material/search:")
