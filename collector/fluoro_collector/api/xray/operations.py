"""The X-Ray operations that read: input members in, output members out. They block; `xray` runs them in threads."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fluoro_collector.query.filter.errors import FilterError
from fluoro_collector.query.filter.parse import parse
from fluoro_collector.query.filter.tree import Service
from fluoro_collector.query.graph_minutes import MINUTE, Dirty, graph_minutes
from fluoro_collector.query.ids import parse_trace_id
from fluoro_collector.query.service_graph import Graph, NodeKey, service_graph
from fluoro_collector.query.time_series import series
from fluoro_collector.query.trace import rows
from fluoro_collector.query.traces import SECOND, CursorError, parse_cursor, search, summary_facts, summary_rows
from fluoro_collector.store.engine import Engine
from fluoro_collector.store.resources import read as read_resources
from fluoro_collector.store.segments import Row

from .documents import trace_documents
from .graph import moment, services
from .request import invalid, no_token, text, texts, window
from .summary import trace_summary

Body = dict[str, Any]
Operation = Callable[[Body], Body]

MAX_TRACES = 5  # ids in one BatchGetTraces or GetTraceGraph, X-Ray's documented limit
PAGE = 100  # trace summaries in one answer
LONGEST_PERIOD = 3600  # seconds of one point of a time series
LATEST = float((1 << 32) - 7200)  # epoch seconds; minutes are stored as 32 bits
_TIME_RANGE_TYPES = ("", "TraceId", "Event", "Service")
_EVERYTHING: dict[str, Any] = {
    "RuleName": "Default",
    "RuleARN": "arn:aws:xray:local:000000000000:sampling-rule/Default",
    "ResourceARN": "*",
    "Priority": 10000,
    "FixedRate": 1.0,
    "ReservoirSize": 1,
    "ServiceName": "*",
    "ServiceType": "*",
    "Host": "*",
    "HTTPMethod": "*",
    "URLPath": "*",
    "Version": 1,
    "Attributes": {},
}
_TARGET_INTERVAL_S = 10


@dataclass
class Operations:
    """`longest_graph` and `longest_search` are the greatest ranges in seconds; `now` gives epoch seconds."""

    engine: Engine
    dirty: Dirty
    longest_graph: float
    longest_search: float
    now: Callable[[], float]

    def by_path(self) -> dict[str, Operation]:
        """Path of the request → operation; the paths are those of the service model."""
        return {
            "/ServiceGraph": self.get_service_graph,
            "/TimeSeriesServiceStatistics": self.get_time_series_service_statistics,
            "/InsightSummaries": self.get_insight_summaries,
            "/TraceGraph": self.get_trace_graph,
            "/TraceSummaries": self.get_trace_summaries,
            "/Traces": self.batch_get_traces,
            "/GetSamplingRules": self.get_sampling_rules,
            "/SamplingTargets": self.get_sampling_targets,
            "/Groups": self.get_groups,
            "/TelemetryRecords": self.put_telemetry_records,
        }

    def get_service_graph(self, body: Body) -> Body:
        """One page. Groups are not kept: a group's name is refused, except "Default"."""
        start, end = window(body, self.longest_graph, LATEST)
        _no_group(body)
        no_token(body)
        graph = service_graph(self.engine, self.dirty, start, end)
        return {
            "StartTime": start,
            "EndTime": end,
            "Services": services(graph),
            "ContainsOldGroupVersions": False,
        }

    def get_time_series_service_statistics(self, body: Body) -> Body:
        """Of one node, or of the requests of all clients when no selector is given. Nothing is forecast."""
        start, end = window(body, self.longest_graph, LATEST)
        _no_group(body)
        no_token(body)
        period = body.get("Period")
        if period is None:
            period = MINUTE
        if (
            isinstance(period, bool)
            or not isinstance(period, int)
            or not 0 < period <= LONGEST_PERIOD
            or period % MINUTE
        ):
            raise invalid(f"Period must be a multiple of {MINUTE} seconds, at most {LONGEST_PERIOD}")
        node = _selected(text(body, "EntitySelectorExpression", 500))
        sums = series(self.engine, self.dirty, start, end, period, node)
        edge = node is None or node[1] == "client"
        return {
            "TimeSeriesServiceStatistics": [moment(time, sums[time], edge=edge) for time in sorted(sums)],
            "ContainsOldGroupVersions": False,
        }

    def get_insight_summaries(self, body: Body) -> Body:
        """None: insights are not computed. Grafana asks for them."""
        window(body, math.inf, LATEST)
        _no_group(body)
        no_token(body)
        return {"InsightSummaries": []}

    def get_trace_graph(self, body: Body) -> Body:
        ids = [each for name in texts(body, "TraceIds", MAX_TRACES) if (each := parse_trace_id(name))]
        no_token(body)
        graph = Graph()
        first = last = 0
        for trace_id in ids:
            found = rows(self.engine, trace_id)
            minutes = {row.segment.start // SECOND // MINUTE * MINUTE for row in found}
            if minutes:
                graph.add_minutes(graph_minutes(self.engine, minutes, [trace_id]))
                first = min(first or min(minutes), *minutes)
                last = max(last, *(minute + MINUTE for minute in minutes))
        return {"Services": services(graph.answer(first, last))}

    def get_trace_summaries(self, body: Body) -> Body:
        """Every TimeRangeType selects by the start of the trace, so windows side by side never count one twice.

        Sampling is not applied: all matching traces are returned.
        """
        start, end = window(body, self.longest_search, LATEST)
        if text(body, "TimeRangeType", 20) not in _TIME_RANGE_TYPES:
            raise invalid("TimeRangeType must be TraceId, Event or Service")
        token = text(body, "NextToken", 2000)
        try:
            cursor = parse_cursor(token) if token else None
            found, following = search(self.engine, start, end, text(body, "FilterExpression", 2000), PAGE, cursor)
        except CursorError:
            raise invalid("NextToken was not given out by this operation") from None
        except FilterError as error:
            raise invalid(f"FilterExpression: {error}") from None
        facts = summary_facts(self.engine, found)
        listed = [trace_summary(row, facts[row["trace_id"]]) for row in summary_rows(self.engine, found)]
        return {
            "TraceSummaries": listed,
            "ApproximateTime": end,
            "TracesProcessedCount": len(listed),
            **({"NextToken": str(following)} if following else {}),
        }

    def batch_get_traces(self, body: Body) -> Body:
        names = texts(body, "TraceIds", MAX_TRACES)
        no_token(body)
        found: list[list[Row]] = []
        missing: list[str] = []
        for name in dict.fromkeys(names):
            trace_id = parse_trace_id(name)
            stored = rows(self.engine, trace_id) if trace_id else []
            if stored:
                found.append(stored)
            else:
                missing.append(name)
        resources = read_resources(self.engine, [row.resource_id for stored in found for row in stored])
        return {
            "Traces": [trace_documents(stored, resources) for stored in found],
            "UnprocessedTraceIds": missing,
        }

    def get_sampling_rules(self, body: Body) -> Body:
        """One rule that records everything."""
        no_token(body)
        return {"SamplingRuleRecords": [{"SamplingRule": _EVERYTHING, "CreatedAt": 0.0, "ModifiedAt": 0.0}]}

    def get_sampling_targets(self, body: Body) -> Body:
        statistics = body.get("SamplingStatisticsDocuments")
        if not isinstance(statistics, list):
            raise invalid("SamplingStatisticsDocuments must be a list")
        targets = []
        unknown = []
        for each in statistics:
            name = each.get("RuleName") if isinstance(each, dict) else None
            if name == "Default":
                targets.append({"RuleName": name, "FixedRate": 1.0, "Interval": _TARGET_INTERVAL_S})
            else:
                message = "there is no such rule"
                unknown.append({"RuleName": str(name or ""), "ErrorCode": "400", "Message": message})
        return {
            "SamplingTargetDocuments": targets,
            "LastRuleModification": 0.0,
            "UnprocessedStatistics": unknown,
        }

    def get_groups(self, body: Body) -> Body:
        no_token(body)
        return {"Groups": []}

    def put_telemetry_records(self, body: Body) -> Body:
        """The daemon's own figures; checked and not kept."""
        if not isinstance(body.get("TelemetryRecords"), list):
            raise invalid("TelemetryRecords must be a list")
        return {}


def _selected(expression: str) -> NodeKey | None:
    """The node (name, type) of an EntitySelectorExpression; None when there is none."""
    if not expression.strip():
        return None
    try:
        parsed = parse(expression)
    except FilterError as error:
        raise invalid(f"EntitySelectorExpression: {error}") from None
    if (
        not isinstance(parsed, Service)
        or parsed.block is not None
        or parsed.node is None
        or parsed.node.name is None
        or parsed.node.type is None
        or parsed.node.account is not None
    ):
        raise invalid('EntitySelectorExpression must name one node so far: service(id(name: "…", type: "…"))')
    return parsed.node.name, parsed.node.type


def _no_group(body: Body) -> None:
    if text(body, "GroupARN", 400) or text(body, "GroupName", 32) not in ("", "Default"):
        raise invalid("there is no such group")
