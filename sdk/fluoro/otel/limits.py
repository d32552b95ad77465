"""How much one span may hold: OpenTelemetry's variables, with the defaults of its specification.

The more specific name wins. What goes beyond a count is left out, the newest first, and counted in the segment's metadata
(`otel`: `dropped_attributes_count`, …), as the collector writes it for spans that arrive by OTLP.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

_COUNT = 128


class Limits(NamedTuple):
    """Counts for one span; `event_attributes` and `link_attributes` for one of these. `length` is the longest string
    that is kept whole (in sequences too); 0 means that there is no such limit.
    """

    attributes: int = _COUNT
    events: int = _COUNT
    links: int = _COUNT
    event_attributes: int = _COUNT
    link_attributes: int = _COUNT
    length: int = 0

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Limits:
        """Values that are no number count as not set: these variables belong to another tool."""
        env = os.environ if environ is None else environ

        def read(default: int, *names: str) -> int:
            for name in names:
                text = env.get(name, "").strip()
                if text.isascii() and text.isdigit() and len(text) < 10:
                    return int(text)
            return default

        return cls(
            read(_COUNT, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"),
            read(_COUNT, "OTEL_SPAN_EVENT_COUNT_LIMIT"),
            read(_COUNT, "OTEL_SPAN_LINK_COUNT_LIMIT"),
            read(_COUNT, "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"),
            read(_COUNT, "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"),
            read(0, "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
        )


def cut(attributes: dict[str, Any], length: int) -> None:
    """Shorten the strings in `attributes` to `length` characters, in place."""
    for key, value in attributes.items():
        if value.__class__ is str:
            if len(value) > length:
                attributes[key] = value[:length]
        elif value.__class__ is list:
            attributes[key] = [item[:length] if item.__class__ is str else item for item in value]
