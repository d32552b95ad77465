from __future__ import annotations

import asyncio
import inspect
import re

import pytest

import fluoro
from fluoro import activation, diagnostics
from fluoro.recorder import recorder


def test_span_as_a_context_manager(spans):
    with fluoro.span("work") as work:
        fluoro.annotate("customer", "gold")
        fluoro.metadata("cart", [1, 2])
        fluoro.metadata("cart", {"a": 1}, namespace="shop")
        assert recorder.current() is work
        assert re.fullmatch("1-[0-9a-f]{8}-[0-9a-f]{24}", fluoro.current_trace_id())
    segment = spans.one()
    assert segment.annotations == {"customer": "gold"}
    assert segment.metadata == {"default": {"cart": [1, 2]}, "shop": {"cart": {"a": 1}}}


def test_span_as_a_decorator_of_a_function_and_a_coroutine_function(spans):
    @fluoro.span("named")
    def add(a: int, b: int) -> int:
        """Adds."""
        return a + b

    @fluoro.span()
    async def later(x: int) -> int:
        await asyncio.sleep(0)
        with fluoro.span("inner"):
            return x

    async def main() -> list[int]:
        return await asyncio.gather(*(later(i) for i in range(3)))

    assert add(1, b=2) == 3
    assert add.__doc__ == "Adds."
    assert inspect.iscoroutinefunction(later)
    assert asyncio.run(main()) == [0, 1, 2]
    finished = spans.take(7)
    assert finished[0].operation == "named"
    outer = {segment.id: segment for segment in finished if segment.operation.endswith("later")}
    assert len(outer) == 3
    assert {segment.parent_id for segment in finished if segment.name == "inner"} == set(outer)


def test_an_exception_goes_through_unchanged_and_is_recorded(spans):
    error = ValueError("v")

    @fluoro.span("fails")
    def fail() -> None:
        raise error

    with pytest.raises(ValueError) as caught:
        fail()
    assert caught.value is error
    segment = spans.one()
    assert segment.fault
    assert segment.cause.exceptions[0].message == "v"


def test_a_generator_is_refused_with_an_explanation():
    def items():
        yield 1

    async def aitems():
        yield 1

    for generator in (items, aitems):
        with pytest.raises(TypeError, match=r"Put `with fluoro\.span"):
            fluoro.span("x")(generator)


def test_everything_is_safe_without_a_span_and_without_an_installation():
    fluoro.annotate("a", 1)
    fluoro.metadata("b", object())
    assert fluoro.current_trace_id() is None
    assert fluoro.flush(0.1)
    assert fluoro.statistics() == {}
    with fluoro.span("nothing") as work:
        assert not work.recording
        fluoro.annotate("a", 1)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        fluoro.nothing  # noqa: B018


def test_an_annotation_outside_of_any_span_does_what_the_setting_says(monkeypatch):
    written: list[str] = []
    monkeypatch.setattr(diagnostics, "warn", lambda _kind, message, **_: written.append(message))
    monkeypatch.setattr(activation, "context_missing", "IGNORE_ERROR")
    fluoro.annotate("a", 1)
    assert written == []
    monkeypatch.setattr(activation, "context_missing", "LOG_ERROR")
    fluoro.annotate("a", 1)
    fluoro.metadata("a", 1)
    assert [message.split()[0] for message in written] == ["fluoro.annotate", "fluoro.metadata"]
    monkeypatch.setattr(activation, "context_missing", "RUNTIME_ERROR")
    with pytest.raises(fluoro.ContextMissing, match=r"fluoro\.span"):
        fluoro.metadata("a", 1)


def test_a_span_never_misses_its_context(spans, monkeypatch):
    monkeypatch.setattr(activation, "context_missing", "RUNTIME_ERROR")
    with fluoro.span("work"):
        fluoro.annotate("a", 1)
    assert spans.one().annotations == {"a": 1}
