"""How a call to a store that speaks no SQL is recorded: "redis@cache-1", "shop@mongo-1", as OpenTelemetry's spans of the
same stores are named, so that both are one node of the map. What was done is the operation; keys and values are not
looked at.
"""

from __future__ import annotations

from fluoro.model import Annotation, Cause, ExceptionRecord, Kind
from fluoro.recorder import Span, new_span_id, recorder

SYSTEM = "db.system.name"  # OpenTelemetry's attribute
_CLIENT = Kind.CLIENT


def is_nested(above: Span | None, system: str) -> bool:
    """Whether `above` is a call to `system` already: a library that calls itself, to find the nodes of a cluster."""
    if above is None or not above.recording or above.segment.kind is not _CLIENT:
        return False
    annotations = above.segment.annotations
    return annotations is not None and annotations.get(SYSTEM) == system


def call_span(
    system: str, name: str, operation: str, annotations: dict[str, Annotation], *, current: bool = True
) -> Span | None:
    """Begin a call to the store called `name`; None inside another one. With `current` False it does not become the
    current span. `annotations` is taken over.
    """
    above = recorder.current()
    if is_nested(above, system):
        return None
    if current:
        span = recorder.begin(name, operation, _CLIENT, "remote")
    else:
        span = recorder.start(name, operation, _CLIENT, "remote", above=above)
    if span.recording:
        annotations[SYSTEM] = system
        span.segment.annotations = annotations
    return span


def refuse(span: Span, kind: str, message: str) -> None:
    """The store answered with an error that is no exception here: a fault, `message` its cause."""
    if span.recording:
        span.segment.fault = True
        record = ExceptionRecord(f"{new_span_id():016x}", kind, message[:2_048], remote=True)
        span.segment.cause = Cause([record])
