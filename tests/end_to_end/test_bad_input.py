"""Every door of a real collector under bad input: a clear error, a counted reason, the rest stored, the process alive."""

from __future__ import annotations

import contextlib
import gzip
import json
import random
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, cast
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

import grpc
import pytest

from collector_process import Collector, start_collector
from fluoro.model import WIRE_VERSION, Batch, Http, Resource
from fluoro.wire import MEDIA_TYPE, encode_batch
from memory_store import make_segment
from otlp_requests import export_request

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
PUT = "/fluoro.v1.SegmentService/Put"
HEADER = b'{"format": "json", "version": 1}\n'
MEBIBYTE = 1 << 20
BOMB = gzip.compress(bytes(100 * MEBIBYTE), 1)

numbers = iter(range(1, 1 << 40))


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    with start_collector(tmp_path_factory.mktemp("data"), "--max-request-mb", "1", "--max-buffer-mb", "8") as running:
        yield running
        assert running.stop() == 0
        assert "Traceback" not in "".join(running.output)


@pytest.fixture(autouse=True)
def _alive_and_balanced(collector: Collector) -> Iterator[None]:
    yield
    assert collector.get("/readyz")["ready"]
    doors = collector.get("/api/status")["doors"]
    for name, door in doors.items():
        settled = door["stored"] + sum(_counts(door["rejected"])) + sum(_counts(door["dropped"]))
        assert door["received"] == settled + door["in_flight"], (name, door)


def _counts(reasons: Any) -> list[int]:
    return list(reasons.values()) if isinstance(reasons, dict) else [reasons]


def post(collector: Collector, path: str, body: bytes, media: str, **headers: str) -> tuple[int, Any]:
    """(status, JSON or bytes) of a POST."""
    request = Request(collector.http + path, body, {"Content-Type": media, **headers})
    try:
        with urlopen(request, timeout=30) as reply:
            return reply.status, _read(reply)
    except HTTPError as error:
        with error:
            return error.code, _read(error)


def _read(reply: Any) -> Any:
    data = reply.read()
    return json.loads(data) if reply.headers.get_content_type() == JSON else data


def call(collector: Collector, method: str, message: bytes) -> tuple[grpc.StatusCode, bytes]:
    with grpc.insecure_channel(collector.grpc) as channel:
        try:
            return grpc.StatusCode.OK, channel.unary_unary(method)(message, timeout=30)
        except grpc.RpcError as error:
            return error.code(), error.details().encode()  # type: ignore[attr-defined]


def send(collector: Collector, datagram: bytes) -> None:
    host, port = collector.xray.rsplit(":", 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(datagram, (host, int(port)))


def document(**fields: Any) -> dict[str, Any]:
    now = time.time()
    number = next(numbers)
    trace_id = f"1-{int(now):08x}-{number:024x}"
    made = {"name": "shop", "id": f"{number:016x}", "trace_id": trace_id, "start_time": now - 0.1, "end_time": now}
    return made | fields


def native(**fields: Any) -> bytes:
    return encode_batch(Batch(WIRE_VERSION, Resource(service_name="shop"), [make_segment(next(numbers), **fields)]))


def otlp(*more: int) -> bytes:
    return export_request(next(numbers), *more).SerializeToString()


def otlp_json(**fields: Any) -> bytes:
    now = time.time_ns()
    number = next(numbers)
    span = {
        "traceId": f"{now // 1_000_000_000:08x}{number:024x}",
        "spanId": f"{number:016x}",
        "name": "GET /",
        "kind": 2,
        "startTimeUnixNano": str(now - 1000),
        "endTimeUnixNano": str(now),
    }
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span | fields]}]}]}).encode()


def put_documents(*documents: Any) -> bytes:
    texts = [each if isinstance(each, str) else json.dumps(each) for each in documents]
    return json.dumps({"TraceSegmentDocuments": texts}).encode()


Door = Callable[[Collector, bytes], Any]

# door → (a good message, how to send it; the answer says "refused" for a request that must not be retried)
DOORS: dict[str, tuple[Callable[[], bytes], Door]] = {
    "native": (native, lambda c, data: post(c, "/v1/segments", data, MEDIA_TYPE)[0]),
    "otlp-protobuf": (otlp, lambda c, data: post(c, "/v1/traces", data, PROTOBUF)[0]),
    "otlp-json": (otlp_json, lambda c, data: post(c, "/v1/traces", data, JSON)[0]),
    "xray-http": (lambda: put_documents(document()), lambda c, data: post(c, "/TraceSegments", data, JSON)[0]),
    "grpc-otlp": (otlp, lambda c, data: call(c, EXPORT, data)[0]),
    "grpc-native": (native, lambda c, data: call(c, PUT, data)[0]),
    "xray-udp": (lambda: HEADER + json.dumps(document()).encode(), send),
}
NOT_RETRIED = {200, 400, 413, grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, None}


@pytest.mark.parametrize("door", DOORS)
def test_random_and_damaged_bytes(collector: Collector, door: str) -> None:
    make, deliver = DOORS[door]
    chance = random.Random(door)
    before = collector.get("/api/status")["segments"]
    for _ in range(25):
        good = make()
        cut = chance.randrange(len(good))
        flipped = bytearray(good)
        flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
        for data in (chance.randbytes(chance.randrange(300)), good[:cut], bytes(flipped), good[cut:]):
            assert deliver(collector, data) in NOT_RETRIED
    assert deliver(collector, make()) in {200, grpc.StatusCode.OK, None}
    collector.wait_for(lambda: collector.get("/api/status")["segments"] > before)


@pytest.mark.parametrize("door", [door for door in DOORS if door != "xray-udp"])
def test_too_large(collector: Collector, door: str) -> None:
    _, deliver = DOORS[door]
    assert deliver(collector, bytes(2 * MEBIBYTE)) in {413, grpc.StatusCode.RESOURCE_EXHAUSTED}
    name = {"native": "http-native", "xray-http": "xray-http"}.get(door, "grpc" if "grpc" in door else "http-otlp")
    collector.wait_for(lambda: collector.ledger().get((name, "rejected:TooLarge")))


@pytest.mark.parametrize(
    ("path", "media"), [("/v1/traces", PROTOBUF), ("/v1/traces", JSON), ("/v1/segments", MEDIA_TYPE)]
)
def test_a_bomb(collector: Collector, path: str, media: str) -> None:
    assert post(collector, path, BOMB, media, **{"Content-Encoding": "gzip"})[0] == 413


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/segments"])
def test_a_wrong_content_type(collector: Collector, path: str) -> None:
    status, told = post(collector, path, otlp(), "text/plain")
    assert status == 415
    assert "Content-Type" in json.dumps(told)


@pytest.mark.parametrize("opening", [b"[", b'{"resourceSpans":', b'{"a":'])
def test_deep_nesting(collector: Collector, opening: bytes) -> None:
    bottomless = opening * (MEBIBYTE // len(opening) - 10)
    assert post(collector, "/v1/traces", bottomless, JSON)[0] == 400
    assert post(collector, "/TraceSegments", bottomless, JSON)[0] == 400
    deep = '{"a":' * 5_000 + "1" + "}" * 5_000
    nested = json.dumps(document()).replace('"shop"', '"shop", "metadata": ' + deep)
    status, told = post(collector, "/TraceSegments", put_documents(nested, document()), JSON)
    assert (status, len(told["UnprocessedTraceSegments"])) == (200, 1)


def test_the_rest_of_a_batch_is_stored(collector: Collector) -> None:
    before = collector.ledger()
    segments = [make_segment(next(numbers)) for _ in range(20)]
    segments[3].name, segments[7].trace_id, segments[11].start = "", b"short", 5
    status, told = post(collector, "/v1/segments", encode_batch(Batch(WIRE_VERSION, Resource(), segments)), MEDIA_TYPE)
    assert (status, told["stored"]) == (200, 17)
    assert {each["code"] for each in told["rejected"]} == {"MissingName", "InvalidTraceId", "InvalidTime"}
    documents = [document(), "no json", document(trace_id="1-2-3"), document()]
    status, told = post(collector, "/TraceSegments", put_documents(*documents), JSON)
    assert status == 200
    assert [each["ErrorCode"] for each in told["UnprocessedTraceSegments"]] == ["InvalidSegment", "InvalidTraceId"]
    after = collector.ledger()
    assert after["http-native", "stored"] - before["http-native", "stored"] == 17
    assert after["xray-http", "stored"] - before["xray-http", "stored"] == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"traceId": "0" * 32},
        {"traceId": "abc"},
        {"spanId": "0" * 16},
        {"spanId": "zz" * 8},
        {"startTimeUnixNano": "1"},
        {"startTimeUnixNano": str(1 << 63)},
        {"startTimeUnixNano": str((int(time.time()) + 10 * 86_400) * 1_000_000_000)},
        {"endTimeUnixNano": str((1 << 64) - 1)},
        {"name": "x" * 100_000},
        {"attributes": [{"key": "k", "value": {"arrayValue": {"values": [{"intValue": "not a number"}]}}}]},
    ],
)
def test_a_span_that_cannot_be_right_is_refused_or_cut_but_never_an_error(
    collector: Collector, fields: dict[str, Any]
) -> None:
    status, told = post(collector, "/v1/traces", otlp_json(**fields), JSON)
    assert status in {200, 400}
    assert status == 400 or told == {} or told["partialSuccess"]["rejectedSpans"] == "1"


def test_odd_but_possible_spans_are_stored(collector: Collector) -> None:
    before = collector.ledger()["http-otlp", "stored"]
    now = time.time_ns()
    many = [{"key": f"key.{number}", "value": {"stringValue": "v"}} for number in range(10_000)]
    odd: list[dict[str, Any]] = [
        {"attributes": many},
        {"startTimeUnixNano": str(now), "endTimeUnixNano": str(now - 5_000_000_000)},
        {"name": "a\x00b\n\u202e\U0001f600"},
        {"attributes": [{"key": "", "value": {}}, {"key": "n", "value": {"doubleValue": "NaN"}}]},
        {"attributes": [{"key": "big", "value": {"intValue": str((1 << 63) - 1)}}]},
        {"unknownField": {"a": [1, 2]}},
    ]
    for fields in odd:
        assert post(collector, "/v1/traces", otlp_json(**fields), JSON) == (200, {}), str(fields)[:200]
    assert collector.ledger()["http-otlp", "stored"] - before == len(odd)


def test_half_a_surrogate_pair(collector: Collector) -> None:
    """JSON can write text that UTF-8 cannot: it must not poison the block that it would share with others."""
    text = json.dumps(document()).replace('"shop"', '"sh\\ud800op"')
    status, told = post(collector, "/TraceSegments", put_documents(text, document()), JSON)
    assert (status, len(told["UnprocessedTraceSegments"])) == (200, 1)
    status, _ = post(collector, "/v1/traces", otlp_json().replace(b"GET /", b"GET \\ud800"), JSON)
    assert status in {200, 400}


def test_bytes_that_are_not_the_protocol_at_all(collector: Collector) -> None:
    chance = random.Random(3)
    http = urlsplit(collector.http)
    targets = [
        (http.hostname, http.port),
        *((at.rsplit(":", 1)[0], int(at.rsplit(":", 1)[1])) for at in (collector.grpc, collector.xray)),
    ]
    for host, port in targets:
        for data in (
            chance.randbytes(2000),
            b"GET / HTTP/1.1\r\n" + b"a" * 70_000,
            b"\r\n\r\n",
            b"POST /v1/traces HTTP/1.1\r\n\r\n",
        ):
            address = (cast("str", host), cast("int", port))
            with socket.create_connection(address, timeout=30) as connection, contextlib.suppress(OSError):
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass


def test_unknown_paths_and_methods(collector: Collector) -> None:
    assert post(collector, "/v1/metrics", b"{}", JSON)[0] == 404
    assert post(collector, "/v1/segments/x", b"{}", JSON)[0] == 404
    assert (
        call(collector, "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", b"")[0]
        == grpc.StatusCode.UNIMPLEMENTED
    )
    with pytest.raises(HTTPError) as error:
        collector.get("/v1/traces")
    error.value.close()
    assert error.value.code == 405


def raw(collector: Collector, head: str, body: bytes = b"") -> bytes:
    """What comes back for these bytes, up to the end of the head."""
    at = urlsplit(collector.http)
    with socket.create_connection((cast("str", at.hostname), cast("int", at.port)), timeout=30) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n" + body)
        return connection.recv(65536)


@pytest.mark.parametrize(
    "headers",
    [
        "Host: evil.example:4318\n",
        "Host: 127.0.0.1\nOrigin: https://evil.example\n",
        "Host: 127.0.0.1\nOrigin: null\n",
        "Host: 127.0.0.1\nSec-Fetch-Site: cross-site\nSec-Fetch-Mode: no-cors\n",
    ],
)
@pytest.mark.parametrize("path", ["GET /api/status", "POST /ServiceGraph", "POST /TraceSegments", "GET /metrics"])
def test_a_web_page_reads_and_writes_nothing(collector: Collector, path: str, headers: str) -> None:
    before = collector.ledger()
    body = put_documents(document())
    head = f"{path} HTTP/1.1\n{headers}Content-Type: text/plain\nContent-Length: {len(body)}\n"
    assert raw(collector, head, body).startswith(b"HTTP/1.1 403 ")
    assert collector.ledger() == before


@pytest.mark.parametrize("path", ["/v1/segments", "/v1/traces", "/TraceSegments", "/ServiceGraph", "/api/status"])
def test_a_connection_that_ends_inside_a_body(collector: Collector, path: str) -> None:
    """The fixture sees that it left no traceback."""
    at = urlsplit(collector.http)
    media = MEDIA_TYPE if path == "/v1/segments" else PROTOBUF if path == "/v1/traces" else JSON
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {media}\r\nContent-Length: 100\r\n\r\n[1,"
    for _ in range(5):
        with socket.create_connection((cast("str", at.hostname), cast("int", at.port)), timeout=30) as connection:
            connection.sendall(head.encode())


def test_many_empty_spans(collector: Collector) -> None:
    """A kilobyte of gzip holds half a million spans."""
    spans = b"\x12\0" * 400_000
    for number in (2, 1):  # ScopeSpans.spans is in ResourceSpans.scope_spans is in the request
        spans = bytes([number << 3 | 2]) + _varint(len(spans)) + spans
    started = time.monotonic()
    status, _ = post(collector, "/v1/traces", gzip.compress(spans), PROTOBUF, **{"Content-Encoding": "gzip"})
    assert status == 400
    assert time.monotonic() - started < 20


def _varint(value: int) -> bytes:
    return bytes([value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80, value >> 14])


def test_cycles_are_read_by_every_api(collector: Collector) -> None:
    first = next(numbers)
    ids = [first, *(next(numbers) for _ in range(4))]
    trace_id = make_segment(first).trace_id
    around = [
        make_segment(number, parent_id=parent, subsegment=bool(index % 2), namespace="remote" if index % 2 else "")
        for index, (number, parent) in enumerate(zip(ids, ids[1:] + ids[:1], strict=True))
    ]
    for segment in around:
        segment.trace_id = trace_id
    itself = make_segment(next(numbers))
    itself.parent_id = itself.id
    status, told = post(
        collector, "/v1/segments", encode_batch(Batch(WIRE_VERSION, Resource(), [*around, itself])), MEDIA_TYPE
    )
    assert (status, told["stored"], told["rejected_count"]) == (200, 5, 1)
    text = f"1-{trace_id.hex()[:8]}-{trace_id.hex()[8:]}"
    assert len(collector.get(f"/api/traces/{text}")["segments"]) == 5
    asked = json.dumps({"TraceIds": [text]}).encode()
    status, told = post(collector, "/Traces", asked, JSON)
    assert (status, len(told["Traces"])) == (200, 1)
    assert post(collector, "/TraceGraph", asked, JSON)[0] == 200
    now = time.time()
    for question in ("service-graph", "traces", "time-series"):
        collector.get(f"/api/{question}?start={now - 600}&end={now + 60}")


HOSTILE_TEXTS = [
    "' OR 1=1 --",
    "{x:String}",
    "\\",
    "\\'",
    "\n\n",
    "\t",
    "\0",
    "\\N",
    "\\x00",
    "%s",
    '"',
    "\u202e",
    "\U0001f600",
]


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_a_text_is_only_ever_a_text(collector: Collector, text: str) -> None:
    """Stored, found again by every filter that can ask for it, and never part of a statement."""
    number = next(numbers)
    marked = f"{text}{number}"
    http = Http(method=marked, url=marked, status=200, user_agent=marked, client_ip=marked)
    data = native_of(number, name=marked, user=marked, origin=text, annotations={marked: marked}, http=http)
    assert post(collector, "/v1/segments", data, MEDIA_TYPE)[1]["stored"] == 1
    now = time.time()
    window = f"start={now - 600}&end={now + 60}"
    quoted = marked.replace("\\", "\\\\").replace('"', '\\"')
    for expression in (
        f'annotation["{quoted}"] = "{quoted}"',
        f'user = "{quoted}"',
        f'http.url CONTAINS "{quoted}"',
        f'http.useragent ENDSWITH "{quoted}"',
        f'service("{quoted}")',
        f'service(id(name: "{quoted}")) {{ http.method = "{quoted}" }}',
    ):
        found = collector.get(f"/api/traces?{window}&filter={quote(expression)}")
        assert [trace["service"] for trace in found["traces"]] == [marked], expression
    series = collector.get(f"/api/time-series?{window}&node={quote(f'{marked}|{text}')}")
    assert sum(point["total"] for point in series["points"]) == 1


@pytest.mark.parametrize("cursor", ["x", "A" * 31, "A" * 33, "'; --", "\0", "\u202e"])
def test_a_forged_cursor(collector: Collector, cursor: str) -> None:
    now = time.time()
    with pytest.raises(HTTPError) as error:
        collector.get(f"/api/traces?start={now - 60}&end={now}&cursor={quote(cursor)}")
    error.value.close()
    assert error.value.code == 400
    asked = json.dumps({"StartTime": now - 60, "EndTime": now, "NextToken": cursor}).encode()
    assert post(collector, "/TraceSummaries", asked, JSON)[0] == 400


def native_of(number: int, **fields: Any) -> bytes:
    return encode_batch(Batch(WIRE_VERSION, Resource(service_name="shop"), [make_segment(number, **fields)]))
