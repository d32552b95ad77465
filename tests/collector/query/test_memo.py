from __future__ import annotations

import threading

import pytest

from fluoro_collector.query.memo import Memo


def counting(results: list[int]) -> int:
    results.append(len(results))
    return len(results)


def test_one_key_is_computed_once() -> None:
    memo, calls = Memo(), []
    assert [memo.get("a", lambda: counting(calls)) for _ in range(3)] == [1, 1, 1]
    assert memo.get("b", lambda: counting(calls)) == 2


def test_callers_that_come_meanwhile_wait_for_the_one_that_computes() -> None:
    memo, calls, found = Memo(), [], []
    begun, go = threading.Event(), threading.Event()

    def slowly() -> int:
        begun.set()
        assert go.wait(30)
        return counting(calls)

    threads = [threading.Thread(target=lambda: found.append(memo.get("a", slowly))) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert begun.wait(30)
    go.set()
    for thread in threads:
        thread.join(30)
    assert (found, len(calls)) == ([1, 1, 1, 1], 1)


def test_a_failure_is_not_kept() -> None:
    memo, calls = Memo(), []

    def fail() -> int:
        counting(calls)
        raise OSError("busy")

    for _ in range(2):
        with pytest.raises(OSError, match="busy"):
            memo.get("a", fail)
    assert memo.get("a", lambda: counting(calls)) == 3


def test_old_answers_and_too_many_are_dropped() -> None:
    now = [0.0]
    memo, calls = Memo(size=2, max_age_s=10, clock=lambda: now[0]), []
    memo.get("a", lambda: counting(calls))
    now[0] = 10.0
    assert memo.get("a", lambda: counting(calls)) == 1
    now[0] = 10.1
    assert memo.get("a", lambda: counting(calls)) == 2
    memo.get("b", lambda: counting(calls))
    memo.get("c", lambda: counting(calls))
    assert memo.get("a", lambda: counting(calls)) == 5
