"""A share of the traces, decided by the trace id alone."""

from __future__ import annotations

from fluoro.sampling.decision import LEAVE, RECORD, Decision, Sampler

_SPACE = 1 << 56  # W3C promises randomness only in the last seven bytes of a trace id


def ratio(rate: float) -> Sampler | None:
    """Record the share `rate` (0 to 1) of traces. Services with the same rate agree on a trace even where a hop between
    them lost the decision. None for 1: record everything.
    """
    if rate >= 1:
        return None
    limit = int(rate * _SPACE)

    def decide(trace_id: bytes, service: str, operation: str, method: str, url: str) -> Decision:  # noqa: ARG001
        return RECORD if int.from_bytes(trace_id[9:], "big") < limit else LEAVE

    return decide
