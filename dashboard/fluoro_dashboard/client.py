"""The collector's query API. The only module of the dashboard that talks HTTP."""

from __future__ import annotations

import re
from typing import Any, cast
from urllib.parse import quote

import httpx
import streamlit as st

from fluoro_dashboard.settings import api_url

_TIMEOUT = httpx.Timeout(30.0, connect=3.0)

Json = dict[str, Any]


class UnreachableError(Exception):
    """No answer from the collector. `url` is where it was looked for, `reason` what the socket said."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"{url}: {reason}")
        self.url = url
        self.reason = reason


class RefusedError(Exception):
    """The collector answered with an error. `position` (characters from 0) is set for a filter that does not parse."""

    def __init__(self, status: int, code: str, message: str, position: int | None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.position = position


@st.cache_data(ttl=30, max_entries=64, show_spinner=False)
def service_graph(start: int, end: int) -> Json:
    return _get("/api/service-graph", {"start": start, "end": end})


@st.cache_data(ttl=30, max_entries=128, show_spinner=False)
def time_series(start: int, end: int, period: int, node: str | None = None) -> Json:
    params: dict[str, str | int] = {"start": start, "end": end, "period": period}
    if node is not None:
        params["node"] = node
    return _get("/api/time-series", params)


@st.cache_data(ttl=30, max_entries=64, show_spinner=False)
def traces(start: int, end: int, expression: str, limit: int, cursor: str | None = None) -> Json:
    params: dict[str, str | int] = {"start": start, "end": end, "limit": limit}
    if expression:
        params["filter"] = expression
    if cursor:
        params["cursor"] = cursor
    return _get("/api/traces", params)


@st.cache_data(ttl=10, max_entries=32, show_spinner=False)
def trace(trace_id: str) -> Json:
    """One trace. Kept for seconds only: late segments still arrive."""
    return _get(f"/api/traces/{quote(trace_id, safe='')}", {})


def status() -> Json:
    return _get("/api/status", {})


@st.cache_resource(show_spinner=False)
def _http(base: str) -> httpx.Client:
    # trust_env=False: a proxy setting must not send the traces of this machine elsewhere.
    return httpx.Client(base_url=base, timeout=_TIMEOUT, trust_env=False, headers={"accept": "application/json"})


def _get(path: str, params: dict[str, str | int]) -> Json:
    base = api_url()
    try:
        response = _http(base).get(path, params=params)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UnreachableError(base, re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__) from error
    try:
        body = response.json()
    except ValueError as error:
        raise UnreachableError(
            base, f"HTTP {response.status_code} with a body that is not JSON: is this a fluoro collector?"
        ) from error
    if response.is_success and isinstance(body, dict):
        return cast("Json", body)
    detail = body.get("error") if isinstance(body, dict) else None
    detail = detail if isinstance(detail, dict) else {}
    position = detail.get("position")
    raise RefusedError(
        response.status_code,
        str(detail.get("code", "")),
        str(detail.get("message", f"HTTP {response.status_code}")),
        position if isinstance(position, int) else None,
    )
