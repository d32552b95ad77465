"""The pages without a browser: what they ask, what they send to the components, what they put into the URL."""

import json
import time

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard import fake_api
from fluoro_dashboard.settings import API_VARIABLE


@pytest.fixture(scope="module")
def base():
    with fake_api.running() as url:
        yield url


@pytest.fixture
def open_page(base, monkeypatch):
    st.cache_data.clear()  # answers are kept by question; here the same question goes to several collectors

    def opened(page, scenario="shop", **query):
        monkeypatch.setenv(API_VARIABLE, f"{base}/{scenario}" if scenario != "down" else "http://127.0.0.1:9")
        app = AppTest.from_string(
            f"from fluoro_dashboard.pages import navigation\nnavigation.run({page!r})", default_timeout=30
        )
        for name, value in query.items():
            app.query_params[name] = value
        app.run()
        assert not app.exception, app.exception
        return app

    return opened


def payload(app, name):
    """What a component was sent; None when it is not on the page."""
    found = [item.proto for item in app.get("bidi_component") if item.proto.component_name == f"fluoro_{name}"]
    return [json.loads(proto.json) for proto in found]


def texts(app):
    return " ".join(
        str(item.value) for kind in ("text", "markdown", "subheader", "code", "caption") for item in app.get(kind)
    )


def test_the_map_shows_the_graph_and_an_overview(open_page):
    app = open_page("map")
    [sent] = payload(app, "service_map")
    assert len(sent["nodes"]) == len(fake_api.SHOP_NODES)
    assert sent["selected"] is None
    [panel] = payload(app, "inspector")
    assert panel["title"] == "Everything"


def test_a_deep_link_selects_a_node_and_fills_its_panel(open_page):
    app = open_page("map", node="payments|", range="15m")
    [sent] = payload(app, "service_map")
    assert sent["selected"] == {"kind": "node", "id": "payments|"}
    assert sent["layout"] == "15m"
    [panel] = payload(app, "inspector")
    assert panel["title"] == "payments"
    [drawn] = payload(app, "series")
    assert drawn["period"] == 60
    assert len(drawn["points"][0]) == 7
    kinds = [section["kind"] for section in panel["tabs"][0]["sections"]]
    assert kinds == ["tiles", "shares", "histogram"]
    links = [link.proto for link in app.get("page_link")]
    assert [link.label for link in links] == ["View traces"]
    assert "filter=service%28%22payments%22%29&" in links[0].query_string
    assert "range=15m" in links[0].query_string


def test_an_edge_has_its_own_panel_and_parameter(open_page):
    app = open_page("map", edge="orders|->payments|")
    [panel] = payload(app, "inspector")
    assert panel["title"] == "orders → payments"
    assert app.query_params["edge"] == "orders|->payments|"
    [link] = [link.proto for link in app.get("page_link")]
    assert link.label == "View traces"
    assert "edge%28%22orders%22%2C+%22payments%22%29" in link.query_string


def shares(app):
    return next(
        section for section in payload(app, "inspector")[0]["tabs"][0]["sections"] if section["kind"] == "shares"
    )


@pytest.mark.parametrize(
    ("query", "filters"),
    [
        (
            {"node": "payments|"},
            ["{ ok }", "{ error AND !throttle AND !fault }", None, "{ fault }"],
        ),
        (
            {"edge": "storefront|client->storefront|AWS::ECS::Container"},
            ['edge(id(name: "storefront", type: "client"), ', "{ error", None, "{ fault }"],
        ),
        (
            {"edge": "catalog|->product-images|AWS::S3::Bucket"},
            ['edge("catalog", id(name: "product-images", type: "AWS::S3::Bucket")) { ok }', "{ error", None, None],
        ),
        ({}, ['service(id(type: "client")) { ok }', "{ error", None, "{ fault }"]),
    ],
)
def test_counts_lead_to_exactly_their_traces(open_page, query, filters):
    sent = shares(open_page("map", range="15m", **query))
    for wanted, filter_, href in zip(filters, sent["filters"], sent["hrefs"], strict=True):
        assert (wanted is None) == (filter_ is None) == (href is None)
        if filter_:
            assert wanted in filter_
            assert href.startswith(("traces?filter=service%28", "traces?filter=edge%28"))
            assert href.endswith("&range=15m")


def test_rates_of_a_young_system_say_what_they_are_about(open_page):
    app = open_page("map", "young", range="1h")
    [sent] = payload(app, "service_map")
    assert sent["note"].startswith("Rates over the ")
    [panel] = payload(app, "inspector")
    sections = panel["tabs"][0]["sections"]
    assert sections[0]["tiles"][0] == {"label": "Requests in", "value": "84/s"}
    assert sections[1] == {"kind": "note", "text": sent["note"]}
    [table] = payload(app, "ranking")
    assert next(row for row in table["rows"] if row["id"] == "payments|")["rate"] == 20


def test_the_whole_range_needs_no_note(open_page):
    app = open_page("map", range="1h")
    assert "note" not in [section["kind"] for section in payload(app, "inspector")[0]["tabs"][0]["sections"]]


def refresh(app):
    return app.selectbox(key="refresh_widget").value


def test_refresh_begins_as_the_page_has_it(open_page):
    assert refresh(open_page("map")) == "5s"
    assert refresh(open_page("traces")) == "off"
    assert refresh(open_page("traces", refresh="10s")) == "10s"


def test_a_chosen_refresh_goes_into_the_url_and_outlives_a_link_without_it(open_page):
    app = open_page("map")
    app.selectbox(key="refresh_widget").set_value("30s").run()
    assert app.query_params["refresh"] == "30s"
    del app.query_params["refresh"]
    app.run()
    assert refresh(app) == "30s"
    assert app.query_params["refresh"] == "30s"


def test_a_pick_goes_into_the_url_and_a_moved_url_wins_over_the_pick(open_page):
    app = open_page("map", refresh="off", range="6h")
    app.session_state["service_map"] = {"selected": {"kind": "node", "id": "cart|"}}
    app.run()
    assert app.query_params["node"] == "cart|"
    app.query_params["node"] = "orders|"
    app.run()
    assert payload(app, "inspector")[0]["title"] == "orders"
    del app.query_params["node"]
    app.run()
    assert payload(app, "inspector")[0]["title"] == "Everything"


def test_a_node_that_is_gone_says_so(open_page):
    app = open_page("map", node="gone|")
    assert "no traffic" in payload(app, "inspector")[0]["subtitle"]


@pytest.mark.parametrize("page", ["map", "traces", "trace"])
def test_an_absent_collector_is_explained(open_page, page):
    app = open_page(page, "down", id="1-5f84c7a1-000000000000000000000028")
    assert "fluoro serve" in texts(app)
    assert "127.0.0.1:9" in texts(app)


@pytest.mark.parametrize("page", ["map", "traces"])
def test_the_first_run_says_how_to_send_a_trace(open_page, page):
    shown = texts(open_page(page, "empty"))
    assert "Ready for the first trace" in shown
    assert "fluoro run python app.py" in shown
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in shown


def test_an_empty_range_offers_the_newest_data(open_page):
    app = open_page("map", "old", range="5m")
    assert "30.0 days ago" in texts(app)
    next(button for button in app.button if button.label == "Show the newest").click().run()
    assert app.query_params["range"] == "custom"
    newest = time.time() - 30 * 86400
    assert int(app.query_params["from"]) < newest < int(app.query_params["to"])
    assert payload(app, "service_map")


def test_traces_are_counted_and_more_can_be_loaded(open_page):
    app = open_page("traces")
    assert "640 traces, 200 shown" in texts(app)
    assert len(app.dataframe[0].value) == 200
    next(button for button in app.button if button.label.startswith("Load")).click().run()
    assert "640 traces, 400 shown" in texts(app)


def test_a_selected_row_gets_a_link_to_its_trace(open_page):
    app = open_page("traces")
    app.session_state["traces_table"] = {"selection": {"rows": [1], "columns": [], "cells": []}}
    app.run()
    link = app.get("page_link")[0].proto
    assert link.query_string == f"id={fake_api.trace_id(5000)}"


def test_a_filter_error_points_at_the_place(open_page):
    app = open_page("traces", filter="fault AND BAD > 1")
    code = app.get("code")[0].value
    assert code.splitlines()[0].index("BAD") == code.splitlines()[1].index("▲")
    assert "unknown keyword" in texts(app)


def test_a_filter_without_hits_can_be_cleared(open_page):
    app = open_page("traces", filter="NOTHING")
    assert "No trace matches" in texts(app)
    next(button for button in app.button if button.label == "Clear the filter").click().run()
    assert len(app.dataframe) == 1


def test_a_trace_id_in_the_filter_box_is_a_look_up(open_page):
    app = open_page("traces", filter=fake_api.trace_id(40))
    assert app.get("page_link")[0].proto.query_string == f"id={fake_api.trace_id(40)}"


def test_a_trace_with_a_segment_selected_by_link(open_page):
    app = open_page("trace", id=fake_api.trace_id(40), segment="0000000000000003")
    [sent] = payload(app, "waterfall")
    assert sent["selected"] == "0000000000000003"
    header, details = payload(app, "inspector")
    assert header["copy"] == fake_api.trace_id(40)
    assert details["key"] == "0000000000000003"


def test_an_unknown_trace_says_so(open_page):
    shown = texts(open_page("trace", id="1-5f84c7a1-000000000000000000000001"))
    assert "No such trace" in shown


def test_no_id_asks_for_one(open_page):
    assert open_page("trace").text_input[0].label == "Trace id"


def test_hostile_names_are_no_markdown_in_links(open_page):
    app = open_page("traces", "hostile")
    app.session_state["traces_table"] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    app.run()
    label = app.get("page_link")[0].proto.label
    assert "\\<img" in label
    assert "**bold**" not in label
    assert "](" not in label.replace("\\]\\(", "")
