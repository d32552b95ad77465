"""X-Ray's dynamic naming: one process that answers for several hosts is several services on the map."""

from __future__ import annotations

from collections.abc import Callable

from fluoro.sampling.matching import matcher

MAX_NAMES = 200  # a stranger writes the Host header: later names are served under the service's own
_MAX_HOST = 200


def dynamic_naming(pattern: str) -> Callable[[str], str]:
    """Host header → the segment's name: the host in lower case, without its port, if it fits `pattern`; else ""."""
    fits = matcher(pattern)
    known: set[str] = set()

    def name(host: str) -> str:
        named, colon, port = host.rpartition(":")
        found = (named if colon and port.isdigit() else host).strip().lower()
        if found in known:
            return found
        if (
            not found
            or len(found) > _MAX_HOST
            or len(known) >= MAX_NAMES
            or not (found.isascii() and found.isprintable())
            or (fits is not None and not fits(found))
        ):
            return ""
        known.add(found)
        return found

    return name
