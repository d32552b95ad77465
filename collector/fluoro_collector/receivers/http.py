"""POST /v1/traces (OTLP) and POST /v1/segments (native batches)."""

from __future__ import annotations

import msgspec
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from fluoro.wire import MEDIA_TYPE as NATIVE
from fluoro_collector.decode import native, otlp
from fluoro_collector.ingest import Receipt
from fluoro_collector.receivers import status
from fluoro_collector.receivers.browsers import LOCAL_ORIGIN
from fluoro_collector.receivers.refusal import Refusal
from fluoro_collector.receivers.take import Decode, Taker
from fluoro_collector.receivers.unpack import ENCODINGS

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
MAX_REJECTIONS = 100  # listed in a native reply; `rejected_count` has them all

_DECODERS: dict[str, Decode] = {PROTOBUF: otlp.decode_protobuf, JSON: otlp.decode_json}

# Pages on this machine may send spans; nothing else is opened to browsers.
_CORS = Middleware(
    CORSMiddleware,
    allow_origin_regex=LOCAL_ORIGIN,
    allow_methods=["POST"],
    allow_headers=["content-type", "content-encoding"],
    max_age=3600,
)


def routes(taker: Taker) -> list[BaseRoute]:
    async def traces(request: Request) -> Response:
        if request.method == "OPTIONS":  # not a browser's preflight: those the CORS middleware has answered
            return Response(status_code=405, headers={"Allow": "POST"})
        media = _media_type(request)
        try:
            decode = _DECODERS.get(media)
            if decode is None:
                raise taker.refuse("http-otlp", _wrong_type(f"{PROTOBUF} or {JSON}"))
            receipt = await _take(taker, "http-otlp", request, decode)
        except Refusal as refusal:
            return _otlp_error(media, refusal)
        success = status.success_protobuf if media == PROTOBUF else status.success_json
        return Response(success(receipt.rejections), media_type=media)

    async def segments(request: Request) -> Response:
        try:
            if _media_type(request) != NATIVE:
                raise taker.refuse("http-native", _wrong_type(NATIVE))
            receipt = await _take(taker, "http-native", request, native.decode)
        except Refusal as refusal:
            return error_response(refusal)
        return Response(reply(receipt), media_type=JSON)

    return [
        Route("/v1/traces", traces, methods=["POST", "OPTIONS"], middleware=[_CORS]),
        Route("/v1/segments", segments, methods=["POST"]),
    ]


def error_response(refusal: Refusal) -> Response:
    """`refusal` in the collector's own JSON form: {"error": {"code", "message"}}."""
    body = msgspec.json.encode({"error": {"code": refusal.reason, "message": refusal.message}})
    return Response(body, refusal.status, refusal.headers, JSON)


def reply(receipt: Receipt) -> bytes:
    """JSON {"stored", "rejected_count", "rejected": [{"code", "message", "id"}]}, at most MAX_REJECTIONS of them."""
    listed = [rejection._asdict() for rejection in receipt.rejections[:MAX_REJECTIONS]]
    return msgspec.json.encode(
        {"stored": receipt.stored, "rejected_count": len(receipt.rejections), "rejected": listed}
    )


async def _take(taker: Taker, door: str, request: Request, decode: Decode) -> Receipt:
    encoding = request.headers.get("content-encoding", "").strip().lower()
    try:
        body = await request.body()
    except Refusal as refusal:
        raise taker.refuse(door, refusal) from None
    except ClientDisconnect:
        # Nobody reads the answer; the ledger is told that a body was cut off.
        raise taker.refuse(door, Refusal("Undecodable", "the connection ended before the body did")) from None
    return await taker.take(door, body, decode, encoding)


def _media_type(request: Request) -> str:
    """The Content-Type without its parameters (charset), in lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _wrong_type(wanted: str) -> Refusal:
    return Refusal("UnsupportedMediaType", f"send Content-Type: {wanted}")


def _otlp_error(media: str, refusal: Refusal) -> Response:
    """`google.rpc.Status` in the request's encoding; JSON for one that has neither."""
    headers = refusal.headers
    if refusal.reason == "UnsupportedEncoding":
        headers["Accept-Encoding"] = ", ".join(ENCODINGS)
    if media == PROTOBUF:
        return Response(status.status_protobuf(refusal), refusal.status, headers, PROTOBUF)
    return Response(status.status_json(refusal), refusal.status, headers, JSON)
