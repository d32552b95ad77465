"""What a page shows instead of data: the collector is away, nothing was ever sent, nothing in this range."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import streamlit as st

from fluoro_dashboard import client, ranges
from fluoro_dashboard import format as fmt
from fluoro_dashboard.pages import controls
from fluoro_dashboard.settings import api_url


def unreachable(error: client.UnreachableError) -> None:
    port = urlsplit(error.url).port or 4318
    with st.container(border=True):
        st.subheader("The collector does not answer", anchor=False)
        st.text(f"Asked {error.url}: {error.reason}")
        st.write("Start one on this machine, or point the dashboard at the one you have:")
        st.code(f"fluoro serve --http-port {port}\n\nfluoro dashboard --api http://HOST:4318", language=None)
        st.caption("This page tries again by itself while refresh is on.")
        st.button("Try again", icon=":material/refresh:")


def refused(error: client.RefusedError) -> None:
    with st.container(border=True):
        st.subheader("The collector could not answer this", anchor=False)
        st.text(f"HTTP {error.status} {error.code}: {error.message}")
        st.button("Try again", icon=":material/refresh:")


def empty(shown: ranges.TimeRange) -> None:
    """No data in `shown`: offer the newest there is, or explain how to send the first trace."""
    newest = client.status().get("newest")
    if newest is None:
        _first_run()
        return
    now = time.time()
    with st.container(border=True):
        st.subheader("No data in this time range", anchor=False)
        tz = controls.viewer_zone()
        st.text(f"{fmt.moment(shown.start, tz)[:16]} to {fmt.moment(shown.end, tz)[:16]}")
        st.text(
            f"The newest trace arrived {fmt.duration(max(0.0, now - newest))} ago, at {fmt.moment(newest, tz)[:19]}."
        )
        st.button(
            "Show the newest",
            type="primary",
            on_click=controls.set_range,
            args=(ranges.covering(newest, now),),
            icon=":material/history:",
        )


def _first_run() -> None:
    url = api_url()
    with st.container(border=True):
        st.subheader("Ready for the first trace", anchor=False)
        st.text(f"The collector at {url} is running and has not received anything yet.")
        st.write("A Python application, no change to its code:")
        st.code(
            f"pip install fluoro\nexport FLUORO_ENDPOINT={url} FLUORO_SERVICE_NAME=my-service\nfluoro run python app.py",
            language=None,
        )
        st.write("An application that uses OpenTelemetry already:")
        st.code(f"export OTEL_EXPORTER_OTLP_ENDPOINT={url} OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", language=None)
        st.write("One that uses an AWS X-Ray SDK:")
        st.code(f"export AWS_XRAY_DAEMON_ADDRESS={urlsplit(url).hostname}:2000", language=None)
        st.caption("This page fills by itself as soon as data arrives, while refresh is on.")
