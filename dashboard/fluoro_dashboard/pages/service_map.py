"""The service map: the graph, and beside it the figures of what is selected or of the whole."""

from __future__ import annotations

from typing import Any

import streamlit as st

from fluoro_dashboard import client, filters, map_data, ranges
from fluoro_dashboard import format as fmt
from fluoro_dashboard.components.inspector import inspector
from fluoro_dashboard.components.series import series
from fluoro_dashboard.components.service_map import Selection, service_map
from fluoro_dashboard.pages import controls, navigation, states

Json = dict[str, Any]
_KEY = "service_map"
_SEEN = "_map_selection"
_LINKS = (
    ("", "View traces", ":material/search:"),
    ("fault", "Faults", ":material/cancel:"),
    ("throttle", "Throttles", ":material/speed:"),
    ("error", "Errors", ":material/error:"),
)


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
    left, right = st.columns([2.6, 1], gap="medium")
    with left:
        layout = shown.name if shown.name != ranges.CUSTOM else f"{shown.start}-{shown.end}"
        selected = service_map(map_data.payload(graph, layout=layout), wanted, key=_KEY)
    _to_url(selected)
    with right:
        if selected is None:
            _overview(graph, shown)
            return
        items = graph["nodes"] if selected["kind"] == "node" else graph["edges"]
        item = next((item for item in items if item["id"] == selected["id"]), None)
        if item is None:
            inspector(
                {
                    "key": "gone",
                    "title": selected["id"],
                    "subtitle": "no traffic in this time range",
                    "tabs": [{"name": "", "sections": []}],
                },
                key="panel",
            )
        elif selected["kind"] == "node":
            _node_panel(item, shown)
        else:
            _edge_panel(item, {node["id"]: node for node in graph["nodes"]}, shown)


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


# -- panels ----------------------------------------------------------------------


def _sections(item: Json, shown: ranges.TimeRange) -> list[Json]:
    if not item["total"]:
        return [{"kind": "note", "text": "Has no figures of its own: see the services it calls."}]
    return [
        {
            "kind": "tiles",
            "tiles": [
                {"label": "Traffic", "value": fmt.rate(item["total"] / shown.seconds)},
                {"label": "p50", "value": fmt.duration(item["p50"])},
                {"label": "p95", "value": fmt.duration(item["p95"])},
                {"label": "p99", "value": fmt.duration(item["p99"])},
            ],
        },
        {"kind": "shares", "counts": [item[outcome] for outcome in map_data.OUTCOMES]},
        {
            "kind": "histogram",
            "pairs": item["histogram"],
            "marks": [["p50", item["p50"]], ["p95", item["p95"]], ["p99", item["p99"]]],
        },
    ]


def _node_panel(node: Json, shown: ranges.TimeRange) -> None:
    label = map_data.type_label(node["type"])
    if node["inferred"] and node["type"] != "client":
        label += " · as its callers see it"
    inspector(
        {
            "key": node["id"],
            "title": map_data.short_name(node["name"], node["type"]),
            "subtitle": label,
            "tabs": [{"name": "", "sections": _sections(node, shown)}],
        },
        key="panel",
    )
    _trace_links(node, shown, lambda outcome: filters.node(node["name"], node["type"], outcome))
    if node["total"]:
        series(client.time_series(shown.start, shown.end, ranges.period(shown.seconds), node["id"]))


def _edge_panel(edge: Json, nodes: dict[str, Json], shown: ranges.TimeRange) -> None:
    source, target = nodes[edge["source"]], nodes[edge["target"]]
    label = "asynchronous link" if edge["kind"] == "link" else "calls, as the caller sees them"
    inspector(
        {
            "key": edge["id"],
            "title": " → ".join(map_data.short_name(end["name"], end["type"]) for end in (source, target)),
            "subtitle": label,
            "tabs": [{"name": "", "sections": _sections(edge, shown)}],
        },
        key="panel",
    )
    ends = ((source["name"], source["type"]), (target["name"], target["type"]))
    _trace_links(edge, shown, lambda outcome: filters.edge(*ends, outcome))


def _trace_links(item: Json, shown: ranges.TimeRange, expression: Any) -> None:
    with st.container(horizontal=True, gap="small"):
        for outcome, label, icon in _LINKS:
            if not outcome or item[outcome]:
                navigation.link(navigation.TRACES, label, {"filter": expression(outcome), **shown.params()}, icon=icon)


def _overview(graph: Json, shown: ranges.TimeRange) -> None:
    total = map_data.overview(graph)
    failing = total["error"] + total["throttle"] + total["fault"]
    tiles = [
        {"label": "Requests in", "value": fmt.rate(total["total"] / shown.seconds)},
        {"label": "Average", "value": fmt.duration(map_data.average(total))},
        {"label": "Not OK", "value": fmt.percent(failing / total["total"] if total["total"] else 0.0)},
        {"label": "Services", "value": fmt.count(total["services"])},
    ]
    sections: list[Json] = [{"kind": "tiles", "tiles": tiles}]
    if total["total"]:
        sections.append({"kind": "shares", "counts": [total[outcome] for outcome in map_data.OUTCOMES]})
    inspector(
        {
            "key": "overview",
            "title": "Everything",
            "subtitle": "select a service or a line for its figures",
            "tabs": [{"name": "", "sections": sections}],
        },
        key="panel",
    )
    rows = map_data.ranking(graph)
    st.dataframe(
        {
            "Service": [map_data.short_name(row["name"], row["type"]) for row in rows],
            "Fault %": [100 * row["fault"] / row["total"] for row in rows],
            "p95 ms": [None if row["p95"] is None else 1000 * row["p95"] for row in rows],
            "Req/s": [row["total"] / shown.seconds for row in rows],
        },
        hide_index=True,
        height=min(36 + 35 * max(1, len(rows)), 390),
        column_config={
            "Service": st.column_config.TextColumn(width=140),
            "Fault %": st.column_config.NumberColumn(format="%.1f", width=62),
            "p95 ms": st.column_config.NumberColumn(format="%.0f", width=64),
            "Req/s": st.column_config.NumberColumn(format="%.1f", width=58),
        },
        key="ranking",
    )
