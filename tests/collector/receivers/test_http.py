from __future__ import annotations

import asyncio
import base64
import gzip
import json
import os
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
import zstandard
from google.protobuf.json_format import MessageToDict
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from fluoro.model import WIRE_VERSION, Batch, Resource
from fluoro.wire import MEDIA_TYPE, encode_batch
from fluoro_collector.store.engine import StoreBusy
from memory_store import make_segment
from open_doors import LIMIT, Doors, open_doors, until
from otlp_requests import export_request, with_bad_span

PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}
NATIVE = {"Content-Type": MEDIA_TYPE}


def run(body: Callable[[Doors, httpx.AsyncClient], Awaitable[None]], buffer: int = 4 * LIMIT) -> None:
    async def main() -> None:
        async with open_doors(buffer=buffer) as doors, httpx.AsyncClient(base_url=doors.http, timeout=30) as client:
            await body(doors, client)

    asyncio.run(asyncio.wait_for(main(), 60))


def as_json(data: bytes) -> bytes:
    """Protobuf's JSON with OTLP's rule for ids: hex, not base64."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    tree = MessageToDict(ExportTraceServiceRequest.FromString(data), use_integers_for_enums=True)
    for resource_spans in tree["resourceSpans"]:
        for scope_spans in resource_spans["scopeSpans"]:
            for span in scope_spans["spans"]:
                for name in ("traceId", "spanId"):
                    span[name] = base64.b64decode(span[name]).hex()
    return json.dumps(tree).encode()


def native_batch(*numbers: int) -> bytes:
    return encode_batch(Batch(WIRE_VERSION, Resource(service_name="shop"), [make_segment(n) for n in numbers]))


@pytest.mark.parametrize("media", ["application/x-protobuf", "application/json", "application/json; charset=utf-8"])
@pytest.mark.parametrize("encoding", ["", "gzip", "deflate", "zstd", "GZIP"])
def test_otlp_in_every_media_type_and_encoding(media: str, encoding: str) -> None:
    async def body(doors: Doors, client: httpx.AsyncClient) -> None:
        data = export_request(1, 2).SerializeToString()
        if "json" in media:
            data = as_json(data)
        pack = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstandard.ZstdCompressor().compress}
        headers = {"Content-Type": media}
        if encoding:
            data, headers["Content-Encoding"] = pack[encoding.lower()](data), encoding
        reply = await client.post("/v1/traces", content=data, headers=headers)
        assert reply.status_code == 200
        assert reply.headers["content-type"] == media.partition(";")[0]
        assert reply.content == (b"{}" if "json" in media else b"")
        assert doors.store.ids() == [1, 2]
        assert doors.counters.door("http-otlp").stored == 2

    run(body)


@pytest.mark.parametrize(("headers", "empty"), [(PROTOBUF, b""), (JSON, b"{}")])
def test_an_empty_request_succeeds(headers: dict[str, str], empty: bytes) -> None:
    async def body(_: Doors, client: httpx.AsyncClient) -> None:
        reply = await client.post("/v1/traces", content=empty, headers=headers)
        assert (reply.status_code, reply.content) == (200, empty)

    run(body)


def test_a_bad_span_is_reported_and_the_others_are_stored() -> None:
    async def body(doors: Doors, client: httpx.AsyncClient) -> None:
        reply = await client.post("/v1/traces", content=with_bad_span(1, 2), headers=PROTOBUF)
        partial = ExportTraceServiceResponse.FromString(reply.content).partial_success
        assert (reply.status_code, partial.rejected_spans) == (200, 1)
        assert "InvalidTraceId" in partial.error_message
        reply = await client.post("/v1/traces", content=as_json(with_bad_span(3)), headers=JSON)
        assert reply.json()["partialSuccess"]["rejectedSpans"] == "1"
        assert doors.store.ids() == [1, 2, 3]
        assert doors.counters.door("http-otlp").rejected == {"InvalidTraceId": 2}

    run(body)


@pytest.mark.parametrize(
    ("headers", "content", "status", "reason"),
    [
        (PROTOBUF, b"\x0a\xff\xff\xff", 400, "Undecodable"),
        (PROTOBUF, export_request(1).SerializeToString()[:-7], 400, "Undecodable"),
        (PROTOBUF, b'{"resourceSpans": []}', 400, "Undecodable"),
        (JSON, b"", 400, "Undecodable"),
        (JSON, b'{"resourceSpans": [', 400, "Undecodable"),
        (JSON, b"[1, 2]", 400, "Undecodable"),
        (JSON, b'{"resourceSpans": {"a": 1}}', 400, "Undecodable"),
        (JSON, b"\xff\xfe\x00", 400, "Undecodable"),
        ({"Content-Type": "text/plain"}, b"x", 415, "UnsupportedMediaType"),
        ({}, b"x", 415, "UnsupportedMediaType"),
        ({**PROTOBUF, "Content-Encoding": "br"}, b"x", 415, "UnsupportedEncoding"),
        ({**PROTOBUF, "Content-Encoding": "gzip"}, b"not gzip", 400, "Undecodable"),
        ({**JSON, "Content-Encoding": "gzip"}, gzip.compress(b"{}" + bytes(100))[:-9], 400, "Undecodable"),
        (PROTOBUF, bytes(LIMIT + 1), 413, "TooLarge"),
        ({**PROTOBUF, "Content-Encoding": "gzip"}, gzip.compress(bytes(100 << 20)), 413, "TooLarge"),
        ({**JSON, "Content-Encoding": "zstd"}, zstandard.ZstdCompressor().compress(bytes(100 << 20)), 413, "TooLarge"),
    ],
    # Bodies hold times: as names they would differ between the workers of one run.
    ids=[
        "noise",
        "cut protobuf",
        "JSON as protobuf",
        "empty JSON",
        "cut JSON",
        "a list",
        "no list of spans",
        "not UTF-8",
        "plain text",
        "no type",
        "brotli",
        "no gzip",
        "cut gzip",
        "too large",
        "gzip bomb",
        "zstd bomb",
    ],
)
def test_a_refused_otlp_request_says_why_in_its_own_encoding(
    headers: dict[str, str], content: bytes, status: int, reason: str
) -> None:
    async def body(doors: Doors, client: httpx.AsyncClient) -> None:
        reply = await client.post("/v1/traces", content=content, headers=headers)
        assert reply.status_code == status
        if headers.get("Content-Type") == "application/x-protobuf":
            assert reply.headers["content-type"] == "application/x-protobuf"
            told = Status.FromString(reply.content)
            assert (told.code, bool(told.message), list(told.details)) == (8 if status == 413 else 3, True, [])
        else:
            assert reply.headers["content-type"] == "application/json"
            assert reply.json()["code"] == (8 if status == 413 else 3)
            assert reply.json()["message"]
        assert "Retry-After" not in reply.headers
        assert doors.counters.door("http-otlp").rejected == {reason: 1}
        assert doors.store.blocks == []
        reply = await client.post("/v1/traces", content=export_request(1).SerializeToString(), headers=PROTOBUF)
        assert reply.status_code == 200

    run(body)


def test_a_body_in_chunks_is_limited_too() -> None:
    async def chunks(count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            yield bytes(LIMIT // 4)

    async def body(doors: Doors, client: httpx.AsyncClient) -> None:
        reply = await client.post("/v1/segments", content=chunks(40), headers=NATIVE)
        assert reply.status_code == 413
        assert reply.json()["error"]["code"] == "TooLarge"
        assert doors.counters.door("http-native").rejected == {"TooLarge": 1}

        async def batch() -> AsyncIterator[bytes]:
            data = native_batch(1, 2, 3)
            for at in range(0, len(data), 7):
                yield data[at : at + 7]

        reply = await client.post("/v1/segments", content=batch(), headers=NATIVE)
        assert reply.json() == {"stored": 3, "rejected_count": 0, "rejected": []}

    run(body)


@pytest.mark.parametrize("media", [MEDIA_TYPE, "text/plain"])
def test_a_sender_that_closes_after_its_body_gets_to_read_the_answer(media: str) -> None:
    async def body(doors: Doors, client: httpx.AsyncClient) -> None:
        headers = {"Content-Type": media, "Connection": "close"}
        reply = await client.post("/v1/segments", content=bytes(40 << 20), headers=headers)
        assert reply.status_code == (413 if media == MEDIA_TYPE else 415)

    run(body)


def test_a_sender_that_asks_first_is_told_before_it_sends() -> None:
    async def body(doors: Doors, _: httpx.AsyncClient) -> None:
        host, port = doors.http.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /v1/segments HTTP/1.1\r\nHost: x\r\nContent-Type: {MEDIA_TYPE}\r\nExpect: 100-continue\r\n"
        writer.write(f"{head}Content-Length: {LIMIT + 1}\r\n\r\n".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
        writer.close()
        await writer.wait_closed()

    run(body)


def test_bodies_that_are_being_read_are_bounded_together() -> None:
    async def body(doors: Doors, client: httpx.AsyncClient) -> None:
        host, port = doors.http.removeprefix("http://").split(":")
        head = f"POST /v1/segments HTTP/1.1\r\nHost: x\r\nContent-Type: {MEDIA_TYPE}\r\nContent-Length: {LIMIT}\r\n\r\n"
        writers = []
        for _ in range(4):  # each holds most of what one body may have, and does not go on
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(head.encode() + bytes(LIMIT - 1))
            await writer.drain()
            writers.append(writer)
        statuses = [0]
        while statuses[-1] != 503:  # until the four have been read
            statuses.append((await client.post("/v1/segments", content=bytes(LIMIT), headers=NATIVE)).status_code)
        assert set(statuses) <= {0, 400, 503}
        assert doors.counters.door("http-native").rejected["BufferFull"] == 1
        for writer in writers:
            writer.close()
            await writer.wait_closed()

    run(body, buffer=4 * LIMIT)


def test_overload_asks_to_come_back() -> None:
    async def body(doors: Doors, client: httpx.AsyncClient) -> None:
        data = export_request(1).SerializeToString()
        doors.store.gate.clear()
        held = asyncio.ensure_future(client.post("/v1/traces", content=data, headers=PROTOBUF))
        assert await asyncio.to_thread(doors.store.entered.acquire, True, 30)
        reply = await client.post("/v1/traces", content=data, headers=PROTOBUF)
        assert reply.status_code == 503
        assert int(reply.headers["Retry-After"]) >= 1
        told = Status.FromString(reply.content)
        info = RetryInfo()
        assert told.code == 14
        assert told.details[0].Unpack(info)
        assert info.retry_delay.ToTimedelta().total_seconds() == 1
        reply = await client.post("/v1/traces", content=as_json(data), headers=JSON)
        assert (reply.status_code, reply.json()["details"][0]["retryDelay"]) == (503, "1s")
        reply = await client.post("/v1/segments", content=native_batch(1, 2, 3, 4, 5), headers=NATIVE)
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "BufferFull")
        doors.store.gate.set()
        assert (await held).status_code == 200

    run(body, buffer=int(1.5 * len(export_request(1).SerializeToString())))


def test_a_busy_store_is_retryable() -> None:
    async def body(doors: Doors, client: httpx.AsyncClient) -> None:
        def refuse(_: object) -> None:
            raise StoreBusy("too many parts")

        doors.store.refuse = refuse
        reply = await client.post("/v1/segments", content=native_batch(1), headers=NATIVE)
        assert (reply.status_code, reply.headers["Retry-After"]) == (503, "5")
        assert reply.json()["error"]["code"] == "StoreBusy"

    run(body)


def test_native_batches() -> None:
    async def body(doors: Doors, client: httpx.AsyncClient) -> None:
        bad = [make_segment(7, name=""), make_segment(8)]
        data = encode_batch(Batch(WIRE_VERSION, Resource(), bad))
        reply = await client.post(
            "/v1/segments", content=gzip.compress(data), headers={**NATIVE, "Content-Encoding": "gzip"}
        )
        assert reply.status_code == 200
        assert reply.json()["stored"] == 1
        assert [(each["code"], each["id"]) for each in reply.json()["rejected"]] == [("MissingName", f"{7:016x}")]
        for content, headers, status in [
            (data[:-3], NATIVE, 400),
            (os.urandom(200), NATIVE, 400),
            (b"", NATIVE, 400),
            (data, PROTOBUF, 415),
        ]:
            reply = await client.post("/v1/segments", content=content, headers=headers)
            assert reply.status_code == status
            assert reply.json()["error"]["message"]
        assert doors.counters.door("http-native").rejected == {
            "MissingName": 1,
            "Undecodable": 3,
            "UnsupportedMediaType": 1,
        }

    run(body)


def test_only_post() -> None:
    async def body(_: Doors, client: httpx.AsyncClient) -> None:
        assert (await client.get("/v1/traces")).status_code == 405
        assert (await client.options("/v1/traces")).status_code == 405
        assert (await client.put("/v1/segments", content=b"")).status_code == 405

    run(body)


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://localhost:3000", True),
        ("http://127.0.0.1", True),
        ("https://[::1]:8443", True),
        ("https://evil.example", False),
        ("http://localhost.evil.example", False),
    ],
)
def test_pages_of_this_machine_may_send_spans(origin: str, allowed: bool) -> None:
    async def body(_: Doors, client: httpx.AsyncClient) -> None:
        asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
        reply = await client.options("/v1/traces", headers={"Origin": origin, **asks})
        assert reply.status_code == (200 if allowed else 403)
        assert ("access-control-allow-origin" in reply.headers) == allowed
        reply = await client.post("/v1/traces", content=b"{}", headers={"Origin": origin, **JSON})
        assert reply.headers.get("access-control-allow-origin") == (origin if allowed else None)

    run(body)


def test_a_sender_that_leaves_in_the_middle_of_its_body() -> None:
    async def body(doors: Doors, client: httpx.AsyncClient) -> None:
        host, port = doors.http.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n")
        writer.write(b"Content-Length: 1000\r\n\r\n" + bytes(500))
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        await until(lambda: doors.counters.door("http-otlp").rejected == {"Undecodable": 1})
        assert (await client.post("/v1/traces", content=b"{}", headers=JSON)).status_code == 200

    run(body)


def test_bodies_that_are_too_much_together_do_not_all_fail() -> None:
    """One that is refused makes room at once, while its sender is still writing."""

    async def body(doors: Doors, client: httpx.AsyncClient) -> None:
        segments = [make_segment(number, user="u" * 200) for number in range(1, 700)]
        data = encode_batch(Batch(WIRE_VERSION, Resource(), segments))
        assert LIMIT / 2 < len(data) < LIMIT
        address = doors.http.removeprefix("http://").rsplit(":", 1)
        head = f"POST /v1/segments HTTP/1.1\r\nHost: a\r\nContent-Type: {MEDIA_TYPE}\r\nContent-Length: {len(data)}\r\n\r\n"
        opened = [await asyncio.open_connection(address[0], int(address[1])) for _ in range(6)]
        half = len(data) // 2
        for _, writer in opened:  # all halves together are more than fits
            writer.write(head.encode() + data[:half])
            await writer.drain()
        for _, writer in opened:
            writer.write(data[half:])
        replies = await asyncio.gather(*(reader.readline() for reader, _ in opened))
        for _, writer in opened:
            writer.close()
        assert {reply.split()[1] for reply in replies} <= {b"200", b"503"}
        assert sum(reply.split()[1] == b"200" for reply in replies) >= 1
        assert (await client.post("/v1/segments", content=data, headers=NATIVE)).status_code == 200

    run(body, buffer=LIMIT)
