"""What tracing costs a process, beside the peers a Python team would otherwise install.

    make bench            (or: python tests/bench/bench_sdk.py [--rounds 5])

Every figure is whole-process CPU (all threads, encoding and sending included) of a fresh process whose spans go to a
sink process that answers 200, and counts afterwards what arrived: it says who lost any, and fails if that was fluoro. Candidates take turns, round by round, in one run on one machine; the
table shows the median of the rounds and its ratio to fluoro. Absolute values depend on the machine: read the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SPAN_TRACES = 2_000
CHILDREN = 10
REQUESTS = 3_000
ROOT = Path(__file__).resolve().parents[2]

# ---- scenarios: each runs in its own process, prints CPU seconds per unit ---------------------------------------------


def _cpu_per(unit_count: int, work: Callable[[], None], flush: Callable[[], object]) -> float:
    work_started = time.process_time()
    work()
    flush()
    return (time.process_time() - work_started) / unit_count


def fluoro_span() -> float:
    import fluoro

    fluoro.install()

    def work() -> None:
        for i in range(SPAN_TRACES):
            with fluoro.span("request") as root:
                _five(root.annotate, i)
                for j in range(CHILDREN):
                    with fluoro.span("child") as child:
                        _five(child.annotate, j)

    return _cpu_per(SPAN_TRACES * (CHILDREN + 1), work, lambda: fluoro.flush(20))


def opentelemetry_span() -> float:
    from opentelemetry import trace

    provider = _otel_provider()
    tracer = trace.get_tracer("bench")

    def work() -> None:
        for i in range(SPAN_TRACES):
            with tracer.start_as_current_span("request") as root:
                _five(root.set_attribute, i)
                for j in range(CHILDREN):
                    with tracer.start_as_current_span("child") as child:
                        _five(child.set_attribute, j)
            if i % 40 == 39:
                provider.force_flush()  # its queue holds 2,048 spans and drops the rest; every span is to be encoded

    return _cpu_per(SPAN_TRACES * (CHILDREN + 1), work, provider.force_flush)


def aws_xray_sdk_span() -> float:
    recorder = _xray_recorder()

    def work() -> None:
        for i in range(SPAN_TRACES):
            with recorder.in_segment("request") as root:
                _five(root.put_annotation, i)
                for j in range(CHILDREN):
                    with recorder.in_subsegment("child") as child:
                        _five(child.put_annotation, j)

    return _cpu_per(SPAN_TRACES * (CHILDREN + 1), work, lambda: None)


def ddtrace_span() -> float:
    tracer = _ddtrace()

    def work() -> None:
        for i in range(SPAN_TRACES):
            with tracer.trace("request") as root:
                _five(root.set_tag, i)
                for j in range(CHILDREN):
                    with tracer.trace("child") as child:
                        _five(child.set_tag, j)
            if i % 200 == 199:
                tracer.flush()

    return _cpu_per(SPAN_TRACES * (CHILDREN + 1), work, tracer.flush)


def _five(put: Callable[[str, object], object], value: int) -> None:
    put("user_id", "user-1234")
    put("cart_size", value)
    put("region", "eu-west-1")
    put("price", 12.5)
    put("beta", True)


def bare_flask() -> float:
    return _flask(lambda app: None, lambda: None)


def fluoro_flask() -> float:
    import fluoro

    fluoro.install()
    return _flask(lambda app: None, lambda: fluoro.flush(20))


def opentelemetry_flask() -> float:
    from opentelemetry.instrumentation.flask import FlaskInstrumentor

    provider = _otel_provider()
    return _flask(FlaskInstrumentor().instrument_app, provider.force_flush)


def aws_xray_sdk_flask() -> float:
    from aws_xray_sdk.ext.flask.middleware import XRayMiddleware

    recorder = _xray_recorder()
    return _flask(lambda app: XRayMiddleware(app, recorder), lambda: None)


def ddtrace_flask() -> float:
    tracer = _ddtrace()
    import ddtrace

    ddtrace.patch(flask=True)
    return _flask(lambda app: None, tracer.flush)


def _flask(instrument: Callable[[object], object], flush: Callable[[], object]) -> float:
    import flask
    from werkzeug.test import EnvironBuilder

    app = flask.Flask("bench")

    @app.get("/orders/<int:number>")
    def order(number: int) -> dict[str, int]:
        return {"number": number}

    instrument(app)
    environ = EnvironBuilder("/orders/7", headers={"User-Agent": "bench"}).get_environ()

    def work() -> None:
        for i in range(REQUESTS):
            response = app(dict(environ), lambda status, headers, error=None: lambda data: None)
            b"".join(response)
            response.close()
            if i % 400 == 399:
                flush()

    return _cpu_per(REQUESTS, work, flush)


def _otel_provider():
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(f"http://127.0.0.1:{os.environ['SINK']}/v1/traces"))
    )
    trace.set_tracer_provider(provider)
    return provider


def _xray_recorder():
    from aws_xray_sdk.core import xray_recorder

    xray_recorder.configure(service="bench", sampling=False, daemon_address=f"127.0.0.1:{os.environ['SINK']}")
    return xray_recorder


def _ddtrace():
    from ddtrace.trace import tracer

    return tracer


# ---- start-up: CPU of a whole interpreter that does nothing ---------------------------------------------------------

LAUNCHERS = {
    "bare": [],
    "fluoro": [sys.executable, "-m", "fluoro", "run"],
    "opentelemetry": ["opentelemetry-instrument", "--traces_exporter", "none", "--metrics_exporter", "none", "--logs_exporter", "none"],
    "ddtrace": ["ddtrace-run"],
}  # fmt: skip


def _launched_environment(candidate: str, environment: dict[str, str]) -> dict[str, str]:
    """What a launcher hands to the program it starts; so the program's start is measured without the launcher's own."""
    command = [*LAUNCHERS[candidate], "env", "-0"]
    if not Path(command[0]).is_absolute():
        command[0] = str(Path(sys.executable).parent / command[0]) if LAUNCHERS[candidate] else command[0]
    output = subprocess.run(command, env=environment, check=True, capture_output=True).stdout
    return dict(item.decode().split("=", 1) for item in output.split(b"\0") if item)


def _startup(environment: dict[str, str]) -> float:
    """CPU seconds of an interpreter that starts, does nothing and ends."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-c", "pass"],
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


# ---- the run --------------------------------------------------------------------------------------------------------


_received: list[tuple[str, bytes]] = []


def _count_received() -> int:
    """The spans in what arrived since the last call."""
    count = 0
    while _received:
        count += _spans_in(*_received.pop())
    return count


def _spans_in(path: str, body: bytes) -> int:
    """Decoded by each format's own rules; what is no spans (ddtrace asks the agent for its features) counts 0."""
    if path == "/v1/segments":
        from fluoro.wire import decode_batch

        return len(decode_batch(body).segments)
    if path == "/v1/traces":
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        request = ExportTraceServiceRequest.FromString(body)
        return sum(len(scope.spans) for resource in request.resource_spans for scope in resource.scope_spans)
    if path == "udp":
        return body.count(b'"start_time"')  # of a segment and of each subsegment in it
    if path.endswith("/traces") and body:
        import msgspec

        decoded = msgspec.msgpack.decode(body, strict=False)
        return sum(len(trace) for trace in (decoded[1] if path.startswith("/v0.5") else decoded))
    return 0


class _Sink(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        answer = b"{}"
        if self.path == "/received":
            answer = str(_count_received()).encode()
        else:
            _received.append((self.path, body))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PUT = _answer  # noqa: N815 - names are http.server's

    def log_message(self, *args: object) -> None:
        """Keep the table readable."""


def _sink_process() -> tuple[subprocess.Popen[bytes], int]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "sdk")}
    process = subprocess.Popen([sys.executable, __file__, "--sink"], stdout=subprocess.PIPE, env=environment)
    assert process.stdout
    return process, int(process.stdout.readline())


def _serve_sink() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Sink)
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 26)
    datagrams.bind(("127.0.0.1", server.server_port))

    def drain() -> None:
        while True:
            _received.append(("udp", datagrams.recv(65_536)))

    threading.Thread(target=drain, daemon=True).start()
    print(server.server_port, flush=True)
    server.serve_forever()


SCENARIOS = {f.__name__: f for f in (
    fluoro_span, opentelemetry_span, aws_xray_sdk_span, ddtrace_span,
    bare_flask, fluoro_flask, opentelemetry_flask, aws_xray_sdk_flask, ddtrace_flask,
)}  # fmt: skip


def _environment(sink: int) -> dict[str, str]:
    return {
        **os.environ,
        "SINK": str(sink),
        "PYTHONPATH": str(ROOT / "sdk"),
        "FLUORO_ENDPOINT": f"http://127.0.0.1:{sink}",
        "DD_TRACE_AGENT_URL": f"http://127.0.0.1:{sink}",
        "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
        "DD_REMOTE_CONFIGURATION_ENABLED": "false",
        "PYTHONWARNINGS": "ignore",
    }


def _measure(rounds: int, sink: int) -> dict[str, list[float]]:
    environment = _environment(sink)
    launched = {name: _launched_environment(name, environment) for name in LAUNCHERS}
    results: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name in SCENARIOS:
            output = subprocess.run(
                [sys.executable, __file__, "--scenario", name],
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            if output.returncode:
                raise SystemExit(f"{name} failed:\n{output.stderr[-3000:]}")
            arrived = int(urllib.request.urlopen(f"http://127.0.0.1:{sink}/received").read())
            expected = SPAN_TRACES * (CHILDREN + 1) if name.endswith("_span") else REQUESTS * (name != "bare_flask")
            if arrived < expected:
                print(f"{name}: {arrived} of {expected} spans arrived", file=sys.stderr)
                if name.startswith("fluoro"):
                    raise SystemExit(1)
            results.setdefault(name, []).append(json.loads(output.stdout.splitlines()[-1]))
        for name in LAUNCHERS:
            results.setdefault(f"{name}_startup", []).append(_startup(launched[name]))
    return results


def _print_table(title: str, unit: str, scale: float, values: dict[str, float]) -> None:
    ours = values["fluoro"]
    print(f"\n{title}\n  {'':16}{unit:>12}{'× fluoro':>12}")
    for name, value in values.items():
        print(f"  {name:16}{value * scale:12.2f}{value / ours if ours > 0 else float('nan'):12.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scenario", help=argparse.SUPPRESS)
    parser.add_argument("--sink", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.sink:
        return _serve_sink()
    if arguments.scenario:
        print(json.dumps(SCENARIOS[arguments.scenario]()))
        return None
    process, sink = _sink_process()
    try:
        results = {name: statistics.median(values) for name, values in _measure(arguments.rounds, sink).items()}
    finally:
        process.terminate()
        process.wait()
    peers = ["fluoro", "opentelemetry", "aws_xray_sdk", "ddtrace"]
    print(f"Python {sys.version.split()[0]}, {arguments.rounds} rounds, medians, whole-process CPU")
    _print_table(
        "One span with 5 attributes: create, end, encode, send", "µs", 1e6, {p: results[f"{p}_span"] for p in peers}
    )
    bare = results["bare_flask"]
    _print_table(
        f"Added to one Flask request (bare: {bare * 1e6:.0f} µs)",
        "µs",
        1e6,
        {p: results[f"{p}_flask"] - bare for p in peers},
    )
    bare = results["bare_startup"]
    added = {p: results[f"{p}_startup"] - bare for p in ("fluoro", "opentelemetry", "ddtrace")}
    _print_table(f"Added to starting Python (bare: {bare * 1e3:.0f} ms)", "ms", 1e3, added)
    return None


if __name__ == "__main__":
    main()
