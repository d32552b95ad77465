from __future__ import annotations

import gc
import weakref

import pytest

from fluoro.causes import exception_records
from fluoro.recorder import recorder


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except type(error) as caught:
        return caught


def test_type_message_and_frames_deepest_first():
    def inner() -> None:
        raise ValueError("too big")

    def outer() -> None:
        inner()

    with pytest.raises(ValueError) as caught:
        outer()
    (record,) = exception_records(caught.value, 0x2A)
    assert (record.id, record.type, record.message, record.remote) == (f"{0x2A:016x}", "ValueError", "too big", False)
    assert [frame.label.rpartition(".")[2] for frame in record.stack[:2]] == ["inner", "outer"]
    assert record.stack[0].path == __file__
    assert record.stack[0].line == inner.__code__.co_firstlineno + 1


class CustomError(Exception):
    pass


def test_a_type_outside_builtins_has_its_module():
    (record,) = exception_records(CustomError(), 1)
    assert record.type == f"{__name__}.CustomError"


def test_the_chain_follows_cause_and_context_but_not_a_suppressed_one():
    first, second = KeyError("k"), ValueError("v")
    second.__cause__ = first
    third = TypeError("t")
    third.__context__ = second
    records = exception_records(third, 0xFFFF_FFFF_FFFF_FFFF)
    assert [record.type for record in records] == ["TypeError", "ValueError", "KeyError"]
    assert [record.cause for record in records] == [records[1].id, records[2].id, ""]
    assert len({record.id for record in records}) == 3
    third.__suppress_context__ = True
    assert len(exception_records(third, 1)) == 1


def test_a_group_is_followed_by_its_first_exception():
    class Group(Exception):  # as the backport's, which is all that Python 3.10 has
        def __init__(self, *exceptions: BaseException) -> None:
            super().__init__(f"{len(exceptions)} sub-exceptions")
            self.exceptions = exceptions

    inner = raised(ZeroDivisionError("the application's own"))
    group, first = exception_records(raised(Group(inner, ValueError())), 7)
    assert (group.message, group.cause) == ("2 sub-exceptions", first.id)
    assert (first.type, first.message) == ("ZeroDivisionError", "the application's own")
    odd = raised(Group())
    odd.exceptions = ("no exception",)  # type: ignore[attr-defined]
    assert len(exception_records(odd, 7)) == 1


def test_a_cycle_ends_and_a_long_chain_is_cut_and_counted():
    a, b = ValueError("a"), ValueError("b")
    a.__cause__, b.__cause__ = b, a
    assert len(exception_records(a, 1)) == 2

    last = ValueError("0")
    for i in range(1, 25):
        error = ValueError(str(i))
        error.__cause__ = last
        last = error
    records = exception_records(last, 1)
    assert len(records) == 10
    assert records[-1].skipped == 15


def test_a_deep_stack_keeps_its_deepest_fifty_frames():
    def down(n: int) -> None:
        if n == 0:
            raise RuntimeError
        down(n - 1)

    with pytest.raises(RuntimeError) as caught:
        down(80)
    (record,) = exception_records(caught.value, 1)
    assert len(record.stack) == 50
    assert record.truncated == 32  # 81 calls and this function
    assert record.stack[0].line == down.__code__.co_firstlineno + 2


def test_hostile_exceptions_do_not_escape_and_long_messages_are_cut():
    class HostileError(Exception):
        def __str__(self) -> str:
            raise SystemError

        __repr__ = __str__

    (record,) = exception_records(HostileError(), 1)
    assert record.message == "(the message of this exception cannot be read)"
    assert len(exception_records(ValueError("x" * 10_000), 1)[0].message) == 2_048


def test_neither_frames_nor_exceptions_are_kept_alive(spans):
    class Big:
        pass

    kept: list[weakref.ref[Big]] = []

    def work() -> None:
        big = Big()
        kept.append(weakref.ref(big))
        raise ValueError

    try:
        with recorder.begin("x"):
            work()
    except ValueError:
        pass
    gc.collect()
    assert kept[0]() is None
    assert spans.one().cause.exceptions[0].type == "ValueError"


def test_an_outer_span_refers_to_what_its_child_recorded(spans):
    with pytest.raises(ValueError), recorder.begin_segment("GET /"), recorder.begin("a"), recorder.begin("b"):
        raise ValueError("once")
    b, a, entry = spans.take(3)
    identity = b.cause.exceptions[0].id
    assert [a.cause.ref, entry.cause.ref] == [identity, identity]
    assert not a.cause.exceptions
    assert b.fault
    assert a.fault
    assert entry.fault


def test_the_same_exception_in_a_sibling_or_a_retry_is_recorded_in_full(spans):
    def attempt() -> None:
        with recorder.begin("try"):
            raise ValueError

    with recorder.begin_segment("GET /"):
        for _ in range(3):
            with pytest.raises(ValueError):
                attempt()
    *tries, entry = spans.take(4)
    assert all(len(segment.cause.exceptions) == 1 for segment in tries)
    assert entry.cause is None
    assert not entry.fault


def test_another_exception_of_the_outer_span_is_its_own(spans):
    def work() -> None:
        try:
            with recorder.begin("inner"):
                int("v")
        except ValueError as error:
            raise KeyError("k") from error

    with pytest.raises(KeyError), recorder.begin_segment("GET /"):
        work()
    inner, entry = spans.take(2)
    assert [record.type for record in inner.cause.exceptions] == ["ValueError"]
    assert [record.type for record in entry.cause.exceptions] == ["KeyError", "ValueError"]


def test_the_same_exception_twice_on_one_span_is_recorded_once_and_a_second_one_is_added(spans):
    error = raised(ValueError("v"))
    with recorder.begin("x") as span:
        span.record_exception(error, remote=True)
        span.record_exception(error)
        assert not span.segment.fault
        span.fail(raised(KeyError("k")))
    segment = spans.one()
    assert [record.type for record in segment.cause.exceptions] == ["ValueError", "KeyError"]
    assert segment.cause.exceptions[0].remote
    assert segment.fault


def test_leaving_by_exit_or_cancellation_is_no_fault(spans):
    with pytest.raises(KeyboardInterrupt), recorder.begin("x"):
        raise KeyboardInterrupt
    assert not spans.one().fault
