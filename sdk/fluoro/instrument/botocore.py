"""botocore ≥ 1.29, and so boto3: one span per API call, around `BaseClient._make_api_call` with all its retries.

Paginators, waiters and boto3's resources make calls as well, each its span; a presigned URL is no call. pynamodb 6 goes
this way, and so do the parts of S3 transfers: their threads are boto3's own and take the span along through `futures`.
What is carried beside the header is in `_aws_carriers`. Each SQS message received is a segment (`_messaging`). A poll
that brings no message, or that is made outside any other span, is not recorded unless it fails; nor is how credentials
are fetched from the machine.

Gaps: the time spent reading a streamed body (S3 `get_object`) or an event stream is not in the span; S3 transfers through
the CRT (`awscrt`) or processes (`ProcessPoolDownloader`) do not pass through botocore and are not traced.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from botocore.utils import ContainerMetadataFetcher, IMDSFetcher

from fluoro.instrument import _aws_call, _patch


def patch(module: ModuleType) -> None:
    _patch.wrap(module.BaseClient, "_make_api_call", _make_api_call)
    _aws_call.patch_requests()
    _aws_call.patch_metadata(IMDSFetcher, ContainerMetadataFetcher)


def _make_api_call(original: Callable[..., Any], client: Any, operation_name: str, api_params: Any) -> Any:
    call = _aws_call.begin(client, operation_name, api_params)
    if call is None:
        return original(client, operation_name, api_params)
    try:
        response = original(client, operation_name, call.parameters)
    except BaseException as error:
        _aws_call.failed(call, error)
        raise
    _aws_call.answered(call, response)
    return response
