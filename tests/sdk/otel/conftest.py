from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry import trace

import fluoro.otel.provider
from fluoro.instrument import _patch
from fluoro.testing import Spans


@pytest.fixture(autouse=True)
def otel(spans: Spans) -> Iterator[Spans]:
    """fluoro as OpenTelemetry's provider; the finished segments."""
    before = _patch.patched_count()
    assert fluoro.otel.provider.install()
    yield spans
    _patch.undo_since(before)


@pytest.fixture
def tracer(otel: Spans) -> trace.Tracer:
    return trace.get_tracer("lib", "2")
