"""Rendering a template as a subsegment, which fluoro's own instrumentations do not record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fluoro.compat.aws_xray_sdk.core.models.entity import clean
from fluoro.instrument import _patch
from fluoro.recorder import Span, recorder


def record_rendering(owner: Any, attribute: str, name_of: Callable[..., object]) -> None:
    """Each call of `owner.attribute` within a trace is a subsegment; `name_of` its arguments says the template."""

    def before(*args: Any, **kwargs: Any) -> Span | None:
        if recorder.current() is None:
            return None
        return recorder.begin(clean(str(name_of(*args, **kwargs) or "template_render")))

    _patch.around(owner, attribute, before, _after)


def _after(span: Span, _result: object, error: BaseException | None) -> None:
    if isinstance(error, Exception):
        span.fail(error)
    span.end()
