"""One call is one span: ours are quiet inside a call that OpenTelemetry records, and where it asks for quiet."""

from __future__ import annotations

import pytest
from opentelemetry import context, propagate, trace
from opentelemetry.context import _SUPPRESS_HTTP_INSTRUMENTATION_KEY, _SUPPRESS_INSTRUMENTATION_KEY
from opentelemetry.trace import SpanKind

import fluoro
from fluoro.instrument import _http
from fluoro.model import Kind
from fluoro.recorder import recorder

CLIENT, INTERNAL = SpanKind.CLIENT, SpanKind.INTERNAL


def request() -> dict[str, str]:
    """A call as our own HTTP instrumentations record it; the headers it sent."""
    headers: dict[str, str] = {}
    span = _http.client_span("GET", "http://payment/", headers)
    _http.end_client(span, 200, None)
    return headers


@pytest.mark.parametrize(
    ("scope", "kind", "attributes", "quiet"),
    [
        ("opentelemetry.instrumentation.openai_v2", CLIENT, {}, True),
        ("opentelemetry.instrumentation.openai_v2", INTERNAL, {}, False),
        ("opentelemetry.instrumentation.fastapi", SpanKind.SERVER, {"http.request.method": "GET"}, False),
        ("opentelemetry.instrumentation.kafka", SpanKind.PRODUCER, {}, True),
        ("shop", SpanKind.PRODUCER, {}, False),
        ("elasticsearch-api", INTERNAL, {"db.system.name": "elasticsearch"}, True),
        ("anything", CLIENT, {"db.system": "mysql"}, True),
        ("anything", CLIENT, {"http.request.method": "GET"}, True),
        ("anything", CLIENT, {"gen_ai.system": "x"}, True),
        ("anything", CLIENT, {"rpc.system": "aws-api"}, True),
        ("shop", CLIENT, {"order": 7}, False),
        ("shop", INTERNAL, {"http.request.method": "GET"}, False),
    ],
)
def test_inside_a_call_that_is_recorded_already(otel, scope, kind, attributes, quiet):
    with trace.get_tracer(scope).start_as_current_span("outer", kind=kind) as span:
        span.set_attributes(attributes)
        headers = request()
    *inner, outer = otel.take()
    assert len(inner) == (0 if quiet else 1)
    sender = outer if quiet else inner[0]
    text = outer.trace_id.hex()
    assert headers["X-Amzn-Trace-Id"] == f"Root=1-{text[:8]}-{text[8:]};Parent={sender.id:016x};Sampled=1"
    request()
    assert otel.one().name == "payment"


def test_of_two_instrumentations_of_opentelemetry_the_outer_one_counts(otel):
    outer = trace.get_tracer("opentelemetry.instrumentation.openai_v2")
    inner = trace.get_tracer("opentelemetry.instrumentation.httpx")
    with outer.start_as_current_span("chat", kind=CLIENT), inner.start_as_current_span("POST", kind=CLIENT) as span:
        assert not span.is_recording()
        headers: dict[str, str] = {}
        propagate.inject(headers)
        with fluoro.span("below"):
            request()
    chat = otel.one()
    assert chat.operation == "chat"
    assert f"Parent={chat.id:016x};Sampled=1" in headers["X-Amzn-Trace-Id"]


def test_a_span_of_the_applications_own_is_recorded_inside_a_call(otel, tracer):
    outer = trace.get_tracer("opentelemetry.instrumentation.openai_v2")
    with outer.start_as_current_span("chat", kind=CLIENT), tracer.start_as_current_span("parse"):
        request()
    assert [segment.kind for segment in otel.take(3)] == [Kind.CLIENT, Kind.INTERNAL, Kind.CLIENT]


@pytest.mark.parametrize(
    "key",
    [_SUPPRESS_INSTRUMENTATION_KEY, _SUPPRESS_HTTP_INSTRUMENTATION_KEY, "suppress_instrumentation"],
    ids=["instrumentation", "http", "by name"],  # the first two end in a random number
)
def test_where_quiet_was_asked_for(otel, tracer, key):
    with tracer.start_as_current_span("step") as step:
        token = context.attach(context.set_value(key, True))
        headers = request()
        with tracer.start_as_current_span("inner"):
            request()
        context.detach(token)
        request()
    segments = otel.take(3)
    assert [segment.operation or segment.name for segment in segments] == ["inner", "GET", "step"]
    assert f"Parent={step.get_span_context().span_id:016x};Sampled=1" in headers["X-Amzn-Trace-Id"]


def test_quiet_without_a_span(otel):
    token = context.attach(context.set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
    request()
    recorder.begin("work").end()
    context.detach(token)
    assert otel.take() == []
    assert recorder.current() is None
