"""Programs written against the AWS X-Ray SDK, to be run with it and with fluoro's. `PACKAGE` stands for the package.

    python xray_scripts.py PACKAGE DIRECTORY {name: UDP port of its daemon}

runs each in a fork, after the package was imported once; what it prints goes to DIRECTORY/name.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import sys
import traceback
import warnings
from pathlib import Path

_START = """
import asyncio, logging, threading
from PACKAGE import global_sdk_config
from PACKAGE.core import patch, patch_all, xray_recorder
from PACKAGE.core.models import http
from PACKAGE.core.exceptions.exceptions import *
xray_recorder.configure(service="shop", sampling=False, context_missing="IGNORE_ERROR")
"""

SCRIPTS = {
    "nested subsegments": """
with xray_recorder.in_segment("web") as segment:
    segment.put_annotation("customer", "gold")
    segment.set_user("u1")
    with xray_recorder.in_subsegment("outer") as outer:
        outer.put_metadata("basket", {"items": [1, 2], "who": {"deep": True}}, "shop")
        with xray_recorder.in_subsegment("inner") as inner:
            inner.put_annotation("n", 3)
            print(xray_recorder.current_subsegment() is inner, xray_recorder.current_segment() is segment)
    with xray_recorder.in_subsegment("second"):
        xray_recorder.put_annotation("ok", True)
        xray_recorder.put_metadata("k", 1.5)
print(xray_recorder.current_segment())
""",
    "begin and end": """
first = xray_recorder.begin_segment("first", traceid="1-5f84c7a1-0123456789abcdef01234567", parent_id="53995c3f42cd8ad8")
print(first.trace_id, first.parent_id, first.name, first.sampled, first.in_progress)
sub = xray_recorder.begin_subsegment("db", namespace="remote")
print(sub.name, sub.namespace, sub.type, sub.parent_id == first.id, sub.trace_id == first.trace_id)
xray_recorder.end_subsegment()
xray_recorder.end_segment()
print(first.in_progress)
second = xray_recorder.begin_segment()
xray_recorder.end_segment(end_time=second.start_time + 2)
print(round(second.end_time - second.start_time))
""",
    "decorators": """
@xray_recorder.capture("named")
def named(a, *, b): return a + b
@xray_recorder.capture()
def plain(): return named(1, b=2)
class Shop:
    @xray_recorder.capture("method")
    def price(self, n): return n * self.factor()
    @staticmethod
    @xray_recorder.capture()
    def fixed(): return 7
    def factor(self): return 2
@xray_recorder.capture("twice")
@xray_recorder.capture("twice-inner")
def twice(): return 1
with xray_recorder.in_segment("web"):
    print(plain(), Shop().price(4), Shop.fixed(), twice(), plain.__name__, named.__wrapped__.__name__)
""",
    "exceptions": """
@xray_recorder.capture()
def fail(): raise ValueError("no stock")
with xray_recorder.in_segment("web"):
    try:
        with xray_recorder.in_subsegment("work"):
            fail()
    except ValueError: pass
    with xray_recorder.in_subsegment("handled") as handled:
        handled.add_error_flag()
    with xray_recorder.in_subsegment("busy") as busy:
        busy.add_throttle_flag()
        busy.add_fault_flag()
try:
    with xray_recorder.in_segment("broken"):
        raise KeyError("k")
except KeyError: print("raised")
""",
    "ended entities": """
with xray_recorder.in_segment("web") as segment:
    with xray_recorder.in_subsegment("done") as done: pass
    for change in (lambda: done.put_annotation("a", 1), lambda: done.put_metadata("a", 1), lambda: done.close(),
                   lambda: done.put_http_meta(http.URL, "x"), lambda: done.add_exception(ValueError(), None)):
        try: change()
        except AlreadyEndedException: print("ended")
try: segment.set_user("late")
except AlreadyEndedException: print("ended")
""",
    "http by hand": """
with xray_recorder.in_segment("web") as segment:
    segment.put_http_meta(http.METHOD, "GET")
    segment.put_http_meta(http.URL, "http://shop.example/orders/1")
    segment.put_http_meta(http.USER_AGENT, "curl")
    segment.put_http_meta(http.CLIENT_IP, "10.0.0.1")
    segment.put_http_meta(http.X_FORWARDED_FOR, True)
    segment.put_http_meta(http.STATUS, 404)
    segment.put_http_meta(http.CONTENT_LENGTH, 12)
    segment.put_http_meta("unknown", 1)
    for status in (200, 429, "503"):
        with xray_recorder.in_subsegment("pay.example", namespace="remote") as call:
            call.put_http_meta(http.URL, "https://pay.example/charge")
            call.put_http_meta(http.METHOD, "POST")
            call.put_http_meta(http.STATUS, status)
""",
    "refused keys and names": """
with xray_recorder.in_segment("we?b*") as segment:
    segment.put_annotation("bad key", 1)
    segment.put_annotation(7, 1)
    segment.put_annotation("list", [1])
    segment.put_annotation("fine_1", 1)
    segment.put_metadata("k", 1, "AWS.reserved")
    segment.put_metadata("k", {1, 1}, "mine")
    print(segment.name, segment.annotations)
""",
    "metadata of any kind": """
class Point:
    def __init__(self): self.x = 1; self._hidden = 2; self.inner = {"y": (1, 2)}
    def method(self): pass
circle = {}; circle["self"] = circle
with xray_recorder.in_segment("web") as segment:
    segment.put_metadata("point", Point())
    segment.put_metadata("class", Point)
    segment.put_metadata("nested", [Point(), {"a": None, "b": [True, 1.5, "text"]}])
""",
    "missing context": """
for strategy in ("IGNORE_ERROR", "LOG_ERROR", "RUNTIME_ERROR", "nonsense"):
    xray_recorder.configure(context_missing=strategy)
    print(xray_recorder.context.context_missing)
    for use in (lambda: xray_recorder.begin_subsegment("x"), lambda: xray_recorder.put_annotation("a", 1),
                lambda: xray_recorder.current_segment(), lambda: xray_recorder.current_subsegment(),
                lambda: xray_recorder.is_sampled(), lambda: xray_recorder.end_subsegment()):
        try: print(use())
        except SegmentNotFoundException as error: print(error)
try: xray_recorder.service = None; xray_recorder.begin_segment()
except SegmentNameMissingException: print("no name")
""",
    "not sampled": """
segment = xray_recorder.begin_segment("web", sampling=0)
print(segment.sampled, xray_recorder.is_sampled(), type(segment).__name__, segment.name)
sub = xray_recorder.begin_subsegment("sub")
print(sub.sampled, type(sub).__name__, sub.name, xray_recorder.current_subsegment() is sub)
sub.put_annotation("a", 1)
xray_recorder.put_metadata("a", 1)
xray_recorder.end_subsegment()
xray_recorder.end_segment()
with xray_recorder.in_segment("sampled", sampling=1):
    quiet = xray_recorder.begin_subsegment_without_sampling("quiet")
    below = xray_recorder.begin_subsegment("below quiet")
    print(quiet.sampled, below.sampled)
    xray_recorder.end_subsegment()
    xray_recorder.end_subsegment()
    with xray_recorder.in_subsegment("heard"): pass
with xray_recorder.in_segment("by rule", sampling="my-rule"): pass
""",
    "threads": """
with xray_recorder.in_segment("web") as segment:
    def work(n):
        xray_recorder.set_trace_entity(segment)
        with xray_recorder.in_subsegment(f"thread-{n}") as sub:
            sub.put_annotation("n", n)
        xray_recorder.clear_trace_entities()
        print(xray_recorder.get_trace_entity())
    def alone():
        print(xray_recorder.current_segment())
    for target, args in ((work, (1,)), (work, (2,)), (alone, ())):
        thread = threading.Thread(target=target, args=args); thread.start(); thread.join()
    print(xray_recorder.get_trace_entity() is segment)
""",
    "asyncio": """
from PACKAGE.core.async_context import AsyncContext
@xray_recorder.capture_async("decorated")
async def decorated(n):
    await asyncio.sleep(0)
    return n
async def branch(name):
    async with xray_recorder.in_subsegment_async(name) as sub:
        sub.put_annotation("name", name)
        await asyncio.sleep(0)
        return await decorated(1)
async def main():
    xray_recorder.configure(context=AsyncContext(context_missing="IGNORE_ERROR", loop=asyncio.get_running_loop()))
    async with xray_recorder.in_segment_async("web"):
        print(await asyncio.gather(branch("a"), branch("b")))
        print(await asyncio.ensure_future(branch("c")))
        try:
            async with xray_recorder.in_subsegment_async("fails"): raise OSError("gone")
        except OSError: pass
asyncio.run(main())
""",
    "many subsegments": """
xray_recorder.configure(streaming_threshold=10)
with xray_recorder.in_segment("web"):
    for n in range(60):
        with xray_recorder.in_subsegment(f"outer-{n}"):
            with xray_recorder.in_subsegment("inner"): pass
xray_recorder.stream_subsegments()
""",
    "segment ended first": """
segment = xray_recorder.begin_segment("web")
xray_recorder.begin_subsegment("a"); xray_recorder.begin_subsegment("b")
xray_recorder.end_segment()
xray_recorder.end_subsegment()
print(xray_recorder.current_subsegment().name)
xray_recorder.end_subsegment()
print(xray_recorder.get_trace_entity())
xray_recorder.begin_segment("one"); xray_recorder.begin_segment("two"); xray_recorder.end_segment()
print(xray_recorder.get_trace_entity())
""",
    "meta processor": """
def meta(wrapped, instance, args, kwargs, return_value, exception, subsegment, stack):
    print(args, kwargs, return_value, type(exception).__name__)
    subsegment.set_aws({"operation": "Put", "region": "eu-west-1"})
    subsegment.set_sql({"url": "db.example/shop", "database_type": "postgresql", "sanitized_query": "SELECT ?"})
    if exception: subsegment.add_exception(exception, stack, True)
def double(n): return n * 2
def bad(): raise RuntimeError("no")
with xray_recorder.in_segment("web"):
    print(xray_recorder.record_subsegment(double, None, (2,), {}, "twice", "aws", meta))
    try: xray_recorder.record_subsegment(bad, None, (), {}, "bad", "aws", meta)
    except RuntimeError: print("raised")
""",
    "changed by hand": """
from PACKAGE.core.models.segment import Segment
from PACKAGE.core.models.subsegment import Subsegment
from PACKAGE.core.models.traceid import TraceId
segment = Segment("own", traceid=TraceId().to_id(), parent_id="53995c3f42cd8ad8", entityid="00000000000000a1")
xray_recorder.context.put_segment(segment)
sub = Subsegment("own sub", "local", segment)
xray_recorder.context.put_subsegment(sub)
sub.name = "renamed"
sub.namespace = "remote"
xray_recorder.end_subsegment()
gone = xray_recorder.begin_subsegment("gone")
xray_recorder.end_subsegment()
print(segment.id, len(segment.subsegments), segment.subsegments[0].name)
xray_recorder.end_segment()
""",
    "disabled": """
global_sdk_config.set_sdk_enabled(False)
with xray_recorder.in_segment("web") as segment:
    with xray_recorder.in_subsegment("sub") as sub: print(segment.sampled, sub.sampled, xray_recorder.is_sampled())
patch(["requests"])
global_sdk_config.set_sdk_enabled(True)
with xray_recorder.in_segment("again"): print(xray_recorder.is_sampled())
""",
    "helpers": """
from PACKAGE.ext.util import *
from PACKAGE.core.models.trace_header import TraceHeader
print(to_snake_case("TableName"), to_snake_case("QueueURL"), to_snake_case("HTTPStatusCode"), strip_url("http://a/b?c=d"))
print(get_hostname("https://u:p@h.example:81/x"), get_hostname(None), get_hostname("nonsense"))
header = construct_xray_header({"X-Amzn-Trace-Id": "Root=1-5f84c7a1-0123456789abcdef01234567;Parent=53995c3f42cd8ad8;Sampled=?;Self=x;Key=v"})
print(header.root, header.parent, header.sampled, header.data, header.to_header_str())
print(construct_xray_header({}).to_header_str() == "", TraceHeader.from_header_str("rubbish").root)
print(calculate_sampling_decision(TraceHeader(sampled=0), xray_recorder, {}), calculate_sampling_decision(header, xray_recorder, {}))
print(calculate_segment_name("a.example", xray_recorder))
xray_recorder.configure(dynamic_naming="*.example")
print(calculate_segment_name("a.example", xray_recorder), calculate_segment_name("other.org", xray_recorder))
with xray_recorder.in_segment("web", traceid=header.root) as segment:
    print(prepare_response_header(header, segment), prepare_response_header(None, segment))
    headers = {}
    inject_trace_header(headers, segment)
    print(headers["X-Amzn-Trace-Id"].replace(segment.id, "ID"))
""",
}


def run(name: str, package: str, port: int, printed: Path) -> None:
    """In a forked child; leaves the process, with what it does at its end."""
    code = 1
    try:
        with printed.open("w") as sys.stdout:
            os.environ["AWS_XRAY_DAEMON_ADDRESS"] = address = f"127.0.0.1:{port}"
            importlib.import_module(f"{package}.core").xray_recorder.configure(daemon_address=address)
            exec((_START + SCRIPTS[name]).replace("PACKAGE", package), {"__name__": "__main__"})
            atexit._run_exitfuncs()
        code = 0
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def main(package: str, directory: str, ports: str) -> None:
    warnings.simplefilter("ignore")
    importlib.import_module(f"{package}.core")
    for name, port in json.loads(ports).items():
        child = os.fork()
        if child == 0:
            run(name, package, port, Path(directory, name))
        _, status = os.waitpid(child, 0)
        if status:
            sys.exit(f"{name}: ended with {status}")


if __name__ == "__main__":
    main(*sys.argv[1:])
