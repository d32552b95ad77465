"""What OpenTelemetry's API loads by name: OTEL_PYTHON_TRACER_PROVIDER=fluoro."""

from __future__ import annotations

from opentelemetry import trace

from fluoro import activation
from fluoro.otel import provider


def tracer_provider() -> trace.TracerProvider:
    """Become provider, context and propagator. A provider that records nothing if fluoro is off or cannot start."""
    activation.activate()
    if not (activation.activated and activation.start() and provider.install()):
        return trace.NoOpTracerProvider()
    return trace.get_tracer_provider()
