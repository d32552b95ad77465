from fluoro_dashboard import filters


def test_a_service_is_selected_by_name_and_anything_else_by_name_and_type():
    assert filters.node("orders", "") == 'service("orders")'
    assert filters.node("orders", "", "fault") == 'service("orders") { fault }'
    assert filters.node("t", "AWS::DynamoDB::Table") == 'service(id(name: "t", type: "AWS::DynamoDB::Table"))'


def test_quotes_in_a_name_cannot_end_the_string():
    assert filters.node('a" OR "', "") == 'service("a\\" OR \\"")'
    assert filters.quote("a\\") == '"a\\\\"'


def test_two_ends_of_an_edge():
    queue = ("q", "AWS::SQS::Queue")
    assert filters.edge(("a", ""), queue) == 'edge("a", id(name: "q", type: "AWS::SQS::Queue"))'
    assert filters.edge(("a", "client"), ("a", ""), "fault") == 'edge(id(name: "a", type: "client"), "a") { fault }'


def test_outcomes_are_those_the_map_counts():
    """A throttled request has X-Ray's error flag too, and the map shows it as throttled."""
    assert filters.node("a", "", "error") == 'service("a") { error AND !throttle AND !fault }'
    assert filters.node("a", "", "throttle") == 'service("a") { throttle AND !fault }'
    assert filters.node("a", "", "ok") == 'service("a") { ok }'
    assert filters.clients("fault") == 'service(id(type: "client")) { fault }'


def test_a_second_brush_replaces_the_first():
    once = filters.brushed("", 0.5, 1)
    assert once == "duration >= 0.5 AND duration <= 1"
    assert filters.brushed(once, 0.6, 0.7) == "duration >= 0.6 AND duration <= 0.7"
    assert filters.brushed("fault", 1e-05, 1) == "fault AND duration >= 1e-05 AND duration <= 1"
    assert filters.unbrushed(filters.brushed("fault", 1, 2)) == "fault"
    assert filters.is_brushed(once)
    assert not filters.is_brushed("fault")


def test_a_brush_binds_to_the_whole_of_an_or():
    assert filters.brushed("fault OR error", 1, 2) == "(fault OR error) AND duration >= 1 AND duration <= 2"
    assert filters.brushed("(a) OR (b)", 1, 2) == "((a) OR (b)) AND duration >= 1 AND duration <= 2"
    again = filters.brushed(filters.brushed("fault OR error", 1, 2), 1, 3)
    assert again == "(fault OR error) AND duration >= 1 AND duration <= 3"


def test_trace_ids_are_told_from_expressions():
    assert filters.is_trace_id("1-5f84c7a1-0123456789abcdef01234567")
    assert not filters.is_trace_id("1-5f84c7a1")
