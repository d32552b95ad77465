"""Trace search: a filter expression, the durations of what it finds, a table, a link into the chosen trace."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import quote

import streamlit as st

from fluoro_dashboard import client, filters, ranges
from fluoro_dashboard import format as fmt
from fluoro_dashboard.components.histogram import histogram
from fluoro_dashboard.pages import controls, navigation, states
from fluoro_dashboard.theme import OUTCOME_COLOURS

Json = dict[str, Any]
_BATCH = 200
_BRUSH = "duration_brush"


def page() -> None:
    st.text_input(
        "Filter expression",
        key="filter",
        bind="query-params",
        label_visibility="collapsed",
        placeholder='service("orders") { fault }   responsetime > 1   http.url CONTAINS "/cart"   annotation.user = "A-1"   or a trace id',
        icon=":material/filter_alt:",
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        controls.time_range_control()
        step = controls.refresh_control("off")

    @st.fragment(run_every=step, key="results")
    def live() -> None:
        controls.start_of_fragment()
        shown = controls.current_range(step)
        expression = str(st.session_state.get("filter") or "").strip()
        if filters.is_trace_id(expression):
            st.info("This is the id of a trace.")
            navigation.link(
                navigation.TRACE,
                f"Open trace {fmt.plain(expression)}",
                {"id": expression},
                icon=":material/open_in_full:",
            )
            return
        try:
            _results(expression, shown)
        except client.UnreachableError as error:
            states.unreachable(error)
        except client.RefusedError as error:
            if error.status == 400 and expression:
                _filter_error(expression, error)
            else:
                states.refused(error)

    live()


def _results(expression: str, shown: ranges.TimeRange) -> None:
    found, more, total = _fetch(expression, shown)
    if not found:
        if expression:
            _nothing_matches(expression)
        else:
            states.empty(shown)
        return
    histogram([trace["duration"] for trace in found], _brushed, key=_BRUSH)
    picked = st.session_state.get("traces_table", {}).get("selection", {}).get("rows", [])
    with st.container(horizontal=True, vertical_alignment="center", key="found"):
        known = fmt.counted(total, "trace") + (f", {fmt.count(len(found))} shown" if len(found) < total else "")
        st.markdown(f"**{known}**" + (", newest first" if more else ""), width="content")
        if more:
            left = total - len(found)
            st.button(f"Load {min(_BATCH, left) if left > 0 else _BATCH} more", on_click=_load_more, type="tertiary")
        if filters.is_brushed(expression):
            st.button("Clear duration", on_click=_clear_brush, type="tertiary", icon=":material/close:")
        if picked and picked[0] < len(found):
            chosen = found[picked[0]]
            what = " ".join(part for part in (chosen["service"], chosen["method"], chosen["operation"]) if part)
            navigation.link(
                navigation.TRACE,
                f"Open {fmt.plain(what)[:160]} · {fmt.duration(chosen['duration'])}",
                {"id": chosen["id"]},
                icon=":material/open_in_full:",
            )
        else:
            st.caption("Select a row to open its trace.", width="content")
    _table(found)


def _fetch(expression: str, shown: ranges.TimeRange) -> tuple[list[Json], bool, int]:
    """The traces loaded so far, whether there are more, and how many match."""
    question = (expression, shown.params().get("from"), shown.name)
    if st.session_state.get("_question") != question:
        st.session_state["_question"] = question
        st.session_state["_batches"] = 1
    found: list[Json] = []
    cursor: str | None = None
    total = 0
    for _ in range(st.session_state["_batches"]):
        answer = client.traces(shown.start, shown.end, expression, _BATCH, cursor)
        found.extend(answer["traces"])
        total = max(total, answer["count"])
        cursor = answer["cursor"]
        if not cursor:
            break
    return found, cursor is not None, max(total, len(found))


def _table(found: list[Json]) -> None:
    tz = controls.viewer_zone()
    longest = max(trace["duration"] for trace in found) or 1e-3
    unit, each = ("s", 1.0) if longest >= 10 else ("ms", 1e-3)
    st.dataframe(
        {
            "Time": [dt.datetime.fromtimestamp(trace["start"], tz).replace(tzinfo=None) for trace in found],
            "Outcome": [[trace["outcome"], *(["partial"] if trace["partial"] else [])] for trace in found],
            "Service": [trace["service"] for trace in found],
            "Operation": [trace["operation"] for trace in found],
            "Method": [trace["method"] for trace in found],
            "Status": [trace["status"] for trace in found],
            "Duration": [trace["duration"] / each for trace in found],
            "Segments": [trace["segments"] for trace in found],
            "Trace": [f"/trace?id={quote(trace['id'])}" for trace in found],
            "URL": [trace["url"] for trace in found],
        },
        hide_index=True,
        height=min(38 + 33 * len(found), 620),
        on_select="rerun",
        selection_mode="single-row",
        key="traces_table",
        column_config={
            "Time": st.column_config.DatetimeColumn(format="MMM D, HH:mm:ss.SSS", width=150),
            "Outcome": st.column_config.MultiselectColumn(
                options=[*OUTCOME_COLOURS, "partial"],
                color=[*OUTCOME_COLOURS.values(), "#8892a3"],
                width=110,
                disabled=True,
            ),
            "Service": st.column_config.TextColumn(width=140),
            "Operation": st.column_config.TextColumn(width=200),
            "Method": st.column_config.TextColumn(width=75),
            "Status": st.column_config.NumberColumn(format="%d", width=65),
            "Duration": st.column_config.ProgressColumn(
                format=f"%.1f {unit}", min_value=0, max_value=longest / each, width=200
            ),
            "Segments": st.column_config.NumberColumn(width=85),
            "Trace": st.column_config.LinkColumn(display_text=r"id=(.*)", width=290),
        },
    )


def _nothing_matches(expression: str) -> None:
    with st.container(border=True):
        st.subheader("No trace matches", anchor=False)
        st.code(expression, language=None, wrap_lines=True)
        st.text("Widen the time range or change the filter.")
        st.button("Clear the filter", on_click=_clear_filter, icon=":material/close:")


def _filter_error(expression: str, error: client.RefusedError) -> None:
    """The expression with a caret under the place the collector stumbled over."""
    with st.container(border=True):
        st.markdown(":red[**This filter cannot be read**]")
        st.text(error.message)
        if error.position is not None:
            at = max(0, min(error.position, len(expression)))
            line = " ".join(expression.splitlines())
            st.code(f"{line}\n{' ' * at}▲", language=None)


def _brushed() -> None:
    state = st.session_state.get(_BRUSH)
    brush = state.get("brush") if state else None
    if brush:
        _set_filter(filters.brushed(str(st.session_state.get("filter") or ""), float(brush[0]), float(brush[1])))


def _clear_brush() -> None:
    _set_filter(filters.unbrushed(str(st.session_state.get("filter") or "")))


def _clear_filter() -> None:
    _set_filter("")


def _set_filter(expression: str) -> None:
    st.session_state["filter"] = expression
    controls.refresh_whole_page()


def _load_more() -> None:
    st.session_state["_batches"] += 1
