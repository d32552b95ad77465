"""pynamodb ≥ 5.3.2, the first that works with a supported botocore: one span per call of DynamoDB.

Since version 6 its connection calls botocore's client, whose instrumentation sees that; version 5 builds and sends the
requests by itself and is traced here. There the request id is not to be had, and the status of an error is told by its
code.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from botocore.exceptions import ClientError

from fluoro.instrument import _aws_call, _patch

# DynamoDB answers 500 or 503 with these, 400 with all others.
_SERVER_ERRORS = {"InternalServerError": 500, "InternalFailure": 500, "ServiceUnavailable": 503}


def patch(module: ModuleType) -> None:
    if hasattr(module.Connection, "_create_prepared_request"):  # it makes requests without the client
        _patch.wrap(module.Connection, "_make_api_call", _make_api_call)
        _aws_call.patch_requests()


def _make_api_call(
    original: Callable[..., Any], connection: Any, operation_name: str, operation_kwargs: Any, *args: Any, **kwargs: Any
) -> Any:
    client = connection.client  # made on first use: what that raises, the call would raise too
    call = _aws_call.begin(client, operation_name, operation_kwargs)
    if call is None:
        return original(connection, operation_name, operation_kwargs, *args, **kwargs)
    try:
        response = original(connection, operation_name, operation_kwargs, *args, **kwargs)
    except ClientError as error:
        _failed(call, error)
        raise
    except BaseException as error:
        _aws_call.failed(call, error)
        raise
    answer = response if isinstance(response, dict) else {}
    _aws_call.answered(call, {**answer, "ResponseMetadata": {"HTTPStatusCode": 200}})
    return response


@_patch.guarded
def _failed(call: _aws_call.Call, error: ClientError) -> None:
    """Its errors have what botocore's have but the metadata."""
    code = error.response.get("Error", {}).get("Code", "")
    metadata = {"HTTPStatusCode": _SERVER_ERRORS.get(code, 400)}
    _aws_call.failed(call, error, {**error.response, "ResponseMetadata": metadata})
