"""Celery ≥ 5.2, the sending side: one PRODUCER span per message, `Celery.send_task`, through which `delay`,
`apply_async`, chains, groups, chords, retries and beat all go.

It is named after the routing key, which is the queue's name unless the application says otherwise; its operation is
"send <task>". The trace headers travel among the message's headers, where OpenTelemetry's instrumentation of Celery puts
and finds them too. The receiving side is `fluoro.instrument.celery_worker`.

Gap: messages of protocol 1 (`task_protocol = 1`) carry no headers.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from fluoro.instrument import _http, _patch
from fluoro.model import Kind
from fluoro.recorder import Span, recorder

MAX_NAME = 200


def patch(module: ModuleType) -> None:
    _patch.wrap(module.Celery, "send_task", _send_task)


def _send_task(original: Callable[..., Any], app: Any, name: str, *args: Any, **options: Any) -> Any:
    begun = _begin(app, name, options)
    if begun is None:
        return original(app, name, *args, **options)
    span, options = begun
    try:
        sent = original(app, name, *args, **options)
    except BaseException as error:
        _end(span, error)
        raise
    _end(span, None)
    return sent


@_patch.guarded
def _begin(app: Any, name: str, options: dict[str, Any]) -> tuple[Span, dict[str, Any]]:
    span = recorder.begin(_destination(app, options), f"send {name}"[:MAX_NAME], Kind.PRODUCER, "remote")
    if span.recording:
        span.segment.annotations = {"messaging.system": "celery"}
    headers = {**(options.get("headers") or {}), **_http.outgoing_headers(span)}
    return span, {**options, "headers": headers}


def _destination(app: Any, options: dict[str, Any]) -> str:
    """Where the message is meant to go, until `fluoro.instrument.kombu` sees where it goes."""
    queue = options.get("queue")
    found = getattr(queue, "name", queue) or options.get("routing_key") or app.conf.task_default_queue
    return str(found)[:MAX_NAME]


@_patch.guarded
def _end(span: Span, error: BaseException | None) -> None:
    if isinstance(error, Exception):
        span.fail(error)
    span.end()
