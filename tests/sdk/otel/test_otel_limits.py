"""What one span may hold, and what never leaves the process."""

from __future__ import annotations

import pytest
from opentelemetry import trace
from opentelemetry.trace import Link, SpanContext, SpanKind

from fluoro.otel.limits import Limits
from fluoro.otel.provider import TracerProvider
from fluoro.otel.redaction import redact

OTHER = SpanContext(1 << 100, 2, is_remote=True)


def test_the_variables_and_which_of_them_wins():
    assert Limits.from_env({}) == Limits(128, 128, 128, 128, 128, 0)
    given = {
        "OTEL_ATTRIBUTE_COUNT_LIMIT": "7",
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "5",
        "OTEL_SPAN_EVENT_COUNT_LIMIT": " 4 ",
        "OTEL_SPAN_LINK_COUNT_LIMIT": "-3",
        "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT": "many",
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "10",
    }
    assert Limits.from_env(given) == Limits(5, 4, 128, 7, 7, 10)


@pytest.fixture
def tight(monkeypatch: pytest.MonkeyPatch) -> trace.Tracer:
    monkeypatch.setenv("OTEL_ATTRIBUTE_COUNT_LIMIT", "2")
    monkeypatch.setenv("OTEL_SPAN_EVENT_COUNT_LIMIT", "1")
    monkeypatch.setenv("OTEL_SPAN_LINK_COUNT_LIMIT", "1")
    monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "3")
    return TracerProvider().get_tracer("lib")


def test_what_is_too_much_is_left_out_and_counted(otel, tight):
    links = [Link(OTHER, {"a": 1, "b": 2, "c": 3}), Link(OTHER)]
    span = tight.start_span("step", attributes={"a": "12345", "b": ["12345", 1], "c": 3}, links=links)
    span.set_attribute("a", "98765")
    span.set_attribute("d", 4)
    span.add_event("first", {"a": "12345", "b": 2, "c": 3})
    span.add_event("second")
    span.add_link(OTHER)
    span.end()
    segment = otel.one()
    assert segment.annotations == {"a": "987"}
    assert segment.metadata["default"] == {"b": ["123", 1]}
    assert [(event.name, event.attributes) for event in segment.events] == [("first", {"a": "123", "b": 2})]
    assert [link.attributes for link in segment.links] == [{"a": 1, "b": 2}]
    assert segment.metadata["otel"] == {
        "scope.name": "lib",
        "dropped_attributes_count": 2,
        "dropped_events_count": 1,
        "dropped_links_count": 2,
    }


@pytest.mark.parametrize(
    ("attributes", "left"),
    [
        ({"db.system": "mysql", "db.statement": 'SELECT "x" FROM t WHERE id = 7'}, {"db.statement": "SELECT ? FROM t WHERE id = ?"}),
        ({"db.system.name": "cassandra", "db.query.text": "SELECT * FROM t WHERE k = 'v'"}, {"db.query.text": "SELECT * FROM t WHERE k = ?"}),
        ({"db.system": "memcached", "db.statement": "set user:7:card 4111"}, {"db.statement": "set"}),
        ({"db.system": "redis", "db.statement": "GET ? ?"}, {"db.statement": "GET ? ?"}),
        ({"db.system": "mongodb", "db.statement": '{"find": "cards", "filter": {"n": 4111}}'}, {}),
        ({"db.system": "elasticsearch", "db.query.text": "x" * 65}, {}),
        ({"db.system": "sqlite", "db.statement": b"SELECT 1", "db.statement.parameters": "(4111,)"}, {}),
        ({"db.system.name": "sqlite", "db.query.parameter.0": "4111", "db.operation.parameter.id": "7"}, {}),
        ({"db.statement": "no database says so"}, {"db.statement": "no database says so"}),
    ],
)  # fmt: skip
def test_values_do_not_leave_with_a_statement(attributes, left):
    system = {key: value for key, value in attributes.items() if key.startswith("db.system")}
    redact(attributes)
    assert attributes == {**system, **left}


def test_a_span_is_redacted_when_it_ends(otel, tracer):
    with tracer.start_as_current_span("SELECT", kind=SpanKind.CLIENT) as span:
        span.set_attributes({"db.system": "postgresql", "db.statement": "SELECT 'secret-word'"})
        assert span.attributes["db.statement"] == "SELECT 'secret-word'"
    assert otel.one().sql.query == "SELECT ?"
