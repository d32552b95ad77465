"""An application that records OpenTelemetry spans of its own: it needs opentelemetry-api, and no OpenTelemetry SDK.

    fluoro run --service planner python examples/opentelemetry_spans.py

You will see one trace: `plan the trip`, in it `look up stations` and, in that, fluoro's own span of the query. Attributes
are annotations, events and the recorded exception are kept.
"""

import sqlite3

from opentelemetry import trace

tracer = trace.get_tracer("planner")

with tracer.start_as_current_span("plan the trip", attributes={"trip.stops": 2}) as trip:
    with tracer.start_as_current_span("look up stations") as lookup:
        sqlite3.connect(":memory:").execute("SELECT 'Euston', 'Leeds'")
        lookup.add_event("stations found", {"count": 2})
    try:
        int("half past eight")
    except ValueError as error:
        trip.record_exception(error)
        trip.set_status(trace.StatusCode.ERROR, str(error))
