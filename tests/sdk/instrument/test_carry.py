"""The current span follows the work: into threads, executors, processes and greenlets, and into log records."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import gevent
import gevent.pool
import gevent.threadpool
import pytest

from contracts.instrumented import instrumented
from contracts.traced_work import work
from fluoro.recorder import AFTERLIFE_NS, recorder
from fluoro.testing import Spans


class TestThreads:
    @pytest.fixture(autouse=True)
    def _patched(self) -> Iterator[None]:
        with instrumented("threading"):
            yield

    def test_a_thread_works_below_the_span_that_started_it(self, spans: Spans) -> None:
        with recorder.begin_segment("GET /") as entry:
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        done, _ = spans.take(2)
        assert (done.trace_id, done.parent_id) == (entry.segment.trace_id, entry.segment.id)

    def test_so_does_a_subclass_with_a_run_of_its_own_and_a_timer(self, spans: Spans) -> None:
        class Worker(threading.Thread):
            def run(self) -> None:
                work("worker")

        with recorder.begin_segment("GET /") as entry:
            for thread in (Worker(), threading.Timer(0, work, ("timer",))):
                thread.start()
                thread.join()
                assert "run" not in vars(thread)
        worker, timer, _ = spans.take(3)
        assert worker.parent_id == timer.parent_id == entry.segment.id

    def test_a_thread_started_outside_a_trace_starts_its_own(self, spans: Spans) -> None:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert spans.one().parent_id == 0

    def test_the_caller_keeps_its_own_span(self, spans: Spans) -> None:
        with recorder.begin_segment("GET /") as entry:
            thread = threading.Thread(target=lambda: recorder.begin("left current in the thread").end())
            thread.start()
            thread.join()
            assert recorder.current() is entry
        spans.take(2)

    def test_a_second_start_fails_as_it_does_without_us(self, spans: Spans) -> None:
        with recorder.begin_segment("GET /"):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
            with pytest.raises(RuntimeError, match="only be started once"):
                thread.start()
        spans.take(2)

    def test_a_poller_started_by_a_request_leaves_its_trace_after_a_minute(self, spans: Spans) -> None:
        go, done = threading.Semaphore(0), threading.Semaphore(0)

        def poll() -> None:
            for _ in range(2):
                go.acquire()
                work()
                done.release()

        with recorder.begin_segment("GET /") as entry:
            thread = threading.Thread(target=poll)
            thread.start()
        go.release()
        done.acquire()
        entry.segment.end -= AFTERLIFE_NS + 1
        go.release()
        thread.join()
        _, soon, later = spans.take(3)
        assert soon.parent_id == entry.segment.id
        assert (later.parent_id, later.trace_id == entry.segment.trace_id) == (0, False)


class TestExecutors:
    @pytest.fixture(autouse=True)
    def _patched(self) -> Iterator[None]:
        with instrumented("threading", "futures"):
            yield

    def test_each_call_belongs_to_who_submitted_it(self, spans: Spans) -> None:
        with ThreadPoolExecutor(1) as pool:  # one thread: started by the first, used by all
            entries = []
            for name in ("one", "two"):
                with recorder.begin_segment(name) as entry:
                    entries.append(entry.segment.id)
                    pool.submit(work, f"in {name}").result()
                    list(pool.map(work, [f"mapped {name}"]))
            pool.submit(work, "outside").result()
        found = spans.take(7)
        above = {segment.operation or segment.name: segment.parent_id for segment in found}
        assert above["in one"] == above["mapped one"] == entries[0]
        assert above["in two"] == above["mapped two"] == entries[1]
        assert above["outside"] == 0

    def test_exceptions_and_wrong_use_pass_through(self, spans: Spans) -> None:
        with ThreadPoolExecutor(1) as pool, recorder.begin_segment("GET /"):
            with pytest.raises(ZeroDivisionError):
                pool.submit(lambda: 1 // 0).result()
            with pytest.raises(TypeError):
                pool.submit()  # type: ignore[call-arg]
            assert recorder.current() is not None
        spans.one()

    def test_run_in_executor_and_to_thread(self, spans: Spans) -> None:
        async def main() -> int:
            with recorder.begin_segment("GET /") as entry:
                loop = asyncio.get_running_loop()
                await asyncio.gather(
                    loop.run_in_executor(None, work), asyncio.to_thread(work), asyncio.create_task(coroutine())
                )
                return entry.segment.id

        async def coroutine() -> None:
            work()

        entry = asyncio.run(main())
        *below, _ = spans.take(4)
        assert {segment.parent_id for segment in below} == {entry}

    @pytest.mark.parametrize("method", ["fork", "spawn"])
    def test_a_call_in_another_process(self, spans: Spans, method: str) -> None:
        context = multiprocessing.get_context(method)
        with recorder.begin_segment("GET /") as entry, ProcessPoolExecutor(1, mp_context=context) as pool:
            first = pool.submit(work).result()
            assert pool.submit(pow, 2, 3).result() == 8
        spans.one()
        traced = method == "fork"  # a spawned interpreter is traced under `fluoro run` only
        assert (first == (entry.segment.trace_id, entry.segment.id)) is traced


class TestGevent:
    @pytest.fixture(autouse=True)
    def _patched(self) -> Iterator[None]:
        plain = gevent.Greenlet
        with instrumented("gevent"):
            assert issubclass(gevent.Greenlet, plain)
            yield
        assert gevent.Greenlet is plain

    def test_greenlets_work_below_the_span_that_created_them(self, spans: Spans) -> None:
        with recorder.begin_segment("GET /") as entry:
            greenlets = [gevent.spawn(work, "spawn"), gevent.spawn_later(0, work, "later")]
            greenlets.append(gevent.pool.Pool(2).spawn(work, "pool"))
            gevent.joinall(greenlets)
            gevent.get_hub().threadpool.spawn(work, "thread pool").get()
            assert recorder.current() is entry
        *below, _ = spans.take(5)
        assert {segment.parent_id for segment in below} == {entry.segment.id}
        assert all(isinstance(greenlet, gevent.Greenlet) for greenlet in greenlets)

    def test_without_a_trace_nothing_is_carried(self, spans: Spans) -> None:
        greenlet = gevent.spawn(work)
        assert greenlet.gr_context is None
        greenlet.join()
        assert spans.one().parent_id == 0


class TestLogging:
    @pytest.fixture(autouse=True)
    def _patched(self) -> Iterator[None]:
        with instrumented("logging"):
            yield

    def test_records_say_their_trace(self, spans: Spans, caplog: pytest.LogCaptureFixture) -> None:
        with recorder.begin_segment("GET /") as entry:
            logging.getLogger("shop").warning("inside")
        logging.getLogger("shop").warning("outside")
        inside, outside = caplog.records
        trace_id = entry.segment.trace_id.hex()
        assert (inside.trace_id, inside.span_id) == (f"1-{trace_id[:8]}-{trace_id[8:]}", f"{entry.segment.id:016x}")
        assert (outside.trace_id, outside.span_id) == ("", "")
        assert logging.Formatter("%(trace_id)s %(message)s").format(outside) == " outside"
        spans.one()

    def test_what_the_application_sets_stays(self, spans: Spans, caplog: pytest.LogCaptureFixture) -> None:
        with recorder.begin_segment("GET /"):
            logging.getLogger("shop").warning("mine", extra={"trace_id": "my own"})
        assert caplog.records[0].trace_id == "my own"
        spans.one()
