"""Exception events and Python tracebacks as causes."""

from __future__ import annotations

import sys
import traceback
from typing import Any

import pytest

from fluoro_collector.decode.otlp import decode_json
from fluoro_collector.decode.tracebacks import parse_traceback
from otlp_cases import json_bytes


def raised(function) -> str:
    try:
        function()
    except Exception:  # noqa: BLE001
        return traceback.format_exc()
    raise AssertionError("did not raise")


def inner() -> None:
    raise KeyError("key")


def chained() -> None:
    try:
        inner()
    except KeyError as error:
        raise RuntimeError("several\nlines: here") from error


def during() -> None:
    try:
        inner()
    except KeyError:
        raise ValueError  # noqa: B904  the chain under test


def deep(depth: int) -> None:
    if depth:
        deep(depth - 1)
    raise ValueError("deep")


def test_a_chain_is_read_with_frames_deepest_first():
    first, second = parse_traceback(raised(chained), 0xA1, remote=True)
    assert (first.type, first.message, first.id, first.cause) == (
        "RuntimeError",
        "several\nlines: here",
        "00000000000000a1",
        "00000000000000a2",
    )
    assert (second.type, second.message, second.id, second.cause) == ("KeyError", "'key'", "00000000000000a2", "")
    assert [frame.label for frame in first.stack] == ["chained", "raised"]
    assert [frame.label for frame in second.stack] == ["inner", "chained"]
    assert second.stack[0].path == __file__
    assert second.stack[0].line == inner.__code__.co_firstlineno + 1
    assert first.remote


def test_an_exception_raised_while_another_was_handled():
    first, second = parse_traceback(raised(during), 1)
    assert (first.type, first.message) == ("ValueError", "")
    assert first.cause == second.id


def test_repeated_and_deep_frames_are_counted():
    [record] = parse_traceback(raised(lambda: deep(200)), 1)
    assert len(record.stack) + record.truncated == 203
    assert record.stack[0].label == "deep"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups came with Python 3.11")
def test_of_a_group_the_group_itself():
    def grouped() -> None:
        raise ExceptionGroup("two failed", [ValueError("a"), KeyError("b")])  # noqa: F821

    [record] = parse_traceback(raised(grouped), 1)
    assert record.type == "ExceptionGroup"
    assert record.message == "two failed (2 sub-exceptions)"
    assert [frame.label for frame in record.stack] == ["grouped", "raised"]


@pytest.mark.parametrize(
    "text",
    ["", "java.lang.Boom: x\n\tat com.shop.Main(Main.java:3)", "Traceback", "Traceback (most recent call last):"],
)
def test_other_text_is_no_traceback(text: str):
    assert parse_traceback(text, 1) == []


def cause_of(attributes: dict[str, Any], **span: Any):
    event = {"name": "exception", "attributes": attributes}
    case = {"span": {"name": "step", "kind": "CLIENT", "parent": True, "events": [event], **span}}
    [(_, [segment])] = decode_json(json_bytes(case)).batches
    return segment


def test_an_exception_event_becomes_the_cause():
    segment = cause_of(
        {
            "exception.type": "shop.errors.OutOfStock",
            "exception.message": "none left",
            "exception.stacktrace": raised(inner),
            "exception.escaped": "False",
        },
        status="ERROR",
        status_message="OutOfStock: none left",
    )
    assert segment.fault
    assert segment.events is None
    assert segment.cause is not None
    [record] = segment.cause.exceptions
    assert (record.type, record.message, record.remote) == ("shop.errors.OutOfStock", "none left", True)
    assert [frame.label for frame in record.stack] == ["inner", "raised"]


def test_a_stack_of_another_language_stays_readable():
    text = "com.shop.Boom: x\n\tat com.shop.Main(Main.java:3)"
    segment = cause_of({"exception.type": "com.shop.Boom", "exception.message": "x", "exception.stacktrace": text})
    assert segment.cause is not None
    assert [(record.type, record.stack) for record in segment.cause.exceptions] == [("com.shop.Boom", [])]
    assert segment.events is not None
    assert [event.attributes for event in segment.events] == [{"exception.stacktrace": text}]
    assert not segment.fault


def test_an_exception_event_that_says_nothing_stays_an_event():
    segment = cause_of({"detail": "?"})
    assert segment.cause is None
    assert [event.name for event in segment.events or ()] == ["exception"]
