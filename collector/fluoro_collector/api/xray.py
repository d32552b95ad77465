"""The X-Ray API over HTTP: POST /TraceSegments and the operations of `xray_operations`, unsigned or signed alike."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from fluoro_collector.decode import xray as documents
from fluoro_collector.decode.decoded import Decoded, Rejection
from fluoro_collector.ingest import Overloaded
from fluoro_collector.receivers.refusal import Refusal
from fluoro_collector.receivers.unpack import unpack
from fluoro_collector.state import State
from fluoro_collector.store.engine import StoreBusy, StoreError

from .xray_operations import Operation, Operations
from .xray_request import JSON, XRayError, body_object, error_response, texts

log = logging.getLogger(__name__)

DOOR = "xray-http"
MAX_DOCUMENTS = 10_000  # in one PutTraceSegments; SDKs and the daemon send at most 50
LONGEST_GRAPH_S = 6 * 3600.0  # X-Ray's own limit
LONGEST_SEARCH_S = 24 * 3600.0
INLINE_BYTES = 16 * 1024  # documents that are decoded on the event loop; more are decoded in a thread

Handler = Callable[[Request], Awaitable[Response]]


def routes(
    state: State, *, longest_graph: float = LONGEST_GRAPH_S, longest_search: float = LONGEST_SEARCH_S
) -> list[BaseRoute]:
    """`longest_graph` and `longest_search`: greatest time range of a question, in seconds."""
    operations = Operations(state.store.engine, state.rollup.dirty, longest_graph, longest_search, time.time)

    async def put_trace_segments(request: Request) -> Response:
        return Response(msgspec.json.encode(await _put(state, request)), media_type=JSON)

    def reader(operation: Operation) -> Handler:
        async def read(request: Request) -> Response:
            body = body_object(await request.body())
            # Encoded in the thread too: a large answer must not hold up the loop.
            data = await asyncio.to_thread(lambda: msgspec.json.encode(operation(body)))
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
    "/InsightSummaries",
    "/ListResourcePolicies",
    "/ListRetrievedTraces",
    "/ListTagsForResource",
    "/PutEncryptionConfig",
    "/PutResourcePolicy",
    "/SamplingStatisticSummaries",
    "/StartTraceRetrieval",
    "/TagResource",
    "/TimeSeriesServiceStatistics",
    "/UntagResource",
    "/UpdateGroup",
    "/UpdateIndexingRule",
    "/UpdateSamplingRule",
    "/UpdateTraceSegmentDestination",
)


async def _put(state: State, request: Request) -> dict[str, Any]:
    """Returns when the segments are durable. A refused document never affects the others."""
    try:
        data = await request.body()
        encoding = request.headers.get("content-encoding", "").strip().lower()
        if encoding not in ("", "identity"):
            data = await asyncio.to_thread(unpack, data, encoding, state.settings.max_request_bytes)
        listed = texts(body_object(data), "TraceSegmentDocuments", MAX_DOCUMENTS)
    except (XRayError, Refusal, ClientDisconnect) as refused:
        state.counters.door(DOOR).refuse_undecoded(getattr(refused, "reason", "Undecodable"))
        raise
    decoded: Decoded = (
        documents.decode(listed) if len(data) <= INLINE_BYTES else await asyncio.to_thread(documents.decode, listed)
    )
    receipt = await state.ingest.accept(DOOR, decoded, len(data))
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
        except StoreBusy:
            log.warning("%s: the store is busy", request.url.path, exc_info=True)
            return error_response(XRayError("ThrottledException", "the store cannot answer now", 429))
        except StoreError:
            log.exception("%s: the store failed", request.url.path)
            return error_response(XRayError("InternalFailure", "the store could not answer", 500))

    return guard
