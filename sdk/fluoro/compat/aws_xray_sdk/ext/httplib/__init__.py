"""`add_ignored`: HTTP calls that are not to be recorded, whatever library makes them."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from fluoro.compat.aws_xray_sdk.core._choices import choices
from fluoro.compat.aws_xray_sdk.core.patcher import enable

__all__ = ["add_ignored", "patch", "reset_ignored"]

log = logging.getLogger(__name__)


def add_ignored(subclass: str | None = None, hostname: str | None = None, urls: Iterable[str] | None = None) -> None:
    """Calls to hosts that the pattern `hostname` fits, or to one of the paths `urls`, or both. The trace is passed on all
    the same. A rule of a connection's class alone cannot be followed.
    """
    if hostname is None and urls is None:
        log.warning("calls are ignored by host name or path, not by the class of a connection: %s", subclass)
        return
    choices.ignored.append((hostname or "*", tuple(urls or ())))
    choices.changed()


def reset_ignored() -> None:
    choices.ignored.clear()
    choices.changed()


def patch() -> None:
    enable(["http.client"])
