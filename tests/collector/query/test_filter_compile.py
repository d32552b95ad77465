"""The SQL of every kind of term is pinned: a change here is a change of meaning or of speed, and must be meant."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filter_trees import expressions
from fluoro_collector.query.filter import tree
from fluoro_collector.query.filter.block_rows import IN_RANGE
from fluoro_collector.query.filter.compile import compile_filter
from fluoro_collector.query.filter.flags import flags_mask
from fluoro_collector.query.filter.parse import parse

K, V = "{filter0:String}", "{filter1:String}"


def some_row(row: str, indexed: str = "") -> str:
    return (
        f"(trace_id IN (SELECT trace_id FROM (SELECT * FROM segments WHERE {IN_RANGE} AND (trace_id, id) IN"
        f" (SELECT trace_id, id FROM segments WHERE {IN_RANGE} AND {indexed}{row}) ORDER BY trace_id, id, in_progress,"
        f" received DESC, duration DESC LIMIT 1 BY trace_id, id) WHERE {row}))"
    )


def or_live(found: str) -> str:
    """Or the searcher has found the term in a live trace."""
    live = "toUnixTimestamp(minute) IN {minutes:Array(UInt32)} AND trace_id IN {live0:Array(FixedString(16))}"
    return f"({found} OR ({live}))"


SNAPSHOTS: dict[str, tuple[str, dict[str, Any]]] = {
    "fault": ("(fault)", {}),
    "fault = false": ("(NOT (fault))", {}),
    "ok": ("(NOT (error OR throttle OR fault))", {}),
    "throttle": ("(any_throttle)", {}),
    "!partial": ("(NOT (partial))", {}),
    "responsetime >= 5": ("(NOT root_in_progress AND response_time / 1e9 >= {filter0:Float64})", {"filter0": 5.0}),
    "duration < 3": ("(1 AND lasted / 1e9 < {filter0:Float64})", {"filter0": 3.0}),
    "http.status != 200": ("(http_status != 0 AND http_status != {filter0:Float64})", {"filter0": 200.0}),
    "http.status": ("(http_status != 0)", {}),
    'http.url CONTAINS "/v1/"': ("(http_url != '' AND position(http_url, {filter0:String}) > 0)", {"filter0": "/v1/"}),
    'user BEGINSWITH "b"': ("(arrayExists(user -> startsWith(user, {filter0:String}), users))", {"filter0": "b"}),
    'user = "bob"': ("has(users, {filter0:String})", {"filter0": "bob"}),
    'annotation.k = "v"': (
        some_row(
            f"(mapContains(annotations, {K}) AND annotations[{K}] = {V})", f"has(items, concat({K}, '=', {V})) AND "
        ),
        {"filter0": "k", "filter1": "v"},
    ),
    "annotation.n = 5": (
        some_row(
            f"(mapContains(numbers, {K}) AND numbers[{K}] = {{filter1:Float64}})",
            f"has(items, concat({K}, '=', toString({{filter1:Float64}}))) AND ",
        ),
        {"filter0": "n", "filter1": 5.0},
    ),
    "annotation[b] != true": (
        some_row(
            f"(mapContains(annotations, {K}) AND annotations[{K}] = {V})", f"has(items, concat({K}, '=', {V})) AND "
        ),
        {"filter0": "b", "filter1": "false"},
    ),
    "annotation.n > 2": (
        some_row(f"(mapContains(numbers, {K}) AND numbers[{K}] > {{filter1:Float64}})"),
        {"filter0": "n", "filter1": 2.0},
    ),
    "annotation.k": (some_row(f"(mapContains(annotations, {K}) OR mapContains(numbers, {K}))"), {"filter0": "k"}),
    'instance.id = "i-1"': (
        some_row(
            "(NOT (subsegment AND namespace != '') AND resource_id IN (SELECT id FROM resources WHERE"
            f" (JSONExtractString(resource, 5, 'host.id') != '' AND JSONExtractString(resource, 5, 'host.id') = {K})))"
        ),
        {"filter0": "i-1"},
    ),
    'service("web")': (
        or_live(
            "arrayExists(node -> node.name = {filter0:String}, nodes)"
            " OR arrayExists(edge -> edge.source_name = {filter1:String}, edges)"
        ),
        {"filter0": "web", "filter1": "web"},
    ),
    'service(id(name: "web", type: "client")) { fault }': (
        or_live(
            "arrayExists(edge -> (edge.source_name = {filter0:String} AND edge.source_type = {filter1:String}"
            " AND bitAnd(edge.outcomes, 240) != 0), edges)"
        ),
        {"filter0": "web", "filter1": "client"},
    ),
    "service() { error AND !throttle OR ok }": (
        or_live("arrayExists(node -> bitAnd(node.outcomes, 35) != 0, nodes)"),
        {},
    ),
    'edge("a", id(type: "T")) { throttle = true }': (
        or_live(
            "arrayExists(edge -> (edge.source_name = {filter0:String} AND edge.target_type = {filter1:String}"
            " AND bitAnd(edge.outcomes, 204) != 0), edges)"
        ),
        {"filter0": "a", "filter1": "T"},
    ),
    "fault OR !(ok AND partial)": (
        "((fault) OR (NOT ((NOT (error OR throttle OR fault)) AND (partial))))",
        {},
    ),
}


@pytest.mark.parametrize("text", SNAPSHOTS)
def test_the_sql_of_a_term(text: str) -> None:
    condition, params = SNAPSHOTS[text]
    compiled = compile_filter(parse(text))
    assert compiled.condition == condition
    assert compiled.params == params | ({"live0": []} if "live0" in condition else {})
    assert compiled.reads_segments == ("segments" in condition)
    assert compiled.graph == ("nodes" in condition or "edges" in condition)
    assert (compiled.causes, compiled.suspects) == ({}, None)


def lacks(known: str, wanted_if: str) -> str:
    return f"length(arrayIntersect({known}, groupUniqArrayIf({wanted_if}))) < length(groupUniqArrayIf({wanted_if}))"


YOUNG = "(toUnixTimestamp64Milli(received) > {settled:Int64})"
OWN, CALL = "NOT subsegment", "subsegment AND namespace != '' AND peer_name != ''"
WAITING, TAKEN = (
    "groupArrayIf(parent_id, NOT subsegment AND kind != 4)",
    "groupArrayIf(parent_id, NOT subsegment AND kind = 4)",
)
SLOW = "(NOT in_progress AND duration / 1e9 > {filter2:Float64})"
NAMED = "if(subsegment, peer_name, service) = {filter0:String}"

# What a row of candidates meets, and what of their rows together.
NODE_BLOCKS: dict[str, tuple[str, str]] = {
    'service(id(name: "t", type: "T")) { responsetime > 1 AND !root }': (
        (
            f"((NOT subsegment OR namespace != '') AND {NAMED} AND if(subsegment, peer_type, origin) = {{filter1:String}}"
            f" AND {SLOW})"
        ),
        " OR ".join(
            (
                lacks(
                    "groupArray(id)",
                    f"parent_id, ({OWN} AND service = {{filter0:String}} AND origin = {{filter1:String}} AND ({SLOW} AND"
                    f" (NOT 1))) AND NOT (kind = 4 AND peer_name != '') AND NOT {YOUNG}",
                ),
                (
                    f"notEmpty(arrayIntersect(groupArray(id), groupArrayIf(parent_id, ({OWN} AND service = {{filter0:String}}"
                    f" AND origin = {{filter1:String}} AND ({SLOW} AND (NOT 0))))))"
                ),
                (
                    f"countIf(({OWN} AND service = {{filter0:String}} AND origin = {{filter1:String}} AND ({SLOW} AND"
                    f" (NOT 0))) AND (kind = 4 AND peer_name != '' OR {YOUNG[1:-1]})) > 0"
                ),
                lacks(
                    WAITING,
                    f"id, ({CALL} AND peer_name = {{filter0:String}} AND peer_type = {{filter1:String}} AND ({SLOW} AND"
                    f" (NOT 0))) AND NOT {YOUNG}",
                ),
                (
                    f"notEmpty(arrayIntersect({TAKEN}, groupArrayIf(id, ({CALL} AND peer_name = {{filter0:String}} AND"
                    f" peer_type = {{filter1:String}} AND ({SLOW} AND (NOT 0))))))"
                ),
            )
        ),
    ),
    'service("t") { partial OR inferred }': (
        f"((NOT subsegment OR namespace != '') AND {NAMED})",
        " OR ".join(
            (
                f"countIf(({OWN} AND service = {{filter0:String}} AND ((in_progress) OR 0))) > 0",
                lacks(
                    WAITING, f"id, ({CALL} AND peer_name = {{filter0:String}} AND ((in_progress) OR 1)) AND NOT {YOUNG}"
                ),
                (
                    f"notEmpty(arrayIntersect({TAKEN}, groupArrayIf(id, ({CALL} AND peer_name = {{filter0:String}} AND"
                    " ((in_progress) OR 1)))))"
                ),
            )
        ),
    ),
    'service(id(name: "t", type: "client")) { partial }': (
        "(NOT subsegment AND service = {filter0:String} AND (in_progress))",
        lacks(
            "groupArray(id)",
            f"parent_id, ({OWN} AND service = {{filter0:String}} AND (in_progress))"
            f" AND NOT (kind = 4 AND peer_name != '') AND NOT {YOUNG}",
        ),
    ),
}


@pytest.mark.parametrize("text", NODE_BLOCKS)
def test_the_sql_of_a_node_whose_block_asks_for_more_than_flags(text: str) -> None:
    row, trace = NODE_BLOCKS[text]
    compiled = compile_filter(parse(text))
    assert compiled.reads_segments
    before, _, having = compiled.condition.partition(" GROUP BY trace_id HAVING ")
    assert before == (
        f"(trace_id IN (SELECT trace_id FROM (SELECT * FROM segments WHERE {IN_RANGE} AND trace_id IN (SELECT trace_id"
        f" FROM segments WHERE {IN_RANGE} AND {row})"
        " ORDER BY trace_id, id, in_progress, received DESC, duration DESC LIMIT 1 BY trace_id, id)"
    )
    assert having in (f"({trace})))", f"{trace}))")


# What rows of candidates meet, the bits of each row, and what is asked of observations.
OBSERVED: dict[str, tuple[list[str], str, str]] = {
    'service("t") { (fault OR inferred OR http.status) AND index = 1 }': (
        [f"((NOT subsegment OR namespace != '') AND {NAMED.replace('filter0', 'filter1')} AND 1)"],
        "bitShiftLeft(toUInt64((fault)), 0) + bitShiftLeft(toUInt64((http_status != 0)), 1)",
        (
            "(r.relation = 0 AND r.target_name = {filter1:String} AND ((bitTest(r.bits, 0) OR (r.inferred)"
            " OR bitTest(r.bits, 1)) AND (1 AND r.place = {filter0:Float64})))"
        ),
    ),
    'edge("a", id(name: "b", type: "T")) { !(fault OR http.status > 499) }': (
        [
            "(service = {filter0:String} OR peer_name = {filter0:String})",
            (
                "((service = {filter1:String} OR peer_name = {filter1:String})"
                " AND (origin = {filter2:String} OR peer_type = {filter2:String}))"
            ),
            (
                "((NOT subsegment OR namespace != '') AND ((NOT (fault)) AND"
                " (NOT (http_status != 0 AND http_status > {filter3:Float64}))))"
            ),
        ],
        (
            "bitShiftLeft(toUInt64((fault)), 0)"
            " + bitShiftLeft(toUInt64((http_status != 0 AND http_status > {filter3:Float64})), 1)"
        ),
        (
            "(r.relation != 0 AND r.source_name = {filter0:String} AND r.target_name = {filter1:String}"
            " AND r.target_type = {filter2:String} AND (NOT (bitTest(r.bits, 0) OR bitTest(r.bits, 1))))"
        ),
    ),
}


@pytest.mark.parametrize("text", OBSERVED)
def test_the_sql_of_an_edge_or_an_order_of_services(text: str) -> None:
    candidates, bits, requests = OBSERVED[text]
    compiled = compile_filter(parse(text))
    assert compiled.reads_segments
    sql = compiled.condition
    chosen = "".join(
        f" AND trace_id IN (SELECT trace_id FROM segments WHERE {IN_RANGE} AND {row})" for row in candidates
    )
    assert f"    WHERE {IN_RANGE}{chosen}\n    ORDER BY trace_id, id, in_progress" in sql
    assert f"(toUnixTimestamp64Nano(start), 0, 0, {bits}, '') AS figures\n" in sql
    assert sql.startswith("(trace_id IN (")
    assert sql.endswith(f"WHERE {requests}))")


def test_the_order_of_services_is_computed_where_it_is_asked_for() -> None:
    assert "dense_rank" in compile_filter(parse('service("x") { first }')).condition
    assert "dense_rank" not in compile_filter(parse('service(id(type: "client")) { first }')).condition


@pytest.mark.parametrize(
    ("block", "mask"),
    [
        ("error", 0b10101010),
        ("throttle", 0b11001100),
        ("fault", 0b11110000),
        ("ok", 0b00000001),
        ("!ok", 0b11111110),
        ("ok = false OR ok", 0b11111111),
        ("error AND !throttle AND !fault", 0b00000010),
        ("fault != true", 0b00001111),
        ("partial", None),
        ("fault OR root", None),
        ("!(fault AND responsetime > 1)", None),
    ],
)
def test_a_block_of_flags_is_a_truth_table(block: str, mask: int | None) -> None:
    parsed = parse(f"service() {{ {block} }}")
    assert isinstance(parsed, tree.Service)
    assert flags_mask(parsed.block) == mask


@pytest.mark.parametrize(
    ("text", "condition", "suspects"),
    [
        ("rootcause.fault.service { first }", "CAUSE0", "any_fault"),
        ("rootcause.error.entity { last }", "CAUSE0", "(any_error OR any_throttle)"),
        ("rootcause.responsetime.entity { last }", "CAUSE0", "1"),
        ("rootcause.json = #[]", "CAUSE0", "1"),
        (
            "user AND rootcause.fault.service { last }",
            "((notEmpty(users)) AND CAUSE0)",
            "(any_fault AND (notEmpty(users)))",
        ),
        ("user OR rootcause.fault.service { last }", "((notEmpty(users)) OR CAUSE0)", "any_fault"),
        (
            "!(user OR rootcause.fault.service { last }) AND ok",
            "((NOT ((notEmpty(users)) OR CAUSE0)) AND (NOT (error OR throttle OR fault)))",
            "(any_fault AND ((NOT (notEmpty(users))) AND (NOT (error OR throttle OR fault))))",
        ),
        (
            "rootcause.fault.service { last } rootcause.error.service { last } user",
            "(CAUSE0 AND CAUSE1 AND (notEmpty(users)))",
            "((any_error OR any_throttle OR any_fault) AND (notEmpty(users)))",
        ),
    ],
)
def test_root_causes_are_ids_and_suspects_are_all_that_could_match(text: str, condition: str, suspects: str) -> None:
    compiled = compile_filter(parse(text))
    shown = re.sub(r"\(trace_id IN \{causes(\d):Array\(FixedString\(16\)\)\}\)", r"CAUSE\1", compiled.condition)
    assert shown == condition
    assert compiled.suspects == suspects
    assert list(compiled.causes) == [f"causes{number}" for number in range(condition.count("CAUSE"))]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('annotation.k = "v"', ["01"]),
        ('annotation.k = "v" AND fault AND annotation.n = 5', ["01", "23"]),
        ('(annotation.k = "v" AND fault) OR annotation.b = true', ["01 OR 23"]),
        ('annotation.k = "v" OR fault', []),
        ('!annotation.k = "v"', []),
        ('annotation.k != "v"', []),
        ("annotation.n > 5", []),
        ("annotation.k", []),
        ('fault AND service("a") { http.status = 500 }', []),
    ],
)
def test_terms_that_an_index_answers_are_told(text: str, rows: list[str]) -> None:
    """Digits are parameters: the key's and the value's."""
    found = [re.sub(r"toString\((.*?)\)", r"\1", row) for row in compile_filter(parse(text)).rows]
    item = re.compile(r"has\(items, concat\(\{filter(\d):String\}, '=', \{filter(\d):\w+\}\)\)")
    assert [item.sub(r"\1\2", row).strip("()") for row in found] == rows


@pytest.mark.parametrize("hostile", ["' OR 1 = 1 --", "{filter0:String}", "\\", "x'); DROP TABLE segments"])
def test_no_input_reaches_the_text_of_the_sql(hostile: str) -> None:
    def compiled(value: str) -> str:
        text = tree.And(
            (
                tree.Annotation(value, "=", value),
                tree.Service(tree.Identity(value, value, value), tree.Comparison("name", "=", value)),
                tree.Edge(tree.Identity(value), tree.Identity(value, value), tree.Comparison("http.url", "!=", value)),
                *(tree.Comparison(each, "=", value) for each in ("user", "http.method", "account.id", "resource.arn")),
            )
        )
        found = compile_filter(parse(str(text)))
        assert set(found.params.values()) == {value}
        return found.condition

    assert compiled(hostile) == compiled("v")


@given(expressions(), st.text(min_size=3, max_size=8))
def test_values_are_parameters_only(expression: tree.Expression, value: str) -> None:
    """The SQL of two expressions that differ in their texts only is the same."""

    def with_value(part: tree.Expression) -> tree.Expression:
        if isinstance(part, (tree.And, tree.Or)):
            return type(part)(tuple(map(with_value, part.parts)))
        if isinstance(part, tree.Not):
            return tree.Not(with_value(part.part))
        if isinstance(part, tree.Comparison) and isinstance(part.value, str):
            return tree.Comparison(part.keyword, part.operator, value)
        return part

    first, second = (compile_filter(each, lambda _of, _value: "ok") for each in (expression, with_value(expression)))
    assert first.condition == second.condition
