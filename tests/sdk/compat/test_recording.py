"""What the differential test cannot show: entities beside fluoro's own spans, settings, samplers, emitters, patches."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

import fluoro
from fluoro import activation, instrument
from fluoro.compat.aws_xray_sdk import global_sdk_config
from fluoro.compat.aws_xray_sdk.core import AWSXRayRecorder, _choices, _own_modules, patch, patch_all, xray_recorder
from fluoro.compat.aws_xray_sdk.core.emitters.udp_emitter import UDPEmitter
from fluoro.compat.aws_xray_sdk.core.exceptions.exceptions import (
    FacadeSegmentMutationException,
    InvalidDaemonAddressException,
    InvalidSamplingManifestError,
)
from fluoro.compat.aws_xray_sdk.core.lambda_launcher import LambdaContext, check_in_lambda
from fluoro.compat.aws_xray_sdk.core.models.dummy_entities import DummySegment
from fluoro.compat.aws_xray_sdk.core.sampling.local.sampler import LocalSampler
from fluoro.compat.aws_xray_sdk.core.sampling.sampler import DefaultSampler
from fluoro.compat.aws_xray_sdk.ext.httplib import add_ignored, reset_ignored
from fluoro.context import current_node
from fluoro.recorder import recorder
from fluoro.testing import Spans

NEVER = {"version": 2, "default": {"fixed_target": 0, "rate": 0}}


@pytest.fixture(autouse=True)
def as_new(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Choices are the process's; each test gets its own."""
    kept = vars(_choices.choices).copy()
    saved = vars(xray_recorder).copy()
    yield
    vars(_choices.choices).clear()
    vars(_choices.choices).update(vars(_choices.Choices()))
    assert vars(_choices.choices).keys() == kept.keys()
    vars(xray_recorder).clear()
    vars(xray_recorder).update(saved)
    global_sdk_config._said = None
    instrument.uninstall()


def test_an_entity_is_a_view_of_fluoros_span(spans: Spans):
    with fluoro.span("work"):
        segment = xray_recorder.current_segment()
        assert segment is xray_recorder.get_trace_entity() is xray_recorder.current_segment()
        segment.put_annotation("there", 1)
        fluoro.annotate("here", 2)
        assert segment.annotations == {"there": 1, "here": 2}
        with recorder.begin("call", "GET", namespace="remote"):
            call = xray_recorder.current_subsegment()
            assert (call.name, call.namespace, call.parent_segment) == ("call", "remote", segment)
            with xray_recorder.in_subsegment("below") as below, fluoro.span("inmost"):
                assert xray_recorder.current_subsegment().parent_segment is segment
    inmost, under, over, root = spans.take()
    assert f"{inmost.parent_id:016x}" == below.id == f"{under.id:016x}"
    assert under.parent_id == over.id
    assert over.parent_id == root.id
    assert root.annotations == {"there": 1, "here": 2}


def test_a_segment_begun_inside_a_request_that_fluoro_serves_leaves_that_one_current(spans: Spans):
    served = recorder.begin_segment("GET /")
    xray_recorder.begin_segment("own")
    xray_recorder.begin_segment("instead")
    xray_recorder.end_segment()
    assert recorder.current() is served
    served.end()
    assert [span.name for span in spans.take()] == ["instead", "test"]


def test_segments_that_are_never_ended_are_not_kept(spans: Spans):
    for _ in range(5):
        xray_recorder.begin_segment("leak")
    span, depth = recorder.current(), 0
    while span is not None:
        span, depth = span._previous, depth + 1
    assert depth == 1
    xray_recorder.clear_trace_entities()
    assert recorder.current() is None
    assert spans.take() == []


def test_an_entity_forgets_the_children_that_have_ended_when_they_are_many(spans: Spans):
    with xray_recorder.in_segment("web") as segment:
        for _ in range(1_000):
            with xray_recorder.in_subsegment("sub"):
                pass
        assert len(segment.subsegments) <= 100
    assert len(spans.take()) == 1_001


def test_an_unsampled_entity_goes_on_in_its_callers_trace(spans: Spans):
    segment = xray_recorder.begin_segment("web", "1-5f84c7a1-0123456789abcdef01234567", "53995c3f42cd8ad8", sampling=0)
    assert isinstance(segment, DummySegment)
    assert segment.trace_id == "1-5f84c7a1-0123456789abcdef01234567"
    xray_recorder.end_segment()
    assert spans.take() == []


def test_what_is_switched_to_unsampled_is_not_sent_nor_what_is_below(spans: Spans):
    with xray_recorder.in_segment("web"):
        with xray_recorder.in_subsegment("secret") as secret:
            secret.sampled = False
            assert not xray_recorder.is_sampled()
            with xray_recorder.in_subsegment("deeper"), fluoro.span("deepest"):
                pass
        with xray_recorder.in_subsegment("open"):
            pass
    assert [span.name for span in spans.take()] == ["open", "web"]


def test_credentials_query_strings_and_literals_do_not_reach_the_span(spans: Spans):
    with xray_recorder.in_segment("web"), xray_recorder.in_subsegment("db", namespace="remote") as sub:
        sub.put_http_meta("url", "https://u:secret@pay.example/x?token=secret")
        sub.set_sql({"sanitized_query": "SELECT * FROM users WHERE name = 'secret'", "database_type": "mysql"})
    sub, _ = spans.take()
    assert sub.http.url == "https://pay.example/x"
    assert "secret" not in repr(sub)
    assert sub.sql.query.startswith("SELECT * FROM users")


def test_frames_are_limited_by_max_trace_back(spans: Spans):
    xray_recorder.configure(max_trace_back=2)

    def deep(n: int) -> None:
        if n == 0:
            raise ValueError("deep")
        deep(n - 1)

    try:
        with pytest.raises(ValueError), xray_recorder.in_segment("web"):
            deep(6)
        xray_recorder.max_trace_back = 10
        (segment,) = spans.take()
        (record,) = segment.cause.exceptions
        assert len(record.stack) == 2
        assert record.truncated == 6
    finally:
        xray_recorder.max_trace_back = 10


def test_an_exception_that_was_never_raised_takes_the_stack_it_is_given(spans: Spans):
    import traceback

    with xray_recorder.in_segment("web") as segment:
        segment.add_exception(ValueError("no"), traceback.extract_stack(limit=1))
        segment.add_exception("just words", None)
    first, second = spans.one().cause.exceptions
    assert first.stack[0].label == "test_an_exception_that_was_never_raised_takes_the_stack_it_is_given"
    assert (second.type, second.message) == ("str", "just words")


# --- settings ---


def test_configure_says_what_the_environment_does_not(monkeypatch):
    monkeypatch.setenv("FLUORO_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("FLUORO_SAMPLING_ENDPOINT", "none")
    xray_recorder.configure(
        service="shop", plugins=("EC2Plugin", "ECSPlugin"), daemon_address="127.0.0.1:7", dynamic_naming="*.shop",
        context_missing="IGNORE_ERROR", sampling_rules=NEVER,
    )  # fmt: skip
    settings = _choices.choices.settings()
    assert (settings.service_name, settings.endpoint) == ("shop", "http://127.0.0.1:9")
    assert settings.detectors == {"ec2", "ecs"}
    assert settings.dynamic_naming == "*.shop"
    assert json.loads(settings.sampling_rules) == NEVER
    monkeypatch.delenv("FLUORO_ENDPOINT")
    assert _choices.choices.settings().endpoint == "udp://127.0.0.1:7"
    monkeypatch.setenv("FLUORO_SERVICE_NAME", "named")
    assert _choices.choices.settings().service_name == "named"
    assert AWSXRayRecorder().service == "named"


def test_wrong_choices_are_refused(tmp_path):
    with pytest.raises(InvalidDaemonAddressException):
        xray_recorder.configure(daemon_address="nowhere")
    with pytest.raises(InvalidSamplingManifestError):
        xray_recorder.configure(sampling_rules={"version": 3})
    with pytest.raises(FileNotFoundError):
        xray_recorder.configure(sampling_rules=str(tmp_path / "none.json"))
    with pytest.raises(ModuleNotFoundError, match="GCPPlugin"):
        xray_recorder.configure(plugins=("GCPPlugin",))


def test_the_first_segment_sets_up_the_sending_and_a_later_configure_changes_it(monkeypatch):
    for name in ("FLUORO_ENDPOINT", "AWS_XRAY_DAEMON_ADDRESS", "FLUORO_SERVICE_NAME", "AWS_XRAY_TRACING_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FLUORO_SAMPLING_ENDPOINT", "none")
    assert activation.sender is None
    try:
        segment = xray_recorder.begin_segment("web", sampling=1)
        assert segment.sampled
        segment.sampled = False
        xray_recorder.end_segment()
        first = activation.sender
        xray_recorder.configure(service="shop", daemon_address="127.0.0.1:7")
        assert activation.sender is not first
        assert recorder.service_name == "shop"
        second = activation.sender
        xray_recorder.configure(service="shop")
        assert activation.sender is second
    finally:
        activation.uninstall()


def test_samplers(spans: Spans):
    class Mine:
        def should_trace(self, sampling_req=None):
            return "rule-of-mine" if sampling_req["path"] == "/yes" else False

    assert not LocalSampler(NEVER).should_trace({"host": "a", "method": "GET", "path": "/"})
    xray_recorder.configure(sampler=LocalSampler(NEVER))
    with xray_recorder.in_segment("web"):
        assert not xray_recorder.is_sampled()
    recorder.begin_segment("GET", url="http://a/").end()
    assert spans.take() == []
    xray_recorder.configure(sampler=Mine())
    recorder.begin_segment("GET", url="http://a/no").end()
    recorder.begin_segment("GET", url="http://a/yes").end()
    assert spans.one().aws == {"xray": {"sampling_rule_name": "rule-of-mine"}}
    xray_recorder.configure(sampler=DefaultSampler())
    recorder.begin_segment("GET", url="http://a/no").end()
    assert spans.one().aws is None
    xray_recorder.configure(sampling=False, sampler=LocalSampler(NEVER))
    with xray_recorder.in_segment("web"):
        assert xray_recorder.is_sampled()
    assert spans.one().name == "web"


def test_an_emitter_of_ones_own_gets_each_entity_and_nothing_else_does(spans: Spans):
    class Emitter:
        def __init__(self):
            self.got = []

        def send_entity(self, entity):
            self.got.append(json.loads(entity.serialize()))

        def set_daemon_address(self, address):
            pass

    emitter = Emitter()
    xray_recorder.configure(emitter=emitter)
    with xray_recorder.in_segment("web"), xray_recorder.in_subsegment("sub"), fluoro.span("fluoro's"):
        pass
    assert [(each["name"], each.get("type")) for each in emitter.got] == [
        ("fluoro's", "subsegment"), ("sub", "subsegment"), ("web", None)
    ]  # fmt: skip
    assert emitter.got[1]["parent_id"] == emitter.got[2]["id"]
    assert spans.take() == []
    xray_recorder.configure(emitter=UDPEmitter())
    with xray_recorder.in_segment("again"):
        pass
    assert spans.one().name == "again"
    assert len(emitter.got) == 3


def test_queries_can_be_left_out_and_calls_ignored(spans: Spans):
    xray_recorder.configure(stream_sql=False)
    with xray_recorder.in_segment("web"), xray_recorder.in_subsegment("db", namespace="remote") as sub:
        sub.set_sql({"sanitized_query": "SELECT 1"})
    assert spans.take()[0].sql.query == ""
    xray_recorder.configure(stream_sql=True)
    add_ignored(hostname="*.internal")
    add_ignored(urls=["/health"])
    with xray_recorder.in_segment("web"):
        for url in ("http://a.internal/x", "http://b.example/health", "http://b.example/x"):
            with xray_recorder.in_subsegment("call", namespace="remote") as call:
                call.put_http_meta("url", url)
    reset_ignored()
    assert [span.http and span.http.url for span in spans.take()] == ["http://b.example/x", None]


def test_disabled_in_code_nothing_is_recorded_not_even_by_fluoros_own(spans: Spans):
    global_sdk_config.set_sdk_enabled(False)
    with fluoro.span("quiet"), xray_recorder.in_segment("web") as segment:
        assert not segment.sampled
    assert spans.take() == []
    global_sdk_config.set_sdk_enabled(True)
    with fluoro.span("heard"):
        pass
    assert spans.one().operation == "heard"


def test_aws_lambdas_segment_can_only_get_subsegments(spans: Spans, monkeypatch):
    monkeypatch.setenv("LAMBDA_TASK_ROOT", "/var/task")
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5f84c7a1-0123456789abcdef01234567;Parent=53995c3f42cd8ad8;Sampled=1")
    context = check_in_lambda()
    assert isinstance(context, LambdaContext)
    xray_recorder.configure(context=context)
    with pytest.raises(FacadeSegmentMutationException):
        xray_recorder.put_annotation("a", 1)
    with xray_recorder.in_subsegment("work"):
        xray_recorder.put_annotation("a", 1)
    work = spans.one()
    assert work.parent_id == 0x53995C3F42CD8AD8
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5f84c7a2-0123456789abcdef01234567;Parent=53995c3f42cd8ad9;Sampled=0")
    assert not xray_recorder.is_sampled()
    current_node.set(None)


# --- patches ---


def test_patch_takes_the_sdks_names_and_more(spans: Spans):
    patch(["boto3", "sqlite3"])
    import sqlite3

    import botocore.client  # noqa: F401

    assert instrument.register["botocore.client"] == "patched"
    assert instrument.register["sqlite3"] == "patched"
    assert "requests" not in instrument.register
    patch(("requests", "redis"))
    import requests  # noqa: F401

    assert instrument.register["requests"] == "patched"
    patch(["requests"])  # once more changes nothing
    with pytest.raises(Exception, match="no_such_module are currently not supported"):
        patch(["no_such_module"])
    with xray_recorder.in_segment("web"), closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("SELECT 1")
    query, _ = spans.take()
    assert query.sql.query == "SELECT ?"


def test_fluoro_disable_wins_over_patch(monkeypatch, spans: Spans):
    monkeypatch.setenv("FLUORO_DISABLE", "sqlite3")
    patch(["sqlite3"])
    assert "sqlite3" not in instrument.register
    assert spans.take() == []


def test_patch_all_is_fluoros_install_also_after_patch(monkeypatch):
    monkeypatch.setenv("FLUORO_SAMPLING_ENDPOINT", "none")
    monkeypatch.setenv("FLUORO_DISABLE", "logging")
    try:
        patch(["sqlite3"])
        patch_all()
        patch_all(double_patch=True)
        assert instrument.register["threading"] == "patched"
        assert "logging" not in instrument.register
    finally:
        activation.uninstall()


def test_modules_of_the_program_are_captured(tmp_path, monkeypatch, spans: Spans, caplog):
    package = tmp_path / "captured_shop"
    package.mkdir()
    (package / "__init__.py").write_text("def top(): return 1\n")
    (package / "prices.py").write_text(
        "from json import dumps\n"
        "class Price:\n"
        "    def __init__(self): self.n = 2\n"
        "    def get(self): return self.n\n"
        "    @staticmethod\n"
        "    def zero(): return 0\n"
        "    @classmethod\n"
        "    def make(cls): return cls()\n"
        "async def later(): return 3\n"
    )
    (package / "skipped.py").write_text("def skipped(): return 1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    caplog.set_level(logging.WARNING)
    patch(["captured_shop"], ignore_module_patterns=[r"captured_shop\.skipped"])
    import asyncio

    import captured_shop.prices
    import captured_shop.skipped

    with xray_recorder.in_segment("web"):
        captured_shop.top()
        price = captured_shop.prices.Price.make()
        assert (price.get(), captured_shop.prices.Price.zero()) == (2, 0)
        captured_shop.skipped.skipped()
        assert asyncio.run(captured_shop.prices.later()) == 3
    assert [span.name for span in spans.take()] == ["top", "Price.__init__", "get", "zero", "later", "web"]
    assert "make is a class method" in caplog.text
    for name in [name for name in sys.modules if name.startswith("captured_shop")]:
        del sys.modules[name]
    _own_modules._captured.clear()
    with pytest.raises(Exception, match="relative packages"):
        _own_modules.capture(".shop", [])


def test_importing_it_starts_and_opens_nothing_and_fluoro_does_not_import_it():
    code = """
import sys, threading
opened = []
sys.addaudithook(lambda event, args: opened.append(event) if event.startswith(("socket.", "_thread.start")) else None)
import fluoro
fluoro.install()
assert not [name for name in sys.modules if name.startswith("fluoro.compat")]
fluoro.uninstall()
from fluoro import activation
from fluoro.compat.aws_xray_sdk.core import patch, xray_recorder
xray_recorder.configure(service="shop")
assert activation.sender is None and threading.active_count() == 1 and not opened, opened
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_ids_that_are_none_and_endless_texts_are_not_taken_over(spans: Spans):
    with xray_recorder.in_segment("n" * 1_000, traceid="mine", parent_id="nobody") as segment:
        segment.id = "nonsense"
        segment.put_http_meta("user_agent", "a" * 10_000)
    found = spans.one()
    assert (len(found.name), found.parent_id, len(found.trace_id)) == (200, 0, 16)
    assert found.id != 0
    assert len(found.http.user_agent) == 250


def test_configure_sets_up_again_once_for_all_that_it_is_given(monkeypatch):
    monkeypatch.setenv("FLUORO_SAMPLING_ENDPOINT", "none")
    try:
        activation.set_up(_choices.choices.settings())
        made = []
        again = activation.set_up_again
        monkeypatch.setattr(activation, "set_up_again", lambda settings: (made.append(settings), again(settings)))
        xray_recorder.configure(service="shop", sampling=True, plugins=("EC2Plugin",), dynamic_naming="*.shop")
        assert [(each.service_name, each.detectors) for each in made] == [("shop", frozenset({"ec2"}))]
    finally:
        activation.uninstall()


def test_fluoro_install_after_patch_patches_the_rest(monkeypatch):
    monkeypatch.setenv("FLUORO_SAMPLING_ENDPOINT", "none")
    try:
        patch(["sqlite3"])
        assert "threading" not in instrument.register
        fluoro.install()
        assert instrument.register["threading"] == "patched"
    finally:
        activation.uninstall()


def test_attributes_may_be_assigned_as_well(spans: Spans):
    xray_recorder.enabled = True
    with xray_recorder.in_segment("web") as segment:
        segment.user, segment.origin, segment.fault = "u1", "AWS::EC2::Instance", True
        segment.annotations = {"a": 1}
        segment.metadata = {"default": {"k": 2}}
        segment.http = {"request": {"method": "GET"}, "response": {"status": 429}}
        with xray_recorder.in_subsegment("db", namespace="remote") as sub:
            sub.sql, sub.aws, sub.error, sub.throttle = {"user": "me"}, {"region": "eu"}, True, True
    sub, web = spans.take()
    assert (web.user, web.origin, web.fault, web.annotations) == ("u1", "AWS::EC2::Instance", True, {"a": 1})
    assert (web.metadata, web.http.method, web.http.status, web.throttle) == ({"default": {"k": 2}}, "GET", 429, True)
    assert (sub.sql.user, sub.aws, sub.error, sub.throttle) == ("me", {"region": "eu"}, True, True)
