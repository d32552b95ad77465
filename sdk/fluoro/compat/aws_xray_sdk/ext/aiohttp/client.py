"""`ClientSession(trace_configs=[aws_xray_trace_config()])`: the requests of one session, where aiohttp is not patched."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import aiohttp

from fluoro import instrument
from fluoro.compat.aws_xray_sdk.core import xray_recorder
from fluoro.compat.aws_xray_sdk.core.models import http
from fluoro.compat.aws_xray_sdk.ext.util import inject_trace_header
from fluoro.instrument import _http

REMOTE_NAMESPACE = "remote"


def aws_xray_trace_config(name: str | None = None) -> aiohttp.TraceConfig:
    """Each request a subsegment, called `name` or as the host. It records nothing that fluoro's instrumentation does."""

    class Call(SimpleNamespace):
        """One request; aiohttp makes it."""

        def __init__(self, trace_request_ctx: Any) -> None:
            super().__init__(name=name, trace_request_ctx=trace_request_ctx, subsegment=None)

    config = aiohttp.TraceConfig(trace_config_ctx_factory=Call)
    config.on_request_start.append(_begin)
    config.on_request_end.append(_end)
    config.on_request_exception.append(_failed)
    return config


async def _begin(_session: Any, call: Any, params: Any) -> None:
    if instrument.register.get("aiohttp") == "patched":
        return
    subsegment = xray_recorder.begin_subsegment(call.name or _http.target(str(params.url))[0], REMOTE_NAMESPACE)
    if subsegment is not None:
        subsegment.put_http_meta(http.METHOD, params.method)
        subsegment.put_http_meta(http.URL, str(params.url))
        inject_trace_header(params.headers, subsegment)
        call.subsegment = subsegment


async def _end(_session: Any, call: Any, params: Any) -> None:
    if call.subsegment is not None:
        call.subsegment.put_http_meta(http.STATUS, params.response.status)
        call.subsegment.close()


async def _failed(_session: Any, call: Any, params: Any) -> None:
    if call.subsegment is not None:
        call.subsegment.add_exception(params.exception, None)
        call.subsegment.close()
