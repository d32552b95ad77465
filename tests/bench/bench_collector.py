"""What a span costs the collector, from the bytes of a request to the block that ClickHouse reads.

    make bench            (or: python tests/bench/bench_collector.py [--rounds 7])

The same spans arrive as a native batch and as OTLP protobuf. Every figure is CPU of one thread in one process; the steps
take turns, round by round, and the table shows the median of the rounds. "bare parse" is what opentelemetry-proto's
generated classes (C++ or upb) need to parse the OTLP request and do nothing with it. Absolute values depend on the
machine: read the ratios.
"""

from __future__ import annotations

import argparse
import gc
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "sdk"), str(ROOT / "collector")]

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest  # noqa: E402

from fluoro.model import WIRE_VERSION, Batch  # noqa: E402
from fluoro.wire import encode_batch  # noqa: E402
from fluoro_collector.decode import native, otlp  # noqa: E402
from fluoro_collector.decode.decoded import Decoded  # noqa: E402
from fluoro_collector.decode.validate import check  # noqa: E402
from fluoro_collector.store import native_block, segments  # noqa: E402

SPANS = 5_000
TRACE = 8  # spans of a trace: one request, what it calls


def otlp_request() -> bytes:
    """SPANS spans of one service: served requests with calls to another service, a database and DynamoDB."""
    chance = random.Random(1)
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    for key, value in (
        ("service.name", "checkout"),
        ("service.version", "1.4.2"),
        ("deployment.environment.name", "production"),
        ("host.name", "node-7"),
    ):
        resource_spans.resource.attributes.add(key=key).value.string_value = value
    spans = resource_spans.scope_spans.add().spans
    now = time.time_ns() - 60_000_000_000
    for index in range(SPANS):
        if index % TRACE == 0:
            trace_id = (now // 1_000_000_000).to_bytes(4, "big") + chance.randbytes(12)
            root = b""
        kind, name, attributes = _shape(index, chance)
        start = now + index * 1_000_000
        span = spans.add(name=name, kind=kind, trace_id=trace_id, span_id=chance.randbytes(8), parent_span_id=root)
        span.start_time_unix_nano, span.end_time_unix_nano = start, start + chance.randrange(50_000_000)
        root = root or span.span_id
        for key, value in attributes.items():
            held = span.attributes.add(key=key).value
            if isinstance(value, int):
                held.int_value = value
            else:
                held.string_value = value
    return request.SerializeToString()


def _shape(index: int, chance: random.Random) -> tuple[int, str, dict[str, str | int]]:
    """(OTLP kind, name, attributes) of the span at this place of its trace."""
    own: dict[str, str | int] = {"app.user": f"user-{chance.randrange(10_000)}", "app.items": chance.randrange(20)}
    place = index % TRACE
    if place == 0:
        return (
            2,
            "POST /orders/{id}",
            own
            | {
                "http.request.method": "POST",
                "http.route": "/orders/{id}",
                "url.path": f"/orders/{index}",
                "url.scheme": "https",
                "server.address": "checkout.example",
                "user_agent.original": "python-requests/2.32",
                "http.response.status_code": 200,
            },
        )
    if place == 1:
        return (
            3,
            "GET",
            own
            | {
                "http.request.method": "GET",
                "url.full": f"https://stock.example/items/{index}",
                "server.address": "stock.example",
                "http.response.status_code": 200,
            },
        )
    if place == 2:
        return (
            3,
            "SELECT orders",
            own
            | {
                "db.system.name": "postgresql",
                "db.namespace": "shop",
                "server.address": "db.internal",
                "db.query.text": "SELECT * FROM orders WHERE id = $1",
            },
        )
    if place == 3:
        return (
            3,
            "DynamoDB.PutItem",
            own
            | {
                "rpc.system": "aws-api",
                "rpc.service": "DynamoDB",
                "rpc.method": "PutItem",
                "aws.dynamodb.table_names": "orders",
            },
        )
    return 1, f"step {place}", own


def columns(decoded: Decoded) -> dict[str, tuple[str, object]]:
    """What ingest and the store do before an insert, up to the columns."""
    now = time.time_ns()
    for _, batch in decoded.batches:
        if any(check(segment, now) for segment in batch):
            raise SystemExit("a span of the benchmark is not valid")
    return segments.to_columns(decoded.batches, now)


def cpu_us_per_span(work: Callable[[], object]) -> float:
    gc.collect()
    started = time.thread_time()
    work()
    return (time.thread_time() - started) / SPANS * 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    otlp_bytes = otlp_request()
    decoded = otlp.decode_protobuf(otlp_bytes)
    [(resource, spans)] = decoded.batches
    if len(spans) != SPANS or decoded.rejections:
        raise SystemExit("not every span of the benchmark was decoded")
    native_bytes = encode_batch(Batch(WIRE_VERSION, resource, spans))
    steps: dict[str, Callable[[], object]] = {
        "bare parse": lambda: ExportTraceServiceRequest.FromString(otlp_bytes),
        "native: decode": lambda: native.decode(native_bytes),
        "native: decode + columns": lambda: columns(native.decode(native_bytes)),
        "native: decode + columns + block": lambda: native_block.encode(columns(native.decode(native_bytes))),
        "otlp: decode": lambda: otlp.decode_protobuf(otlp_bytes),
        "otlp: decode + columns": lambda: columns(otlp.decode_protobuf(otlp_bytes)),
        "otlp: decode + columns + block": lambda: native_block.encode(columns(otlp.decode_protobuf(otlp_bytes))),
    }
    figures: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds + 1):
        for name, work in steps.items():
            figures[name].append(cpu_us_per_span(work))
    medians = {name: statistics.median(values[1:]) for name, values in figures.items()}  # the first round warms up
    base, bare = medians["native: decode + columns"], medians["bare parse"]
    print(
        f"collector, {SPANS} spans, {len(native_bytes) / SPANS:.0f} B native and {len(otlp_bytes) / SPANS:.0f} B OTLP each"
    )
    print(f"{'step':<34}{'µs/span':>9}{'÷ native to columns':>21}{'÷ bare parse':>14}")
    for name, median in medians.items():
        print(f"{name:<34}{median:>9.2f}{median / base:>20.2f}x{median / bare:>13.2f}x")


if __name__ == "__main__":
    main()
