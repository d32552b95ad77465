"""X-Ray's wire conventions: error envelope, operations by path, reading input members."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from starlette.responses import Response

from fluoro.errors import WireError
from fluoro_collector.decode.limits import check_json

JSON = "application/json"
MAX_DOCUMENTS = 10_000  # in one PutTraceSegments; SDKs and the daemon send at most 50


class _Put(msgspec.Struct):
    """Input of PutTraceSegments."""

    TraceSegmentDocuments: Annotated[list[str], msgspec.Meta(max_length=MAX_DOCUMENTS)]


_put = msgspec.json.Decoder(_Put).decode


class XRayError(Exception):
    """`code` is the exception's name in the service model (InvalidRequestException, ThrottledException, …).

    `more` are further members that the model gives it.
    """

    def __init__(
        self,
        code: str,
        message: str,
        status: int = 400,
        headers: Mapping[str, str] | None = None,
        *,
        more: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.headers = dict(headers or {})
        self.more = dict(more or {})


def invalid(message: str) -> XRayError:
    return XRayError("InvalidRequestException", message)


def error_response(error: XRayError) -> Response:
    body = msgspec.json.encode({"__type": error.code, "message": error.message, **error.more})
    return Response(body, error.status, {**error.headers, "x-amzn-ErrorType": error.code}, JSON)


def body_object(data: bytes) -> dict[str, Any]:
    """The request's JSON object; nothing at all is an empty one. Raises XRayError."""
    try:
        body = msgspec.json.decode(data) if data.strip() else {}
    except (ValueError, RecursionError):
        raise XRayError("SerializationException", "the body is not JSON") from None
    if not isinstance(body, dict):
        raise XRayError("SerializationException", "the body is not a JSON object")
    return body


def segment_documents(data: bytes) -> list[str]:
    """The documents of a PutTraceSegments, without making objects of anything else. Raises XRayError."""
    try:
        check_json(data)
        return _put(data or b"{}").TraceSegmentDocuments
    except msgspec.ValidationError:
        raise invalid(f"TraceSegmentDocuments must be a list of strings, at most {MAX_DOCUMENTS}") from None
    except WireError as error:
        raise invalid(str(error)) from None
    except (ValueError, RecursionError):
        raise XRayError("SerializationException", "the body is not JSON") from None


def moment(body: dict[str, Any], name: str, latest: float) -> float:
    """A required time, epoch seconds."""
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= latest:
        raise invalid(f"{name} must be a time in epoch seconds")
    return float(value)


def window(body: dict[str, Any], longest: float, latest: float) -> tuple[float, float]:
    """StartTime and EndTime. `longest` is the greatest range in seconds."""
    start, end = moment(body, "StartTime", latest), moment(body, "EndTime", latest)
    if end <= start:
        raise invalid("EndTime must be later than StartTime")
    if end - start > longest:
        raise invalid(f"Time range cannot be longer than {longest / 3600:g} hours")
    return start, end


def at_most(text: str, longest: int, name: str) -> None:
    """For a limit of ours where the service model has none."""
    if len(text) > longest:
        raise invalid(f"{name} has {len(text)} characters; at most {longest} are allowed")


def no_token(body: dict[str, Any]) -> None:
    """For an operation that answers everything on one page."""
    if body.get("NextToken"):
        raise invalid("NextToken was not given out by this operation")
