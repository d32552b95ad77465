"""`app.install(XRayMiddleware(xray_recorder))`: Bottle by fluoro's instrumentation, switched on if it is not."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from bottle import SimpleTemplate, response

from fluoro.compat.aws_xray_sdk.core.patcher import enable
from fluoro.compat.aws_xray_sdk.ext._answer import tell_trace
from fluoro.compat.aws_xray_sdk.ext._templates import record_rendering


class XRayMiddleware:
    """One segment a request, a subsegment a rendered template, and the trace in the response's headers."""

    name = "xray"
    api = 2

    def __init__(self, recorder: Any) -> None:
        self._recorder = recorder
        enable(["bottle"])
        record_rendering(SimpleTemplate, "render", _name)

    def apply(self, callback: Callable[..., Any], route: Any) -> Callable[..., Any]:  # noqa: ARG002
        @wraps(callback)
        def answering(*args: Any, **kwargs: Any) -> Any:
            tell_trace(response.headers)
            return callback(*args, **kwargs)

        return answering


def _name(template: Any, *_: Any, **__: Any) -> object:
    return template.filename
