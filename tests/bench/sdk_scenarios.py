"""One scenario with one tracer in a process of its own.

    python tests/bench/sdk_scenarios.py TRACER SCENARIO UNITS      with SINK=<port of sdk_sink>

prints JSON: `cpu`, seconds of the whole process (all threads, encoding and sending included) per unit; `spans`, how many
it was to send; `rss`, its memory in bytes at the end.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

FLUSH_EVERY = 400  # spans; OpenTelemetry's queue holds 2,048 and drops the rest
CALLS = 10  # calls of a client in one root span
THREADS = 8


class Bare:
    """No tracer."""

    put = ""

    def install(self, library: str) -> None:
        """Start tracing, and patch `library`."""

    def instrument_app(self, app: Any) -> None:
        """For tracers that want each application named."""

    def span(self, _name: str) -> AbstractContextManager[Any]:
        return nullcontext()

    def root(self, name: str) -> AbstractContextManager[Any]:
        return self.span(name)

    def flush(self) -> object:
        return None

    def relieve(self) -> object:
        """Called every 400 spans, for tracers whose queue would overflow: every span is to be encoded and sent."""
        return None


class Fluoro(Bare):
    put = "annotate"

    def install(self, library: str) -> None:  # noqa: ARG002  it patches what is imported
        import fluoro

        fluoro.install()
        self.span = fluoro.span  # type: ignore[method-assign,assignment]
        self.flush = lambda: fluoro.flush(20)  # type: ignore[method-assign]


class OpenTelemetry(Bare):
    put = "set_attribute"
    _INSTRUMENTORS = {  # noqa: RUF012
        "requests": "RequestsInstrumentor",
        "botocore": "BotocoreInstrumentor",
        "sqlite3": "SQLite3Instrumentor",
    }

    def install(self, library: str) -> None:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        provider = TracerProvider()
        exporter = OTLPSpanExporter(f"http://127.0.0.1:{os.environ['SINK']}/v1/traces")
        provider.add_span_processor(BatchSpanProcessor(exporter))
        trace.set_tracer_provider(provider)
        self.span = trace.get_tracer("bench").start_as_current_span  # type: ignore[method-assign,assignment]
        self.flush = self.relieve = provider.force_flush  # type: ignore[method-assign]
        self._library = library
        if library in self._INSTRUMENTORS:
            module = import_module(f"opentelemetry.instrumentation.{library}")
            getattr(module, self._INSTRUMENTORS[library])().instrument()

    def instrument_app(self, app: Any) -> None:
        module = import_module(f"opentelemetry.instrumentation.{self._library}")
        getattr(module, f"{self._library.capitalize()}Instrumentor").instrument_app(app)


class AwsXraySdk(Bare):
    put = "put_annotation"

    def install(self, library: str) -> None:
        from aws_xray_sdk.core import patch, xray_recorder

        address = f"127.0.0.1:{os.environ['SINK']}"
        xray_recorder.configure(service="bench", sampling=False, daemon_address=address)
        self.span = xray_recorder.in_subsegment  # type: ignore[method-assign,assignment]
        self.root = xray_recorder.in_segment  # type: ignore[method-assign,assignment]
        if library in ("requests", "botocore", "sqlite3"):
            patch((library,))

    def instrument_app(self, app: Any) -> None:
        from aws_xray_sdk.core import xray_recorder
        from aws_xray_sdk.ext.flask.middleware import XRayMiddleware

        XRayMiddleware(app, xray_recorder)


class DdTrace(Bare):
    put = "set_tag"

    def install(self, library: str) -> None:
        import ddtrace
        from ddtrace.trace import tracer

        self.span = tracer.trace  # type: ignore[method-assign,assignment]
        self.flush = self.relieve = tracer.flush  # type: ignore[method-assign]
        if library:
            ddtrace.patch(**{library: True})


TRACERS = {
    "bare": Bare,
    "fluoro": Fluoro,
    "opentelemetry": OpenTelemetry,
    "aws-xray-sdk": AwsXraySdk,
    "ddtrace": DdTrace,
}


# ---- scenarios: each prepares, and returns what does the work `units` times and says how many spans that makes ----------

Work = Callable[[int], int]


def span(tracer: Bare) -> Work:
    """One span with five annotations: roots of ten children."""
    tracer.install("")
    return lambda units: _spans(tracer, units // (CALLS + 1))


def threads(tracer: Bare) -> Work:
    """The same, in eight threads at once."""
    tracer.install("")

    def work(units: int) -> int:
        roots = units // (CALLS + 1) // THREADS
        workers = [threading.Thread(target=_spans, args=(tracer, roots)) for _ in range(THREADS)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return roots * THREADS * (CALLS + 1)

    return work


def _spans(tracer: Bare, roots: int) -> int:
    for number in range(roots):
        with tracer.root("request") as root:
            _five(getattr(root, tracer.put), number)
            for child_number in range(CALLS):
                with tracer.span("child") as child:
                    _five(getattr(child, tracer.put), child_number)
        if number % (FLUSH_EVERY // CALLS) == 0:
            tracer.relieve()
    return roots * (CALLS + 1)


def _five(put: Callable[[str, object], object], value: int) -> None:
    put("user_id", "user-1234")
    put("cart_size", value)
    put("region", "eu-west-1")
    put("price", 12.5)
    put("beta", True)


def flask(tracer: Bare) -> Work:
    return _flask(tracer, {})


def unsampled(tracer: Bare) -> Work:
    """A Flask request that the caller does not want recorded."""
    trace, parent = "6a0f1e2d3c4b5a69788796a5b4c3d2e1", "b7ad6b7169203331"
    headers = {
        "traceparent": f"00-{trace}-{parent}-00",
        "X-Amzn-Trace-Id": f"Root=1-{trace[:8]}-{trace[8:]};Parent={parent};Sampled=0",
    }
    work = _flask(tracer, headers)
    return lambda units: 0 * work(units)


def _flask(tracer: Bare, headers: dict[str, str]) -> Work:
    tracer.install("flask")
    import flask
    from werkzeug.test import EnvironBuilder

    app = flask.Flask("bench")

    @app.get("/orders/<int:number>")
    def order(number: int) -> dict[str, int]:
        return {"number": number}

    tracer.instrument_app(app)
    environ = EnvironBuilder("/orders/7", headers={"User-Agent": "bench", **headers}).get_environ()

    def work(units: int) -> int:
        for number in range(units):
            response: Any = app(dict(environ), lambda status, headers, error=None: lambda data: None)
            b"".join(response)
            response.close()
            if number % FLUSH_EVERY == 0:
                tracer.relieve()
        return units

    return work


def starlette(tracer: Bare) -> Work:
    tracer.install("starlette")
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def order(request: Request) -> JSONResponse:
        return JSONResponse({"number": request.path_params["number"]})

    app = Starlette(routes=[Route("/orders/{number:int}", order)])
    tracer.instrument_app(app)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/orders/7",
        "raw_path": b"/orders/7",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost"), (b"user-agent", b"bench")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: Any) -> None:
        pass

    async def serve(units: int) -> None:
        for number in range(units):
            await app(dict(scope), receive, send)
            if number % FLUSH_EVERY == 0:
                tracer.relieve()

    def work(units: int) -> int:
        asyncio.run(serve(units))
        return units

    return work


def requests(tracer: Bare) -> Work:
    tracer.install("requests")
    import requests

    session = requests.Session()
    url = f"http://127.0.0.1:{os.environ['SINK']}/orders/7"
    return _calls(tracer, lambda: session.get(url).content)


def botocore(tracer: Bare) -> Work:
    tracer.install("botocore")
    import boto3

    client = boto3.client(
        "dynamodb",
        endpoint_url=f"http://127.0.0.1:{os.environ['SINK']}",
        region_name="eu-west-1",
        aws_access_key_id="bench",
        aws_secret_access_key="bench",
    )
    return _calls(tracer, lambda: client.get_item(TableName="orders", Key={"id": {"S": "7"}}))


def sqlite(tracer: Bare) -> Work:
    tracer.install("sqlite3")
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, state TEXT)")
    connection.execute("INSERT INTO orders VALUES (7, 'new')")
    query = "SELECT state FROM orders WHERE id = ?"
    return _calls(tracer, lambda: connection.cursor().execute(query, (7,)).fetchall())


def _calls(tracer: Bare, call: Callable[[], object]) -> Work:
    def work(units: int) -> int:
        for number in range(units // CALLS):
            with tracer.root("request"):
                for _ in range(CALLS):
                    call()
            if number % (FLUSH_EVERY // CALLS) == 0:
                tracer.relieve()
        return units // CALLS * (CALLS + 1)

    return work


SCENARIOS = {f.__name__: f for f in (span, threads, flask, unsampled, starlette, requests, botocore, sqlite)}
WARM = 2 * THREADS * (CALLS + 1)  # units before the measurement: imports, caches, connections, the sender's thread


def main() -> None:
    tracer = TRACERS[sys.argv[1]]()
    work = SCENARIOS[sys.argv[2]](tracer)
    units = int(sys.argv[3])
    spans = work(WARM)
    tracer.flush()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    began = time.process_time()
    spans += work(units)
    tracer.flush()
    cpu = time.process_time() - began
    print(json.dumps({"cpu": cpu / units, "spans": spans, "rss": pages * resource.getpagesize()}))


if __name__ == "__main__":
    main()
