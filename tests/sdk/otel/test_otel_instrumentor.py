"""The way `opentelemetry-instrumentation-*` packages use the API: a server's middleware and a client's wrapper."""

from __future__ import annotations

from typing import Any

from opentelemetry import context, propagate, trace
from opentelemetry.context import _SUPPRESS_HTTP_INSTRUMENTATION_KEY
from opentelemetry.trace import SpanKind, Status, StatusCode

import fluoro
from fluoro.model import Segment


class Middleware:
    """A WSGI server as contrib's instruments one: attach the extracted context or take the current span, end by hand."""

    def __init__(self, app) -> None:
        self.app = app
        self.tracer = trace.get_tracer("wsgi", "0.66b2", None, schema_url="https://opentelemetry.io/schemas/1.36.0")

    def __call__(self, headers: dict[str, str]) -> int:
        token, kind, parent = None, SpanKind.INTERNAL, None
        if trace.get_current_span() is trace.INVALID_SPAN:
            parent = propagate.extract(headers)
            token = context.attach(parent)
            kind = SpanKind.SERVER
        span = self.tracer.start_span("GET", parent, kind, attributes={"http.request.method": "GET", "url.path": "/7"})
        try:
            with trace.use_span(span):
                status: int = self.app()
                if span.is_recording() and span.kind is SpanKind.SERVER:
                    span.set_attribute("http.response.status_code", status)
                    span.set_attribute("http.route", "/{id}")
                    span.update_name("GET /{id}")
            span.end()
            return status  # noqa: TRY300  as contrib writes it
        except Exception as error:
            span.set_status(Status(StatusCode.ERROR, str(error)))
            span.set_attribute("error.type", type(error).__qualname__)
            span.end()
            raise
        finally:
            if token is not None:
                context.detach(token)


def client(send, url: str) -> Any:
    """As contrib's `requests`: one span, the headers injected, the library underneath told to keep quiet."""
    if context.get_value(_SUPPRESS_HTTP_INSTRUMENTATION_KEY):
        return send({})
    attributes = {"http.request.method": "GET", "url.full": url, "server.address": "payment", "server.port": 8003}
    with trace.get_tracer("requests").start_as_current_span("GET", kind=SpanKind.CLIENT, attributes=attributes) as span:
        headers: dict[str, str] = {}
        propagate.inject(headers)
        token = context.attach(context.set_value(_SUPPRESS_HTTP_INSTRUMENTATION_KEY, True))
        try:
            status = send(headers)
        finally:
            context.detach(token)
        if span.is_recording():
            span.set_attribute("http.response.status_code", status)
        return status


def by_name(segments: list[Segment]) -> dict[str, Segment]:
    return {segment.name if segment.subsegment else segment.operation: segment for segment in segments}


def test_two_services_and_a_call_between_them(otel):
    callee = Middleware(lambda: 503)
    calls: list[dict[str, str]] = []

    def send(headers: dict[str, str]) -> int:
        calls.append(headers)
        return client(lambda _: 503, "http://payment:8003/7")  # the lower library, which must stay quiet

    def handler() -> int:
        with fluoro.span("price"):
            return client(send, "http://payment:8003/7")

    assert Middleware(handler)({}) == 503
    caller = by_name(otel.take(3))
    [headers] = calls
    assert callee(headers) == 503
    served = otel.one()

    entry, price, call = caller["GET /{id}"], caller["price"], caller["payment:8003"]
    assert (entry.subsegment, entry.fault, entry.http.route) == (False, True, "/{id}")
    assert (price.parent_id, call.parent_id) == (entry.id, price.id)
    assert (call.namespace, call.fault, call.http.status) == ("remote", True, 503)
    assert (served.trace_id, served.parent_id, served.subsegment) == (entry.trace_id, call.id, False)


def test_the_applications_error_passes_and_is_recorded(otel):
    def handler() -> int:
        raise LookupError("no such order")

    caught = None
    try:
        Middleware(handler)({})
    except LookupError as error:
        caught = error
    assert str(caught) == "no such order"
    segment = otel.one()
    assert segment.fault
    [record] = segment.cause.exceptions
    assert (record.type, record.message) == ("LookupError", "no such order")
    assert record.stack[0].label.endswith("handler")
    assert trace.get_current_span() is trace.INVALID_SPAN
