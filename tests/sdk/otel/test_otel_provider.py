"""fluoro as the global provider and propagator."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from opentelemetry import baggage, context, propagate, trace
from opentelemetry.trace import SpanKind

import fluoro.otel.provider
from fluoro.recorder import recorder
from fluoro.sampling import LEAVE

SDK = Path(__file__).parents[3] / "sdk"
XRAY = "1-6543210f-000102030405060708090a0b"
HEX = XRAY[2:].replace("-", "")


def in_a_fresh_process(code: str) -> str:
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={"PYTHONPATH": str(SDK), "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout + found.stderr


def test_no_opentelemetry_sdk_is_loaded():
    output = in_a_fresh_process("""
        import sys
        import fluoro.otel.provider
        from opentelemetry import trace
        assert fluoro.otel.provider.install() and fluoro.otel.provider.install()
        with trace.get_tracer("lib").start_as_current_span("a"):
            pass
        print([name for name in sys.modules if name.startswith(("opentelemetry.sdk", "google", "grpc"))])
    """)
    assert output == "[]\n"


def test_a_tracer_taken_before_installation_records_afterwards():
    output = in_a_fresh_process("""
        from opentelemetry import trace
        early = trace.get_tracer("early")
        import fluoro.otel.provider, fluoro.testing
        fluoro.otel.provider.install()
        with fluoro.testing.capture() as spans:
            with early.start_as_current_span("a"):
                pass
            print(spans.one().operation)
    """)
    assert output == "a\n"


def test_a_provider_that_the_application_sets_wins():
    output = in_a_fresh_process("""
        from opentelemetry import trace
        import fluoro.otel.provider
        class Own(trace.NoOpTracerProvider): pass
        fluoro.otel.provider.install()
        trace.set_tracer_provider(Own())
        print(type(trace.get_tracer_provider()).__name__)
        print(fluoro.otel.provider.install())
    """)
    assert output.splitlines()[:2] == ["Own", "False"]
    assert "OpenTelemetry spans stay with __main__.Own" in output


def test_what_the_application_sets_later_is_said_once():
    output = in_a_fresh_process("""
        from opentelemetry import trace
        import fluoro.otel.provider
        class Own(trace.NoOpTracerProvider): pass
        fluoro.otel.provider.install()
        trace.set_tracer_provider(Own())
    """)
    assert output.count("WARNING") == 1
    assert "the application set __main__.Own as OpenTelemetry's provider" in output


def test_metrics_and_logs_stay_as_they_are():
    output = in_a_fresh_process("""
        from opentelemetry import metrics, _logs
        before = metrics.get_meter_provider(), _logs.get_logger_provider()
        import fluoro.otel.provider
        fluoro.otel.provider.install()
        assert before == (metrics.get_meter_provider(), _logs.get_logger_provider())
        metrics.get_meter("lib").create_counter("n").add(1)
    """)
    assert output == ""


def test_a_parallel_provider_of_opentelemetrys_own_nests_with_our_spans(otel):
    from opentelemetry.sdk.trace import TracerProvider as SdkProvider

    foreign = SdkProvider().get_tracer("sdk")
    with recorder.begin_segment("entry") as entry, foreign.start_as_current_span("theirs") as theirs:
        assert theirs.parent.span_id == entry.segment.id
        recorder.begin("ours").end()
    ours, _ = otel.take(2)
    assert ours.parent_id == theirs.get_span_context().span_id
    assert ours.trace_id == entry.segment.trace_id


def test_provider(otel):
    provider = trace.get_tracer_provider()
    assert type(provider) is fluoro.otel.provider.TracerProvider
    assert type(provider).__module__ == "fluoro.otel.provider"
    assert provider
    tracer = provider.get_tracer(
        instrumenting_module_name="m", instrumenting_library_version="1", schema_url="u", attributes={"a": 1}
    )
    assert tracer
    assert provider.resource.attributes.get("service.name") == "test"
    assert provider.force_flush(timeout_millis=10)
    provider.shutdown()


def test_both_headers_are_written(otel, tracer):
    with tracer.start_as_current_span("GET", kind=SpanKind.CLIENT):
        carrier: dict[str, str] = {}
        token = context.attach(baggage.set_baggage("user", "bob"))
        propagate.inject(carrier)
        context.detach(token)
    segment = otel.one()
    text = segment.trace_id.hex()
    assert carrier == {
        "X-Amzn-Trace-Id": f"Root=1-{text[:8]}-{text[8:]};Parent={segment.id:016x};Sampled=1",
        "traceparent": f"00-{text}-{segment.id:016x}-01",
        "baggage": "user=bob",
    }
    assert {"X-Amzn-Trace-Id", "traceparent", "tracestate", "baggage"} <= propagate.get_global_textmap().fields


def test_nothing_is_written_without_a_span():
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    assert carrier == {}


@pytest.mark.parametrize(
    ("headers", "parent"),
    [
        ({"X-Amzn-Trace-Id": f"Root={XRAY};Parent=00000000000000aa;Sampled=1"}, 0xAA),
        ({"x-amzn-trace-id": f"Root={XRAY};Parent=00000000000000aa;Sampled=1"}, 0xAA),
        ({"traceparent": f"00-{HEX}-00000000000000bb-01"}, 0xBB),
        (
            {
                "X-Amzn-Trace-Id": f"Root={XRAY};Parent=00000000000000aa;Sampled=1",
                "traceparent": f"00-{'1' * 32}-00000000000000bb-01",
            },
            0xAA,
        ),
        ({"X-Amzn-Trace-Id": f"Root={XRAY}"}, 0),
    ],
)
def test_either_header_is_read(otel, tracer, headers, parent):
    with recorder.begin_segment("unrelated"):  # noqa: SIM117  what it must not take as its parent
        with tracer.start_as_current_span("GET /", propagate.extract(headers), SpanKind.SERVER):
            pass
    served, _ = otel.take(2)
    assert (served.trace_id.hex(), served.parent_id) == (HEX, parent)


def test_what_a_span_context_cannot_say_is_passed_on(otel, tracer):
    recorder.sampler = lambda *_: LEAVE
    header = f"Root={XRAY};Parent=00000000000000aa;Sampled=?;Lineage=a:1"
    with tracer.start_as_current_span("GET /", propagate.extract({"X-Amzn-Trace-Id": header}), SpanKind.SERVER):
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
    assert carrier["X-Amzn-Trace-Id"].endswith(";Sampled=0;Lineage=a:1")
    assert otel.take() == []


def test_tracestate_is_passed_on(otel, tracer):
    headers = {"traceparent": f"00-{HEX}-00000000000000bb-01", "tracestate": "a=b,c=d"}
    with tracer.start_as_current_span("GET /", propagate.extract(headers), SpanKind.SERVER) as span:
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        assert span.get_span_context().trace_state.to_header() == "a=b,c=d"
    assert carrier["tracestate"] == "a=b,c=d"
    assert otel.one().trace_state == "a=b,c=d"
