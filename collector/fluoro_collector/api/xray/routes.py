"""The X-Ray API over HTTP: POST /TraceSegments and the operations of `operations`, unsigned or signed alike."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from fluoro_collector.api.readers import MAX_SECONDS, Readers, TimedEngine, is_timeout
from fluoro_collector.decode import xray as documents
from fluoro_collector.decode.decoded import Decoded, Rejection
from fluoro_collector.ingest import Overloaded, what
from fluoro_collector.receivers.refusal import Refusal
from fluoro_collector.receivers.take import Taker
from fluoro_collector.receivers.unpack import too_large, unpack
from fluoro_collector.state import State
from fluoro_collector.store.engine import StoreBusy, StoreError

from .operations import Operation, Operations
from .request import JSON, XRayError, body_object, error_response, invalid, segment_documents

log = logging.getLogger(__name__)

DOOR = "xray-http"
MAX_QUESTION_BYTES = 1 << 20
LONGEST_GRAPH_S = 6 * 3600.0  # X-Ray's own limit
LONGEST_SEARCH_S = 24 * 3600.0

Handler = Callable[[Request], Awaitable[Response]]


def routes(
    state: State,
    taker: Taker,
    readers: Readers,
    *,
    longest_graph: float = LONGEST_GRAPH_S,
    longest_search: float = LONGEST_SEARCH_S,
) -> list[BaseRoute]:
    """`longest_graph` and `longest_search`: greatest time range of a question, in seconds."""
    engine = TimedEngine(state.store.engine)
    operations = Operations(engine, state.rollup.dirty, longest_graph, longest_search, time.time)

    async def put_trace_segments(request: Request) -> Response:
        return Response(msgspec.json.encode(await _put(state, taker, request)), media_type=JSON)

    def reader(operation: Operation) -> Handler:
        async def read(request: Request) -> Response:
            body = body_object(await _short_body(request))
            # Encoded in the thread too: a large answer must not hold up the loop.
            data = await readers.run(request, lambda: msgspec.json.encode(operation(body)))
            return Response(data, media_type=JSON)

        return read

    async def unknown(_: Request) -> Response:
        raise XRayError("UnknownOperationException", "this operation of the X-Ray API is not supported yet", 404)

    handlers: dict[str, Handler] = {"/TraceSegments": put_trace_segments}
    handlers |= {path: reader(operation) for path, operation in operations.by_path().items()}
    handlers |= dict.fromkeys(OTHER_PATHS, unknown)
    return [Route(path, _guarded(handler), methods=["POST"]) for path, handler in handlers.items()]


# Paths of the operations that are not answered yet, so that a client reads what is wrong.
OTHER_PATHS = (
    "/CancelTraceRetrieval",
    "/CreateGroup",
    "/CreateSamplingRule",
    "/DeleteGroup",
    "/DeleteResourcePolicy",
    "/DeleteSamplingRule",
    "/EncryptionConfig",
    "/GetGroup",
    "/GetIndexingRules",
    "/GetRetrievedTracesGraph",
    "/GetTraceSegmentDestination",
    "/Insight",
    "/InsightEvents",
    "/InsightImpactGraph",
    "/ListResourcePolicies",
    "/ListRetrievedTraces",
    "/ListTagsForResource",
    "/PutEncryptionConfig",
    "/PutResourcePolicy",
    "/SamplingStatisticSummaries",
    "/StartTraceRetrieval",
    "/TagResource",
    "/UntagResource",
    "/UpdateGroup",
    "/UpdateIndexingRule",
    "/UpdateSamplingRule",
    "/UpdateTraceSegmentDestination",
)


async def _short_body(request: Request) -> bytes:
    """The body of a question. Parsed JSON is up to 60 times larger than its text."""
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_QUESTION_BYTES:
            raise too_large(MAX_QUESTION_BYTES)
    return data


async def _put(state: State, taker: Taker, request: Request) -> dict[str, Any]:
    """Returns when the segments are durable. A refused document never affects the others."""
    encoding = request.headers.get("content-encoding", "").strip().lower()

    def read(data: bytes) -> tuple[Decoded, int]:
        data = unpack(data, encoding, taker.limit)
        return documents.decode(segment_documents(data)), len(data)

    try:
        data = await request.body()
        # What is packed may be anything once unpacked, so it never is on the loop.
        decoded, size = await taker.offload(len(data) if encoding in ("", "identity") else taker.limit, read, data)
    except (XRayError, Refusal, ClientDisconnect) as refused:
        state.counters.door(DOOR).refuse_undecoded(getattr(refused, "reason", "Undecodable"))
        raise
    receipt = await state.ingest.accept(DOOR, decoded, size)
    return {"UnprocessedTraceSegments": [_unprocessed(rejection) for rejection in receipt.rejections]}


def _unprocessed(rejection: Rejection) -> dict[str, Any]:
    return {"Id": rejection.id or None, "ErrorCode": rejection.code, "Message": rejection.message}


def _guarded(handler: Handler) -> Handler:
    """`handler` with its errors in X-Ray's envelope."""

    async def guard(request: Request) -> Response:
        try:
            return await handler(request)
        except XRayError as error:
            return error_response(error)
        except Overloaded as overloaded:
            later = {"Retry-After": str(math.ceil(overloaded.retry_after_s))}
            return error_response(XRayError("ThrottledException", str(overloaded), 429, later))
        except Refusal as refusal:
            # SDKs retry on ThrottledException and 5xx; what no retry can help stays a 4xx.
            busy = refusal.status == 503
            code = "ThrottledException" if busy else "InvalidRequestException"
            status = 429 if busy else refusal.status
            return error_response(XRayError(code, refusal.message, status, refusal.headers))
        except StoreBusy as busy:
            log.warning("%s: the store is busy: %s", request.scope["route"].path, what(busy))
            if is_timeout(busy):
                return error_response(invalid(f"the answer took over {MAX_SECONDS} s; ask for a shorter time range"))
            return error_response(XRayError("ThrottledException", "the store cannot answer now", 429))
        except StoreError as failure:
            log.error("%s: the store failed: %s", request.scope["route"].path, what(failure))  # noqa: TRY400 - see `what`
            return error_response(XRayError("InternalFailure", "the store could not answer", 500))

    return guard
