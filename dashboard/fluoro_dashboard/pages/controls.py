"""Time range and refresh, bound to the URL, on top of every page that asks about a range."""

from __future__ import annotations

import datetime as dt
import time

import streamlit as st

from fluoro_dashboard import format as fmt
from fluoro_dashboard import ranges

_NAMES = [*ranges.PRESETS, ranges.CUSTOM]
_RANGE, _CUSTOM = "_range", "_custom_range"  # in force in this session, whatever page is open
_WIDGET, _FROM, _TO = "range_widget", "range_from", "range_to"
_REFRESH, _REFRESH_WIDGET = "_refresh", "refresh_widget"
_WHOLE = "_refresh_whole_page"


def time_range_control() -> None:
    """`?range=` as buttons; `custom` opens two inputs, whose values live in `?from=` and `?to=`.

    Not bound to the URL by Streamlit: a bound widget that is on two pages falls back to its default when a link leads from
    one to the other, whatever the link says. The URL wins, then what was last chosen in this session.
    """
    _adopt_url()
    st.session_state[_WIDGET] = st.session_state[_RANGE]
    st.segmented_control(
        "Time range",
        _NAMES,
        required=True,
        key=_WIDGET,
        label_visibility="collapsed",
        on_change=_range_picked,
        wrap=False,
    )
    if st.session_state[_RANGE] == ranges.CUSTOM:
        _custom_inputs()


def _adopt_url() -> None:
    asked = st.query_params.get("range")
    if asked in _NAMES:
        st.session_state[_RANGE] = asked
    elif st.session_state.setdefault(_RANGE, ranges.DEFAULT) != ranges.DEFAULT:
        _to_url(current_range())
    if st.session_state[_RANGE] == ranges.CUSTOM:
        st.session_state[_CUSTOM] = (st.query_params.get("from"), st.query_params.get("to"))


def refresh_control(default: str) -> int | None:
    """Seconds between refreshes from `?refresh=`, None for off. A custom range does not move, so it is not refreshed.

    `default` is the page's. What the viewer chose, on whatever page, holds on all of them; for the URL as above.
    """
    asked = st.query_params.get("refresh")
    if asked in ranges.REFRESH:
        st.session_state[_REFRESH] = asked
    elif st.session_state.get(_REFRESH, default) != default:
        st.query_params["refresh"] = st.session_state[_REFRESH]
    st.session_state[_REFRESH_WIDGET] = st.session_state.get(_REFRESH, default)
    custom = st.session_state[_RANGE] == ranges.CUSTOM
    st.markdown(":material/autorenew:", width="content")
    name = st.selectbox(
        "Refresh",
        list(ranges.REFRESH),
        key=_REFRESH_WIDGET,
        on_change=_refresh_picked,
        label_visibility="collapsed",
        disabled=custom,
        width=90,
    )
    return None if custom else ranges.REFRESH.get(str(name))


def current_range(step: int | None = None) -> ranges.TimeRange:
    """The range in force, its relative end rounded to the refresh step."""
    start, end = st.session_state.get(_CUSTOM, (None, None))
    return ranges.resolve(
        st.session_state[_RANGE], time.time(), step=max(5, step or 5), start=ranges.epoch(start), end=ranges.epoch(end)
    )


def set_range(target: ranges.TimeRange) -> None:
    """Callback: show another range."""
    st.session_state[_RANGE] = target.name
    _to_url(target)
    refresh_whole_page()


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
    """The user chose a button. `custom` starts with what was shown until then."""
    shown = current_range()
    name = st.session_state[_WIDGET]
    st.session_state[_RANGE] = name
    _to_url(shown._replace(name=name))


def _refresh_picked() -> None:
    st.session_state[_REFRESH] = st.query_params["refresh"] = st.session_state[_REFRESH_WIDGET]


def _to_url(target: ranges.TimeRange) -> None:
    for name, value in target.params().items():
        st.query_params[name] = value
    if target.name == ranges.CUSTOM:
        st.session_state[_CUSTOM] = (str(target.start), str(target.end))
        return
    for name in ("from", "to"):
        if name in st.query_params:
            del st.query_params[name]


def _custom_inputs() -> None:
    tz = viewer_zone()
    shown = current_range()
    # The widgets follow the URL; what they change goes through their callback.
    st.session_state[_FROM], st.session_state[_TO] = _naive(shown.start, tz), _naive(shown.end, tz)
    with st.popover(f"{_clock(shown.start, tz)} → {_clock(shown.end, tz)}", icon=":material/calendar_today:"):
        st.caption(f"Times are in {fmt.plain(str(tz))}.")
        st.datetime_input("From", None, key=_FROM, step=60, on_change=_inputs_changed)
        st.datetime_input("To", None, key=_TO, step=60, on_change=_inputs_changed)
        st.caption("“From” must be before “To”.")


def _inputs_changed() -> None:
    start, end = st.session_state.get(_FROM), st.session_state.get(_TO)
    if start and end and start < end:
        tz = viewer_zone()
        _to_url(
            ranges.TimeRange(
                int(start.replace(tzinfo=tz).timestamp()), int(end.replace(tzinfo=tz).timestamp()), ranges.CUSTOM
            )
        )


def _naive(epoch: float, tz: dt.tzinfo) -> dt.datetime:
    return dt.datetime.fromtimestamp(epoch, tz).replace(tzinfo=None, second=0, microsecond=0)


def _clock(epoch: float, tz: dt.tzinfo) -> str:
    return dt.datetime.fromtimestamp(epoch, tz).strftime("%b %d %H:%M")
