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
    """`code` is the exception's name in the service model (InvalidRequestException, ThrottledException, …)."""

    def __init__(self, code: str, message: str, status: int = 400, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.headers = dict(headers or {})


def invalid(message: str) -> XRayError:
    return XRayError("InvalidRequestException", message)


def error_response(error: XRayError) -> Response:
    body = msgspec.json.encode({"__type": error.code, "message": error.message})
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


def text(body: dict[str, Any], name: str, longest: int) -> str:
    """An optional string, "" when absent or null."""
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > longest:
        raise invalid(f"{name} must be a string of at most {longest} characters")
    return value


def texts(body: dict[str, Any], name: str, most: int) -> list[str]:
    """A required list of strings with at most `most` members."""
    value = body.get(name)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise invalid(f"{name} must be a list of strings")
    if len(value) > most:
        raise invalid(f"{name} has {len(value)} members; at most {most} are allowed")
    return value


def no_token(body: dict[str, Any]) -> None:
    """For an operation that answers everything on one page."""
    if text(body, "NextToken", 2000):
        raise invalid("NextToken was not given out by this operation")
