"""`XRayMiddleware(app, xray_recorder)`: Flask by fluoro's instrumentation, switched on if it is not."""

from __future__ import annotations

from typing import Any

import flask.templating

from fluoro.compat.aws_xray_sdk.core.patcher import enable
from fluoro.compat.aws_xray_sdk.ext._answer import tell_trace
from fluoro.compat.aws_xray_sdk.ext._templates import record_rendering


class XRayMiddleware:
    """One segment a request, a subsegment a rendered template, and the trace in the response's headers."""

    def __init__(self, app: Any, recorder: Any) -> None:
        self.app = app
        self._recorder = recorder
        enable(["flask"])
        record_rendering(flask.templating, "_render", _name)
        app.after_request(_answer)


def _name(_app: Any, template: Any, *_: Any) -> object:
    return template.name


def _answer(response: Any) -> Any:
    tell_trace(response.headers)
    return response
