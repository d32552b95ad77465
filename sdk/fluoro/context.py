"""Where "the current span" lives: one ContextVar, set directly by the recorder."""

from __future__ import annotations

from contextvars import ContextVar

TYPE_CHECKING = False  # processes that begin no span load this too
if TYPE_CHECKING:
    from typing import Any

# Holds None, a `fluoro.recorder.Span`, or another node with an attribute `span` (a Span or None): `fluoro.otel` keeps
# an OpenTelemetry Context in such a node. A node that is not a Span is asked for its `span` by the recorder.
current_node: ContextVar[Any] = ContextVar("fluoro_current", default=None)
