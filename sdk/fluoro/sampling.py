"""Which traces are recorded, when nobody upstream has decided: a plain function `(trace id, operation) → bool`.

The default, everything, is the recorder's None and costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable

_SPACE = 1 << 56  # W3C promises randomness only in the last seven bytes of a trace id


def ratio(rate: float) -> Callable[[bytes, str], bool] | None:
    """Record the share `rate` (0 to 1) of traces. Decided by the trace id alone, so services with the same rate agree
    on a trace even where a hop between them lost the decision. None for 1: record everything.
    """
    if rate >= 1:
        return None
    limit = int(rate * _SPACE)

    def decide(trace_id: bytes, operation: str) -> bool:  # noqa: ARG001  the signature of every sampler
        return int.from_bytes(trace_id[9:], "big") < limit

    return decide
