"""Operations on traces: GetTraceSummaries, BatchGetTraces. PutTraceSegments is in `routes`: it feeds the store."""

from __future__ import annotations

from hashlib import blake2b

from fluoro_collector.query.filter.errors import FilterError
from fluoro_collector.query.search.cursor import CursorError, Position, parse_cursor
from fluoro_collector.query.search.found_rows import found_rows
from fluoro_collector.query.search.search import SECOND, By, search
from fluoro_collector.query.search.trace_facts import trace_facts
from fluoro_collector.query.trace.root_cause import RootCauses, root_causes

from . import batch
from .request import at_most, invalid, window
from .shared import LATEST, MAX_EXPRESSION, Body, Operation, Shared
from .summary import trace_summary

MAX_TRACES = 5  # ids in one BatchGetTraces or GetTraceGraph, X-Ray's documented limit
PAGE = 100  # trace summaries in one answer
MOST_SCANNED = 1000  # matching traces looked at for a page of a sample
_BY: dict[str, By] = {"TraceId": "start", "Event": "active", "Service": "end"}


def get_trace_summaries(shared: Shared, body: Body) -> Body:
    """Newest first. TimeRangeType: a trace is in the range when it began there (TraceId), was active there at some moment
    (Event), or ended there (Service).

    With Sampling and a rate, only a part of the traces: always the same one, whatever the range and the filter, and the
    part of a smaller rate lies in that of a larger one. TracesProcessedCount counts what matched before that.
    """
    start, end = window(body, shared.longest_search, LATEST)
    by = body.get("TimeRangeType", "TraceId")
    token = body.get("NextToken", "")
    expression = body.get("FilterExpression", "")
    at_most(expression, MAX_EXPRESSION, "FilterExpression")
    rate = _rate(body)
    limit = min(round(PAGE / max(rate, PAGE / MOST_SCANNED)), MOST_SCANNED)
    try:
        cursor = parse_cursor(token) if token else None
        found, following = search(
            shared.engine,
            shared.dirty,
            start,
            end,
            expression,
            limit,
            cursor,
            by=_BY[by],
            groups=shared.groups,
        )
    except CursorError:
        raise invalid("NextToken was not given out by this operation") from None
    except FilterError as error:
        raise invalid(f"FilterExpression: {error}") from None
    taken = [position for position in found if _lot(position.trace_id) < rate]
    return {
        "TraceSummaries": _summaries(shared, taken, start if by == "Event" else None),
        "ApproximateTime": end,
        "TracesProcessedCount": len(found),
        **({"NextToken": str(following)} if following else {}),
    }


def _rate(body: Body) -> float:
    """The share of the traces that Sampling and SamplingStrategy ask for."""
    strategy = body.get("SamplingStrategy", {})
    rate = strategy.get("Value")
    if rate is None:
        if strategy.get("Name") == "FixedRate":
            raise invalid("SamplingStrategy.Value is required for FixedRate")
        rate = 1.0
    if not 0 <= rate <= 1:
        raise invalid("SamplingStrategy.Value must be between 0 and 1")
    return float(rate) if body.get("Sampling") else 1.0


def _lot(trace_id: bytes) -> float:
    """What the trace drew, in [0, 1)."""
    return int.from_bytes(blake2b(trace_id, digest_size=6).digest(), "big") / (1 << 48)


def _summaries(shared: Shared, found: list[Position], event_from: float | None) -> list[Body]:
    """The summaries of these traces. `event_from`: where the window of a search by event begins."""
    rows = found_rows(shared.engine, shared.dirty, found)
    if not rows:
        return []
    ids = [row["trace_id"] for row in rows]
    first, last = min(row["began"] for row in rows), max(row["began"] for row in rows) + 1
    facts = trace_facts(shared.engine, ids, first, last)
    causes = root_causes(shared.engine, ids, first, last)
    return [
        trace_summary(
            row,
            facts[row["trace_id"]],
            causes.get(row["trace_id"], RootCauses()),
            None if event_from is None else max(row["began"] / SECOND, event_from),
        )
        for row in rows
    ]


def batch_get_traces(shared: Shared, body: Body) -> Body:
    """Large traces go on over several pages."""
    return batch.batch_get_traces(shared, trace_ids(body), body.get("NextToken", ""))


def trace_ids(body: Body) -> list[str]:
    """TraceIds, at most MAX_TRACES."""
    names: list[str] = body["TraceIds"]
    if len(names) > MAX_TRACES:
        raise invalid(f"TraceIds has {len(names)} members; at most {MAX_TRACES} are allowed")
    return names


OPERATIONS: dict[str, Operation] = {
    "GetTraceSummaries": get_trace_summaries,
    "BatchGetTraces": batch_get_traces,
}
