"""The trace header as an object. Reading it is `fluoro.propagation`'s; written is what the object holds."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)

ROOT = "Root"
PARENT = "Parent"
SAMPLE = "Sampled"
SELF = "Self"
HEADER_DELIMITER = ";"

_SAMPLED: dict[object, int | str] = {"?": "?", "1": 1, "0": 0, 1: 1, 0: 0}


class TraceHeader:
    """`sampled` is 0, 1, "?" (the caller asks) or None (the receiver decides); `data` holds the header's other items."""

    def __init__(
        self,
        root: str | None = None,
        parent: str | None = None,
        sampled: object = None,
        data: dict[str, str] | None = None,
    ) -> None:
        self._root = root
        self._parent = parent
        self._sampled = None if sampled is None else _SAMPLED.get(sampled)
        self._data = data

    @classmethod
    def from_header_str(cls, header: str | None) -> TraceHeader:
        """An empty one for a header that cannot be read."""
        found: dict[str, str] = {}
        for item in (header or "").strip().split(HEADER_DELIMITER) if header else ():
            key, separator, value = item.partition("=")
            if not separator:
                log.warning("malformed tracing header %s, ignore.", header)
                return cls()
            found[key.strip()] = value.strip()
        found.pop(SELF, None)
        if not header:
            return cls()
        return cls(found.pop(ROOT, None), found.pop(PARENT, None), found.pop(SAMPLE, None), found)

    def to_header_str(self) -> str:
        items = [(ROOT, self._root), (PARENT, self._parent), *(self._data or {}).items()]
        if self._sampled is not None:
            items.insert(2, (SAMPLE, str(self._sampled)))
        return HEADER_DELIMITER.join(f"{key}={value}" for key, value in items if value)

    @property
    def root(self) -> str | None:
        return self._root

    @property
    def parent(self) -> str | None:
        return self._parent

    @property
    def sampled(self) -> int | str | None:
        return self._sampled

    @property
    def data(self) -> dict[str, str] | None:
        return self._data
