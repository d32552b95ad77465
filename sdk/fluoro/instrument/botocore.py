"""botocore ≥ 1.29, and so boto3: one span per API call, around `BaseClient._make_api_call` with all its retries.

Every request carries `X-Amzn-Trace-Id`, put in place of what botocore itself sets in Lambda; it is the only header that
AWS hands on. SQS messages carry it as a system attribute too, and each message received is a segment (`_messaging`).
A poll that brings no message, or that is made outside any other span, is not recorded unless it fails.

Gaps: the time spent reading a streamed body (S3 `get_object`) is not in the span; presigned URLs are not traced; messages
received through boto3's resources (`queue.receive_messages()`) get no segments, those of a client do; aiobotocore has
calls of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

from botocore.endpoint import Endpoint

from fluoro.instrument import _aws, _http, _patch, _sqs
from fluoro.propagation import XRAY
from fluoro.recorder import Span, recorder


class _Call(NamedTuple):
    span: Span
    service: str
    operation: str
    region: str
    parameters: Any


def patch(module: ModuleType) -> None:
    _patch.wrap(module.BaseClient, "_make_api_call", _make_api_call)
    _patch.around(Endpoint, "prepare_request", _set_header, _nothing)


def _make_api_call(original: Callable[..., Any], client: Any, operation_name: str, api_params: Any) -> Any:
    call = _begin(client, operation_name, api_params)
    if call is None:
        return original(client, operation_name, api_params)
    try:
        response = original(client, operation_name, call.parameters)
    except BaseException as error:
        _failed(call, error)
        raise
    _answered(call, response)
    return response


@_patch.guarded
def _begin(client: Any, operation: str, parameters: Any) -> _Call:
    model = client.meta.service_model
    service, region = model.service_name, client.meta.region_name or ""
    span = _aws.call_span(service, str(model.service_id), operation, region, parameters)
    if service == "sqs":
        parameters = _prepared(span, operation, parameters, model) or parameters
    return _Call(span, service, operation, region, parameters)


@_patch.guarded
def _prepared(span: Span, operation: str, parameters: Any, model: Any) -> Any:
    return _sqs.prepare(span, operation, parameters, model.operation_model(operation).input_shape.members)


def _answered(call: _Call, response: Any) -> None:
    _record(call, response)
    call.span.end()
    if call.service == "sqs":
        _sqs.ended(call.operation, call.parameters)


@_patch.guarded
def _record(call: _Call, response: Any) -> None:
    _aws.record_response(call.span, call.service, call.operation, response)
    if call.service == "sqs":
        _sqs.answered(call.span, call.operation, call.parameters, response, call.region)


def _failed(call: _Call, error: BaseException) -> None:
    _record_error(call, error)
    call.span.end()


@_patch.guarded
def _record_error(call: _Call, error: BaseException) -> None:
    _aws.record_error(call.span, error)


def _set_header(_endpoint: object, request: Any, **_: Any) -> None:
    span = recorder.current()
    if span is not None:
        # These headers add to what is there instead of replacing it.
        del request.headers[XRAY]
        request.headers[XRAY] = _http.xray_header(span)


def _nothing(_state: object, _result: object, _error: object) -> None:
    """`_set_header` leaves nothing to do afterwards."""
