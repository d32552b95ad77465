"""What the recorder makes of a sampler's decision."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import batch_sink
from fluoro import propagation
from fluoro.instrument import _http
from fluoro.model import Kind
from fluoro.propagation import Parent
from fluoro.recorder import recorder
from fluoro.run import environment
from fluoro.sampling import LEAVE, RECORD, Decision
from servers.xray_sampling import sampling_server

SDK = Path(__file__).resolve().parents[3] / "sdk"
CALLER = Parent(bytes(range(16)), 7, None)


class Asked(list[tuple[str, str, str, str]]):
    """A sampler that remembers what it was asked and answers `answer`."""

    answer = RECORD

    def __call__(self, trace_id: bytes, service: str, operation: str, method: str, url: str) -> Decision:
        assert len(trace_id) == 16
        self.append((service, operation, method, url))
        return self.answer


@pytest.fixture
def asked(spans) -> Asked:
    recorder.sampler = asked = Asked()
    return asked


def serve(header: str = "", status: int = 200) -> None:
    headers = {propagation.XRAY: header} if header else {}
    with _http.server_span("POST", "http://shop.com/orders/7", headers.get, "127.0.0.1") as span:
        _http.record_answer(span, "POST", "/orders/{id}", status, None)


def test_a_request_is_decided_on_by_method_and_url_and_other_work_without(spans, asked):
    serve()
    with recorder.begin_segment("nightly", Kind.CONSUMER, name="batch"):
        pass
    with recorder.begin("payment", "GET", Kind.CLIENT, "remote"):
        pass
    assert asked == [
        ("test", "POST", "POST", "http://shop.com/orders/7"),
        ("batch", "nightly", "", ""),
        ("test", "GET", "", ""),
    ]
    assert len(spans.take()) == 3


@pytest.mark.parametrize(("decided", "recorded"), [("1", 1), ("0", 0)])
def test_an_upstream_decision_wins(spans, asked, decided, recorded):
    asked.answer = LEAVE if decided == "1" else RECORD
    serve(f"Root=1-01234567-0123456789abcdef01234567;Parent=00000000000000aa;Sampled={decided}")
    assert asked == []
    assert len(spans.take()) == recorded


def test_only_the_first_span_of_a_trace_is_decided_on(spans, asked):
    with recorder.begin_segment("GET"), recorder.begin("a"), recorder.begin("b"):
        pass
    assert len(asked) == 1
    assert len(spans.take()) == 3


def test_an_entry_carries_its_rules_name(spans, asked):
    asked.answer = Decision(True, "checkout")
    with recorder.begin_segment("GET"), recorder.begin("a"):
        pass
    child, entry = spans.take(2)
    assert entry.aws == {"xray": {"sampling_rule_name": "checkout"}}
    assert child.aws is None


def test_unsampled_traces_share_what_is_not_theirs(spans, asked):
    asked.answer = LEAVE
    with recorder.begin_segment("GET") as first:
        pass
    with recorder.begin_segment("GET") as second:
        pass
    assert first.trace is second.trace
    assert first.segment.trace_id != second.segment.trace_id
    with recorder.begin_segment("GET", parent=CALLER._replace(extras="Lineage=a:1")) as third:
        assert _http.xray_header(third).endswith("Sampled=0;Lineage=a:1")
    with recorder.begin_segment("GET", parent=CALLER._replace(asked=True)) as fourth:
        assert _http.answer_header(fourth) == "Root=1-00010203-0405060708090a0b0c0d0e0f;Sampled=0"
    assert spans.take() == []


@pytest.mark.parametrize("sampled", [True, False])
def test_requests_that_went_wrong_are_counted_recorded_or_not(spans, asked, sampled):
    counted: list[int] = []
    asked.answer = Decision(sampled, "r", lambda: counted.append(1))
    serve(status=200)
    serve(status=404)
    serve(status=503)
    assert counted == [1]
    assert len(spans.take()) == (3 if sampled else 0)


PROGRAM = """
import os, sys, time
import fluoro
from fluoro import activation
from fluoro.recorder import recorder
fluoro.install()
def until_ruled():
    deadline = time.monotonic() + 20
    while True:
        with recorder.begin_segment("GET", method="GET", url="http://shop.com/health") as span:
            pass
        if not span.trace.sampled:
            return
        assert time.monotonic() < deadline
        time.sleep(0.005)
until_ruled()
before = activation._central._client_id
child = os.fork()
if not child:
    assert activation._central._client_id != before
    assert not activation._central._started
    until_ruled()
    assert activation._central._started
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


def test_a_process_and_its_forked_child_take_their_rules_from_the_service():
    with sampling_server(time.time) as server, batch_sink.running_sink() as sink:
        server.put("health", Priority=1, URLPath="/health", FixedRate=0, ReservoirSize=0)
        env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("FLUORO_", "OTEL_", "AWS_"))},
            "PYTHONPATH": str(SDK),
            "FLUORO_ENDPOINT": sink.url,
            "FLUORO_SAMPLING_ENDPOINT": server.url,
        }
        done = subprocess.run(
            [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PROGRAM],
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert server.asked("/GetSamplingRules") >= 1


def test_fluoro_run_says_what_is_wrong_with_local_rules():
    env = {**environment(os.environ), "FLUORO_SAMPLING_RULES": "{}", "PYTHONPATH": str(SDK)}
    done = subprocess.run(
        [sys.executable, "-m", "fluoro", "run", "true"],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "FLUORO_SAMPLING_RULES" in done.stderr


ASSEMBLED_ONCE = """
import fluoro
from fluoro.sender import Sender
made = []
renew = Sender._renew
Sender._renew = lambda self: (made.append(self), renew(self))[1]
with fluoro.span("work"):
    pass
assert fluoro.statistics()["recorded"] == 1
assert len(made) == 1, made
"""


@pytest.mark.parametrize("endpoint", ["grpc://127.0.0.1:9", "udp://127.0.0.1:9"])
def test_what_the_transport_imports_does_not_set_tracing_up_twice(endpoint):
    env = {**environment(os.environ), "FLUORO_ENDPOINT": endpoint, "FLUORO_SAMPLING_ENDPOINT": "none"}
    done = subprocess.run(
        [sys.executable, "-c", ASSEMBLED_ONCE], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
