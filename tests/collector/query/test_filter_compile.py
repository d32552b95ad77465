"""The SQL of every kind of term is pinned: a change here is a change of meaning or of speed, and must be meant."""

from __future__ import annotations

from typing import Any

import pytest

from fluoro_collector.query.filter.compile import ROOT_ORDER, compile_filter
from fluoro_collector.query.filter.errors import FilterError, NotSupportedError
from fluoro_collector.query.filter.parse import parse

ROOT = ROOT_ORDER
SNAPSHOTS: dict[str, tuple[str, str | None, dict[str, Any]]] = {
    "fault": (f"(argMin(fault, {ROOT}))", "fault", {}),
    "fault = false": (f"(argMin(NOT (fault), {ROOT}))", None, {}),
    "ok": (f"(argMin(NOT (error OR throttle OR fault), {ROOT}))", None, {}),
    "throttle": ("(countIf(throttle) > 0)", "throttle", {}),
    "!partial": ("NOT (countIf(in_progress) > 0)", None, {}),
    "partial = false": ("(countIf(in_progress) = 0)", None, {}),
    "responsetime >= 5": (
        f"(argMin(NOT in_progress AND duration / 1e9 >= {{filter0:Float64}}, {ROOT}))",
        "NOT in_progress AND duration / 1e9 >= {filter0:Float64}",
        {"filter0": 5.0},
    ),
    "duration < 3": (
        (
            "((max(toUnixTimestamp64Nano(start) + toInt64(duration)) - min(toUnixTimestamp64Nano(start))) / 1e9"
            " < {filter0:Float64})"
        ),
        None,
        {"filter0": 3.0},
    ),
    "http.status != 200": (
        f"(argMin(http_status != 0 AND http_status != {{filter0:Float64}}, {ROOT}))",
        None,
        {"filter0": 200.0},
    ),
    'http.url CONTAINS "/v1/"': (
        f"(argMin(http_url != '' AND position(http_url, {{filter0:String}}) > 0, {ROOT}))",
        "http_url != '' AND position(http_url, {filter0:String}) > 0",
        {"filter0": "/v1/"},
    ),
    'user = "bob"': (
        "(countIf(user != '' AND user = {filter0:String}) > 0)",
        "user != '' AND user = {filter0:String}",
        {"filter0": "bob"},
    ),
    'annotation.k = "v"': (
        "(countIf(mapContains(annotations, {filter0:String}) AND annotations[{filter0:String}] = {filter1:String}) > 0)",
        (
            "(has(items, concat({filter0:String}, '=', {filter1:String})) AND mapContains(annotations, {filter0:String})"
            " AND annotations[{filter0:String}] = {filter1:String})"
        ),
        {"filter0": "k", "filter1": "v"},
    ),
    "annotation.n = 5": (
        "(countIf(mapContains(numbers, {filter0:String}) AND numbers[{filter0:String}] = {filter1:Float64}) > 0)",
        (
            "(has(items, concat({filter0:String}, '=', toString({filter1:Float64}))) AND mapContains(numbers, {filter0:String})"
            " AND numbers[{filter0:String}] = {filter1:Float64})"
        ),
        {"filter0": "n", "filter1": 5.0},
    ),
    "annotation[b] != true": (
        "(countIf(mapContains(annotations, {filter0:String}) AND annotations[{filter0:String}] = {filter1:String}) > 0)",
        (
            "(has(items, concat({filter0:String}, '=', {filter1:String})) AND mapContains(annotations, {filter0:String})"
            " AND annotations[{filter0:String}] = {filter1:String})"
        ),
        {"filter0": "b", "filter1": "false"},
    ),
    "annotation.n > 2": (
        "(countIf(mapContains(numbers, {filter0:String}) AND numbers[{filter0:String}] > {filter1:Float64}) > 0)",
        "(mapContains(numbers, {filter0:String}) AND numbers[{filter0:String}] > {filter1:Float64})",
        {"filter0": "n", "filter1": 2.0},
    ),
    "annotation.k": (
        "(countIf(mapContains(annotations, {filter0:String}) OR mapContains(numbers, {filter0:String})) > 0)",
        "(mapContains(annotations, {filter0:String}) OR mapContains(numbers, {filter0:String}))",
        {"filter0": "k"},
    ),
    'service(id(name: "web", type: "client")) { fault }': (
        (
            "(NOT hasAll(groupArray(id), groupArrayIf(parent_id, subsegment = 0 AND service = {filter0:String}"
            " AND NOT (kind = 4 AND peer_name != '') AND (fault))))"
        ),
        "(subsegment = 0 AND service = {filter0:String} AND NOT (kind = 4 AND peer_name != '') AND (fault))",
        {"filter0": "web"},
    ),
    'service(id(name: "t", type: "T")) { root = false OR responsetime > 1 }': (
        (
            "(countIf(subsegment = 0 AND service = {filter0:String} AND origin = {filter2:String} AND"
            " ((NOT (parent_id = 0)) OR (NOT in_progress AND duration / 1e9 > {filter1:Float64}))) > 0"
            " OR NOT hasAll(groupArrayIf(parent_id, subsegment = 0 AND kind != 4), groupArrayIf(id, subsegment AND"
            " namespace != '' AND peer_name != '' AND peer_name = {filter0:String} AND peer_type = {filter2:String} AND"
            " ((NOT (parent_id = 0)) OR (NOT in_progress AND duration / 1e9 > {filter1:Float64}))))"
            " OR hasAny(groupArrayIf(parent_id, subsegment = 0 AND kind = 4), groupArrayIf(id, subsegment AND"
            " namespace != '' AND peer_name != '' AND peer_name = {filter0:String} AND peer_type = {filter2:String} AND"
            " ((NOT (parent_id = 0)) OR (NOT in_progress AND duration / 1e9 > {filter1:Float64})))))"
        ),
        (
            "((subsegment = 0 AND service = {filter0:String} AND origin = {filter2:String} AND ((NOT (parent_id = 0)) OR"
            " (NOT in_progress AND duration / 1e9 > {filter1:Float64}))) OR (subsegment AND namespace != '' AND"
            " peer_name != '' AND peer_name = {filter0:String} AND peer_type = {filter2:String} AND"
            " ((NOT (parent_id = 0)) OR (NOT in_progress AND duration / 1e9 > {filter1:Float64}))))"
        ),
        {"filter0": "t", "filter1": 1.0, "filter2": "T"},
    ),
    'fault OR annotation.k = "v"': (
        (
            f"((argMin(fault, {ROOT})) OR (countIf(mapContains(annotations, {{filter0:String}}) AND"
            " annotations[{filter0:String}] = {filter1:String}) > 0))"
        ),
        (
            "(fault OR (has(items, concat({filter0:String}, '=', {filter1:String})) AND"
            " mapContains(annotations, {filter0:String}) AND annotations[{filter0:String}] = {filter1:String}))"
        ),
        {"filter0": "k", "filter1": "v"},
    ),
    "fault OR ok": (f"((argMin(fault, {ROOT})) OR (argMin(NOT (error OR throttle OR fault), {ROOT})))", None, {}),
}


@pytest.mark.parametrize("text", SNAPSHOTS)
def test_the_sql_of_a_term(text: str) -> None:
    condition, prefilter, params = SNAPSHOTS[text]
    compiled = compile_filter(parse(text))
    assert compiled.condition == condition
    assert compiled.prefilter == prefilter
    assert compiled.params == params


def test_an_and_is_found_by_its_indexed_part() -> None:
    compiled = compile_filter(parse('fault AND service("x") AND annotation.k = "v" AND !ok'))
    assert compiled.prefilter is not None
    assert compiled.prefilter.startswith("(has(items, ")


@pytest.mark.parametrize("hostile", ["' OR 1 = 1 --", "{filter0:String}", "\\", "x'); DROP TABLE segments"])
def test_no_input_reaches_the_text_of_the_sql(hostile: str) -> None:
    quoted = '"' + hostile.replace("\\", "\\\\") + '"'
    plain = compile_filter(parse('annotation["k"] = "v" AND service("v") AND user = "v"'))
    compiled = compile_filter(parse(f"annotation[{quoted}] = {quoted} AND service({quoted}) AND user = {quoted}"))
    assert (compiled.condition, compiled.prefilter) == (plain.condition, plain.prefilter)
    assert set(compiled.params.values()) == {hostile}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('edge("a", "b")', "edge()"),
        ('group.name = "a"', "group.name"),
        ("rootcause.fault.service { root }", "rootcause"),
        ("rootcause.json = #[]", "rootcause.json"),
        ('availabilityzone = "a"', "availabilityzone"),
        ('service(id(account.id: "1"))', "account.id"),
        ("service() { service() }", "inside a block"),
    ],
)
def test_what_cannot_be_answered_says_so(text: str, what: str) -> None:
    with pytest.raises(NotSupportedError, match="is not supported yet") as raised:
        compile_filter(parse(f"ok AND {text}"))
    assert what in str(raised.value)
    assert raised.value.position >= len("ok AND ")


@pytest.mark.parametrize("text", ["root", "remote = true", "service() { annotation.k }"])
def test_what_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(FilterError, match="inside service"):
        compile_filter(parse(text))
