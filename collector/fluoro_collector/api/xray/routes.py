"""The X-Ray API over HTTP: PutTraceSegments and the operations of `operations`, unsigned or signed alike."""

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

from fluoro_collector.api.readers import MAX_SECONDS, Readers, TimedEngine, is_timeout
from fluoro_collector.decode import xray as documents
from fluoro_collector.decode.decoded import Decoded, Rejection
from fluoro_collector.ingest import Overloaded, what
from fluoro_collector.query.groups import Groups
from fluoro_collector.receivers.refusal import Refusal
from fluoro_collector.receivers.take import Taker
from fluoro_collector.receivers.unpack import too_large, unpack
from fluoro_collector.state import State
from fluoro_collector.store.engine import StoreBusy, StoreError

from .inputs import INPUTS, path
from .operations import OPERATIONS
from .request import JSON, XRayError, body_object, error_response, invalid, segment_documents
from .shapes import check
from .shared import Operation, Shared

log = logging.getLogger(__name__)

DOOR = "xray-http"
MAX_QUESTION_BYTES = 1 << 20
LONGEST_GRAPH_S = 6 * 3600.0  # X-Ray's own limit
LONGEST_SEARCH_S = 24 * 3600.0
# What every SDK asks every 10 s, and is answered from memory: it must not wait behind what people ask.
_SAMPLING = frozenset({"GetSamplingRules", "GetSamplingTargets"})

Handler = Callable[[Request], Awaitable[Response]]


def routes(
    state: State,
    taker: Taker,
    readers: Readers,
    *,
    longest_graph: float = LONGEST_GRAPH_S,
    longest_search: float = LONGEST_SEARCH_S,
) -> list[BaseRoute]:
    """Call it on the running loop. `longest_graph` and `longest_search`: greatest time range of a question, in seconds."""
    engine = TimedEngine(state.store.engine)
    loop = asyncio.get_running_loop()
    apart = Readers()
    shared = Shared(
        engine=engine,
        dirty=state.rollup.dirty,
        configuration=state.configuration,
        groups=Groups(state.configuration),
        sampling=state.sampling,
        daemons_reported=lambda segments, errors: loop.call_soon_threadsafe(
            state.counters.daemons_reported, segments, errors
        ),
        longest_graph=longest_graph,
        longest_search=longest_search,
        now=time.time,
    )

    async def put_trace_segments(request: Request) -> Response:
        return Response(msgspec.json.encode(await _put(state, taker, request)), media_type=JSON)

    def reader(name: str, operation: Operation) -> Handler:
        pool = apart if name in _SAMPLING else readers

        def answer(data: bytes) -> bytes:
            return msgspec.json.encode(operation(shared, check(body_object(data), INPUTS[name])))

        async def read(request: Request) -> Response:
            data = await _short_body(request)
            # Decoded and encoded in the thread too: what is large must not hold up the loop.
            return Response(await pool.run(request, lambda: answer(data)), media_type=JSON)

        return read

    handlers = {path(name): reader(name, operation) for name, operation in OPERATIONS.items()}
    handlers[path("PutTraceSegments")] = put_trace_segments
    return [Route(where, _guarded(handler), methods=["POST"]) for where, handler in handlers.items()]


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
