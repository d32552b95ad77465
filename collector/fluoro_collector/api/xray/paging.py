"""Pages of lists that are put in order by a key: a token is the last key given out, so what comes or goes moves nothing."""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from .request import invalid
from .shared import Body

T = TypeVar("T")


def page(items: Sequence[T], key: Callable[[T], str], body: Body, size: int) -> tuple[Sequence[T], dict[str, Any]]:
    """The part of `items` (ascending by `key`, keys unique) that `body` asks for, and the member NextToken if more follow."""
    token = body.get("NextToken", "")
    first = bisect_right([key(item) for item in items], _read(token)) if token else 0
    part = items[first : first + size]
    more = first + size < len(items)
    return part, {"NextToken": _write(key(part[-1]))} if more else {}


def _write(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode()


def _read(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise invalid("NextToken was not given out by this operation") from None
