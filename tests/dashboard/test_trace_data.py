import json

from dashboard import fake_api
from fluoro_dashboard import trace_data


def test_columns_have_one_entry_per_segment():
    columns = trace_data.columns(fake_api.trace(40))
    for name in ("id", "parent", "depth", "service", "name", "operation", "call", "start", "duration", "outcome"):
        assert len(columns[name]) == 40, name
    assert columns["progress"] == [39]
    assert columns["parent"][0] == -1
    assert columns["services"] == sorted(columns["services"])


def test_five_thousand_segments_stay_below_a_megabyte():
    assert len(json.dumps(trace_data.columns(fake_api.trace(5000)))) < 1_000_000


def test_the_inspector_has_a_tab_for_what_is_there_and_none_for_what_is_not():
    trace = fake_api.trace(40)
    index = next(i for i, segment in enumerate(trace["segments"]) if segment["cause"])
    names = [tab["name"] for tab in trace_data.inspector(trace, index)["tabs"]]
    assert names[0] == "Overview"
    assert names[-1] == "Raw"
    assert "Exceptions" in names
    assert "SQL" not in names
    sql = next(i for i, segment in enumerate(trace["segments"]) if segment["sql"])
    tabs = {tab["name"]: tab["sections"] for tab in trace_data.inspector(trace, sql)["tabs"]}
    assert tabs["SQL"][0]["text"].startswith("SELECT")
    assert trace_data.kind(trace["segments"][sql]) == "SQL call"


def test_every_segment_of_a_trace_can_be_inspected():
    trace = fake_api.trace(40, hostile=True)
    for index in range(40):
        json.dumps(trace_data.inspector(trace, index))


def test_a_cause_by_reference_and_frames_as_text():
    trace = fake_api.trace(40)
    trace["segments"][0]["cause"] = "ab12cd34ef56ab78"
    trace["segments"][1]["cause"] = {"exceptions": [{"type": "E", "message": "m", "stack": ["line one"]}]}
    tabs = [{tab["name"]: tab["sections"] for tab in trace_data.inspector(trace, index)["tabs"]} for index in (0, 1)]
    assert tabs[0]["Exceptions"][0]["message"] == "exception ab12cd34ef56ab78"
    assert tabs[1]["Exceptions"][0]["stack"] == ["line one"]
