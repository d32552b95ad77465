"""aiobotocore ≥ 2.5, and so aioboto3: as botocore, whose models and rules it shares; see there.

Gap: messages received through aioboto3's resources (`await queue.receive_messages()`) get no segments, a client's do.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from aiobotocore.utils import AioContainerMetadataFetcher, AioIMDSFetcher

from fluoro.instrument import _aws_call, _patch


def patch(module: ModuleType) -> None:
    _patch.wrap(module.AioBaseClient, "_make_api_call", _make_api_call)
    _aws_call.patch_requests()
    _aws_call.patch_metadata(AioIMDSFetcher, AioContainerMetadataFetcher)


async def _make_api_call(original: Callable[..., Any], client: Any, operation_name: str, api_params: Any) -> Any:
    call = _aws_call.begin(client, operation_name, api_params)
    if call is None:
        return await original(client, operation_name, api_params)
    try:
        response = await original(client, operation_name, call.parameters)
    except BaseException as error:
        _aws_call.failed(call, error)
        raise
    _aws_call.answered(call, response)
    return response
