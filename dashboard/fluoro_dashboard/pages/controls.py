"""Time range and refresh, bound to the URL, on top of every page that asks about a range."""

from __future__ import annotations

import datetime as dt
import time

import streamlit as st

from fluoro_dashboard import format as fmt
from fluoro_dashboard import ranges

_WHOLE = "_refresh_whole_page"


def time_range_control() -> None:
    """`?range=` as buttons; `custom` opens two inputs, whose values live in `?from=` and `?to=`."""
    st.segmented_control(
        "Time range",
        [*ranges.PRESETS, ranges.CUSTOM],
        default=ranges.DEFAULT,
        required=True,
        key="range",
        persist_state="session",
        bind="query-params",
        label_visibility="collapsed",
        on_change=_range_picked,
        wrap=False,
    )
    if st.session_state.get("range") == ranges.CUSTOM:
        _custom_inputs()


def refresh_control(default: str) -> int | None:
    """Seconds between refreshes from `?refresh=`, None for off. A custom range does not move, so it is not refreshed."""
    custom = st.session_state.get("range") == ranges.CUSTOM
    # Options are shown as they are: with a format_func the URL would carry the shown text.
    st.markdown(":material/autorenew:", width="content")
    name = st.selectbox(
        "Refresh",
        list(ranges.REFRESH),
        index=list(ranges.REFRESH).index(default),
        key="refresh",
        bind="query-params",
        label_visibility="collapsed",
        disabled=custom,
        width=90,
    )
    return None if custom else ranges.REFRESH.get(str(name))


def current_range(step: int | None = None) -> ranges.TimeRange:
    """The range in force, its relative end rounded to the refresh step."""
    query = st.query_params
    return ranges.resolve(
        st.session_state.get("range"),
        time.time(),
        step=max(5, step or 5),
        start=ranges.epoch(query.get("from")),
        end=ranges.epoch(query.get("to")),
    )


def set_range(target: ranges.TimeRange) -> None:
    """Callback: show another range."""
    st.session_state["range"] = target.name
    refresh_whole_page()
    _set_custom(target.start, target.end) if target.name == ranges.CUSTOM else _clear_custom()


def refresh_whole_page() -> None:
    """For callbacks of widgets in a fragment that change a widget outside it, which a rerun of the fragment does not redraw."""
    st.session_state[_WHOLE] = True


def start_of_fragment() -> None:
    """First statement of every fragment: carry out `refresh_whole_page`."""
    if st.session_state.pop(_WHOLE, False):
        st.rerun(scope="app")


def viewer_zone() -> dt.tzinfo:
    return fmt.zone(st.context.timezone)


def _range_picked() -> None:
    if st.session_state["range"] != ranges.CUSTOM:
        _clear_custom()
    elif ranges.epoch(st.query_params.get("from")) is None:
        now = time.time()
        _set_custom(int(now) - ranges.PRESETS[ranges.DEFAULT], int(now))


def _set_custom(start: int, end: int) -> None:
    st.query_params["from"] = str(start)
    st.query_params["to"] = str(end)
    for key in ("_from", "_to"):
        st.session_state.pop(key, None)


def _clear_custom() -> None:
    for name in ("from", "to"):
        st.query_params.pop(name, None)


def _custom_inputs() -> None:
    tz = viewer_zone()
    shown = current_range()
    with st.popover(f"{_clock(shown.start, tz)} → {_clock(shown.end, tz)}", icon=":material/calendar_today:"):
        st.caption(f"Times are in {fmt.plain(str(tz))}.")
        start = st.datetime_input("From", _naive(shown.start, tz), key="_from", step=60, on_change=_inputs_changed)
        end = st.datetime_input("To", _naive(shown.end, tz), key="_to", step=60, on_change=_inputs_changed)
        if start and end and start >= end:
            st.error("“From” must be before “To”.")


def _inputs_changed() -> None:
    start, end = st.session_state.get("_from"), st.session_state.get("_to")
    if start and end and start < end:
        tz = viewer_zone()
        st.query_params["from"] = str(int(start.replace(tzinfo=tz).timestamp()))
        st.query_params["to"] = str(int(end.replace(tzinfo=tz).timestamp()))


def _naive(epoch: float, tz: dt.tzinfo) -> dt.datetime:
    return dt.datetime.fromtimestamp(epoch, tz).replace(tzinfo=None, second=0, microsecond=0)


def _clock(epoch: float, tz: dt.tzinfo) -> str:
    return dt.datetime.fromtimestamp(epoch, tz).strftime("%b %d %H:%M")
