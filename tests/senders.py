"""Threads that send segments as fast as the collector takes them and write down what was acknowledged."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import grpc

from collector_process import Collector
from fluoro.model import WIRE_VERSION, Batch, Resource
from fluoro.wire import MEDIA_TYPE, encode_batch
from memory_store import make_segment
from otlp_requests import export_request

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
BATCH = 20


@dataclass
class Senders:
    """`acknowledged` has the ids of every segment whose sender got its success; no id is ever sent twice."""

    acknowledged: set[int] = field(default_factory=set)
    by_door: dict[str, int] = field(default_factory=dict)
    unexpected: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    connections: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    first_id: int = 1

    @property
    def last_id(self) -> int:
        """The greatest id that was ever sent."""
        return self.first_id - 1

    def take_ids(self) -> range:
        with self._lock:
            first = self.first_id
            self.first_id += BATCH
        return range(first, first + BATCH)

    def closing(self, close: Callable[[], object]) -> None:
        """Call `close` when all senders have ended."""
        self.connections.callback(close)

    def acknowledge(self, door: str, ids: range) -> None:
        with self._lock:
            self.acknowledged.update(ids)
            self.by_door[door] = self.by_door.get(door, 0) + len(ids)


@contextlib.contextmanager
def sending(collector: Collector, each: int = 2, first_id: int = 1) -> Iterator[Senders]:
    """`each` threads for every door that acknowledges: native and OTLP over HTTP, OTLP over gRPC."""
    senders = Senders(first_id=first_id)
    doors = {"native": _native, "otlp-http": _otlp_http, "otlp-grpc": _otlp_grpc}
    threads = [
        threading.Thread(target=_until_refused, args=(senders, door, make(collector, senders)), daemon=True)
        for door, make in doors.items()
        for _ in range(each)
    ]
    for thread in threads:
        thread.start()
    try:
        yield senders
    finally:
        senders.stop.set()
        for thread in threads:
            thread.join(40)
        senders.connections.close()
    assert not any(thread.is_alive() for thread in threads)
    assert not senders.unexpected, senders.unexpected[:3]


Send = Callable[[range], bool]


def _until_refused(senders: Senders, door: str, send: Send) -> None:
    """Until the collector is gone. Whatever fails in between was not acknowledged, and is not sent again."""
    while not senders.stop.is_set():
        ids = senders.take_ids()
        try:
            if send(ids):
                senders.acknowledge(door, ids)
        except (OSError, http.client.HTTPException):
            return
        except grpc.RpcError as error:
            # A server that stops cancels what has not ended in its time of grace; neither was acknowledged.
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):  # type: ignore[attr-defined]
                return
            senders.unexpected.append(f"{door}: {error}")
            return
        except Exception as error:  # noqa: BLE001 - shown by the test
            senders.unexpected.append(f"{door}: {error!r}")
            return


def _post(collector: Collector, senders: Senders) -> Callable[[str, bytes, str], tuple[int, bytes]]:
    address = urlsplit(collector.http)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    senders.closing(connection.close)

    def post(path: str, body: bytes, media: str) -> tuple[int, bytes]:
        connection.request("POST", path, body, {"Content-Type": media})
        reply = connection.getresponse()
        return reply.status, reply.read()

    return post


def _native(collector: Collector, senders: Senders) -> Send:
    post = _post(collector, senders)

    def send(ids: range) -> bool:
        batch = Batch(WIRE_VERSION, Resource(service_name="native"), [make_segment(number) for number in ids])
        status, body = post("/v1/segments", encode_batch(batch), MEDIA_TYPE)
        if status == 503:
            return False
        assert (status, json.loads(body)["stored"]) == (200, BATCH), body
        return True

    return send


def _otlp_http(collector: Collector, senders: Senders) -> Send:
    post = _post(collector, senders)

    def send(ids: range) -> bool:
        status, body = post("/v1/traces", export_request(*ids).SerializeToString(), "application/x-protobuf")
        if status == 503:
            return False
        assert (status, body) == (200, b"")
        return True

    return send


def _otlp_grpc(collector: Collector, senders: Senders) -> Send:
    channel = grpc.insecure_channel(collector.grpc)
    senders.closing(channel.close)
    call = channel.unary_unary(EXPORT)

    def send(ids: range) -> bool:
        assert call(export_request(*ids).SerializeToString(), timeout=30) == b""
        return True

    return send
