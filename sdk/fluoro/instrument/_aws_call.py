"""One call of an AWS client, around `_make_api_call` of whichever library: what is done before and after it.

The caller keeps to `begin` → its own call with `call.parameters` → `answered` or `failed`. Every HTTP request that is
made in between, retries included, carries `X-Amzn-Trace-Id`, put in place of what botocore itself sets in Lambda; it is
the only header that AWS hands on. It also tells the instrumentation of the HTTP client below that the request is a hop
of this call.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from botocore.endpoint import Endpoint

from fluoro.context import current_node
from fluoro.instrument import _aws, _aws_carriers, _http, _patch, _sqs
from fluoro.propagation import XRAY
from fluoro.recorder import Span, recorder, unrecorded


class Call(NamedTuple):
    span: Span
    service: str
    operation: str
    region: str
    parameters: Any  # to call with


@_patch.guarded
def begin(client: Any, operation: str, parameters: Any) -> Call:
    """`client` is botocore's or one derived from it, `operation` the API's name ("SendMessage")."""
    model = client.meta.service_model
    service, region = model.service_name, client.meta.region_name or ""
    span = _aws.call_span(service, str(model.service_id), operation, region, parameters)
    return Call(span, service, operation, region, _prepared(span, service, operation, parameters, model) or parameters)


@_patch.guarded
def _prepared(span: Span, service: str, operation: str, parameters: Any, model: Any) -> Any:
    if service == "sqs":
        return _sqs.prepare(span, operation, parameters, model.operation_model(operation).input_shape.members)
    return _aws_carriers.prepare(span, service, operation, parameters)


def answered(call: Call, response: Any) -> None:
    _record(call, response)
    call.span.end()
    if call.service == "sqs":
        _sqs.ended(call.operation, call.parameters)


@_patch.guarded
def _record(call: Call, response: Any) -> None:
    _aws.record_response(call.span, call.service, call.operation, response)
    if call.service == "sqs":
        _sqs.answered(call.span, call.operation, call.parameters, response, call.region)


def failed(call: Call, error: BaseException, response: Any = None) -> None:
    """`response` is what was answered, in botocore's form, if `error` does not hold it."""
    _record_error(call, error, response)
    call.span.end()


@_patch.guarded
def _record_error(call: Call, error: BaseException, response: Any) -> None:
    _aws.record_error(call.span, error, response if response is not None else getattr(error, "response", None))


def patch_requests() -> None:
    """Put the header on every request; several libraries ask for it."""
    _patch.around(Endpoint, "prepare_request", _set_header, _nothing)


def _set_header(_endpoint: object, request: Any, **_: Any) -> None:
    span = recorder.current()
    if span is not None:
        # These headers add to what is there instead of replacing it.
        del request.headers[XRAY]
        request.headers[XRAY] = _http.xray_header(span)
        _aws.count_attempt(span)


def patch_metadata(instance: type, container: type) -> None:
    """Record nothing of how credentials are fetched from the machine (EC2's and ECS's addresses 169.254.…): it happens
    in no one's request, and where there is no such address it is a failed call at every start.
    """
    for owner, name in (
        (instance, "_get_request"), (instance, "_fetch_metadata_token"), (container, "_get_response"),
    ):  # fmt: skip
        _patch.around(owner, name, _be_quiet, _be_loud)


def _be_quiet(*_: Any, **__: Any) -> tuple[Any]:
    before = current_node.get()
    current_node.set(unrecorded())
    return (before,)


def _be_loud(before: tuple[Any], _result: object, _error: object) -> None:
    current_node.set(before[0])


def _nothing(_state: object, _result: object, _error: object) -> None:
    """`_set_header` leaves nothing to do afterwards."""
