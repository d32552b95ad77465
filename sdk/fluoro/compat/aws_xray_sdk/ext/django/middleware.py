"""In MIDDLEWARE: Django by fluoro's instrumentation, switched on if it is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fluoro.compat.aws_xray_sdk.core import xray_recorder
from fluoro.compat.aws_xray_sdk.core.models import http
from fluoro.compat.aws_xray_sdk.core.patcher import enable
from fluoro.compat.aws_xray_sdk.ext._answer import tell_trace
from fluoro.compat.aws_xray_sdk.ext.django.conf import settings
from fluoro.recorder import recorder


class XRayMiddleware:
    """One segment a request, the trace in the response's headers, and with URLS_AS_ANNOTATION "ALL" what `http` has as
    annotations too.
    """

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response
        enable(["django"])

    def __call__(self, request: Any) -> Any:
        response = self.get_response(request)
        tell_trace(response)
        if settings.URLS_AS_ANNOTATION == "ALL" and recorder.current() is not None:
            segment = xray_recorder.current_segment()
            if segment is not None:
                for key, value in segment.http.get("request", {}).items():
                    segment.put_annotation(key, value)
                segment.put_annotation(http.STATUS, response.status_code)
        return response
