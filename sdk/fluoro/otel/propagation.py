"""OpenTelemetry's propagator for both trace headers, beside whatever the application had configured."""

from __future__ import annotations

from typing import Any

from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import TextMapPropagator, default_getter, default_setter
from opentelemetry.trace import get_current_span, set_span_in_context

from fluoro.otel.context import live_of
from fluoro.otel.ids import RemoteSpan
from fluoro.propagation import TRACEPARENT, TRACESTATE, XRAY, extract, inject


class Propagator(TextMapPropagator):
    """Reads `X-Amzn-Trace-Id`, else `traceparent`; writes both. `others` (baggage, B3, …) run first.

    OTEL_PROPAGATORS says which those are. `xray` and `fluoro` there mean this class, made without `others`.
    """

    def __init__(self, others: TextMapPropagator | None = None) -> None:
        self.others = CompositePropagator([]) if others is None else others

    def extract(self, carrier: Any, context: Context | None = None, getter: Any = default_getter) -> Context:
        # The contract is to start from an empty context, not from the current one.
        found = self.others.extract(carrier, Context() if context is None else context, getter)

        def get(name: str) -> str | None:
            # Getters differ in whether they ignore case: a plain dict does not.
            values = getter.get(carrier, name) or getter.get(carrier, name.lower())
            return ",".join(values) if values else None

        parent = extract(get)
        return found if parent is None else set_span_in_context(RemoteSpan(parent), found)

    def inject(self, carrier: Any, context: Context | None = None, setter: Any = default_setter) -> None:
        self.others.inject(carrier, context, setter)
        live = live_of(get_current_span(context))
        if live is not None:
            trace, segment = live.trace, live.segment
            headers = inject(segment.trace_id, segment.id, trace.sampled, trace.trace_state, trace.extras)
            for name, value in headers.items():
                setter.set(carrier, name, value)

    @property
    def fields(self) -> set[str]:
        return {XRAY, TRACEPARENT, TRACESTATE, *self.others.fields}
