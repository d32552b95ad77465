"""boto3's resources: `queue.receive_messages()` gives messages that are segments while they are worked on.

The calls that resources make are botocore's and recorded there. A resource builds its own list of messages from the
response; that list is given the same watch as a client's (`_messaging`).
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from fluoro.instrument import _messaging, _patch, _sqs


def patch(module: ModuleType) -> None:
    _patch.wrap(module.ServiceAction, "__call__", _call)


def _call(original: Callable[..., Any], action: Any, parent: Any, *args: Any, **kwargs: Any) -> Any:
    result = original(action, parent, *args, **kwargs)
    if type(result) is list and result and parent.meta.service_name == "sqs":
        return _watched(parent, result) or result
    return result


@_patch.guarded
def _watched(queue: Any, messages: list[Any]) -> Any:
    if not all(hasattr(message, "receipt_handle") for message in messages):
        return messages
    region = queue.meta.client.meta.region_name or ""
    return _messaging.Messages(
        messages,
        queue.url,
        lambda taken: _sqs.begin([{**message.meta.data} for message in taken], queue.url, region),
    )
