"""kombu under Celery: says where a message goes, and keeps the broker's own Redis commands out of the traces.

Celery decides on the routing key just before it publishes, so the PRODUCER span gets its name here. A Redis broker is
polled, acknowledged and cleaned up by commands that no request asked for; the clients that do it are not traced.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from fluoro.instrument import _patch
from fluoro.instrument.redis import UNTRACED
from fluoro.model import Kind
from fluoro.recorder import recorder

_DESTINATION = "messaging.destination.name"


def patch(module: ModuleType) -> None:
    if module.__name__ == "kombu.messaging":
        _patch.around(module.Producer, "publish", _publishing, _nothing)
    else:
        for owner in (module.Channel, module.SentinelChannel):
            _patch.around(owner, "_get_pool", _connecting, _pooled)


def _publishing(_producer: Any, _body: Any, routing_key: Any = None, *_: Any, **__: Any) -> None:
    span = recorder.current()
    if span is None or not span.recording or span.segment.kind is not Kind.PRODUCER or not routing_key:
        return
    annotations = span.segment.annotations or {}
    # Celery may publish an event "task-sent" after the message, under the same span.
    if annotations.get("messaging.system") == "celery" and _DESTINATION not in annotations:
        span.segment.name = str(routing_key)[:200]
        span.annotate(_DESTINATION, span.segment.name)


def _nothing(_state: object, _result: object, _error: object) -> None:
    """`_publishing` leaves nothing to do afterwards."""


def _connecting(*_: Any, **__: Any) -> bool:
    return True


def _pooled(_state: bool, pool: Any, _error: BaseException | None) -> None:
    if pool is not None:
        setattr(pool, UNTRACED, True)
