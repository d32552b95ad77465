"""The 38 operations of the X-Ray API: their paths, and what their input may hold, as the service model says.

What X-Ray documents elsewhere (five trace ids at a time, six hours of a map) is checked where the operation is.
"""

from __future__ import annotations

from .shapes import Flag, Items, Members, Pairs, Real, Shape, Text, Time, Whole

_ANY = Text()
_TOKEN = Text(1, 2000)
_COUNT = Whole(0)
_GROUP = {"GroupName": Text(1, 32), "GroupARN": Text(1, 400)}
_RANGE = {"StartTime": Time(), "EndTime": Time()}
_TRACE_ID = Text(1, 35)
_INSIGHT_ID = Text(pattern="[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-5][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}")
_INSIGHTS = Members({"InsightsEnabled": Flag(), "NotificationsEnabled": Flag()})
_ARN = Text(1, 1011)
_TAGS = Items(Members({"Key": Text(1, 128), "Value": Text(0, 256)}, ("Key", "Value")), 0, 200)
_POLICY_NAME = Text(1, 128, r"[\w+=,.@-]+")
_RETRIEVAL = Text(0, 1020)
_PATTERNS: dict[str, Shape] = {
    "ServiceName": Text(0, 64),
    "ServiceType": Text(0, 64),
    "Host": Text(0, 64),
    "HTTPMethod": Text(0, 10),
    "URLPath": Text(0, 128),
    "ResourceARN": Text(0, 500),
}
_BOOST = Members(
    {"MaxRate": Real(0, 1), "CooldownWindowMinutes": Whole(0)},
    ("MaxRate", "CooldownWindowMinutes"),
)
_RULE_EXTRAS: dict[str, Shape] = {"Attributes": Pairs(Text(1, 32), Text(1, 32), 5), "SamplingRateBoost": _BOOST}
RULE = Members(
    {
        "RuleName": Text(1, 32),
        "RuleARN": _ANY,
        "Priority": Whole(1, 9999),
        "FixedRate": Real(0, 1),
        "ReservoirSize": _COUNT,
        "Version": Whole(1),
        **_PATTERNS,
        **_RULE_EXTRAS,
    },
    (
        "ResourceARN",
        "Priority",
        "FixedRate",
        "ReservoirSize",
        "ServiceName",
        "ServiceType",
        "Host",
        "HTTPMethod",
        "URLPath",
        "Version",
    ),
)
_RULE_UPDATE = Members(
    {
        "RuleName": Text(1, 32),
        "RuleARN": _ANY,
        "Priority": Whole(),
        "FixedRate": Real(),
        "ReservoirSize": Whole(),
        **_PATTERNS,
        **_RULE_EXTRAS,
    }
)
_STATISTICS = Members(
    {
        "RuleName": Text(1, 32),
        "ClientID": Text(24, 24),
        "Timestamp": Time(),
        "RequestCount": _COUNT,
        "SampledCount": _COUNT,
        "BorrowCount": _COUNT,
    },
    ("RuleName", "ClientID", "Timestamp", "RequestCount", "SampledCount"),
    misspelt={"SampleCount": "SampledCount"},  # ADOT
)
_BOOST_STATISTICS = Members(
    {
        "RuleName": Text(1, 32),
        "ServiceName": Text(0, 64),
        "Timestamp": Time(),
        "AnomalyCount": _COUNT,
        "TotalCount": _COUNT,
        "SampledAnomalyCount": _COUNT,
    },
    ("RuleName", "ServiceName", "Timestamp", "AnomalyCount", "TotalCount", "SampledAnomalyCount"),
)
_BACKEND_ERRORS = Members(
    dict.fromkeys(
        (
            "TimeoutCount",
            "ConnectionRefusedCount",
            "HTTPCode4XXCount",
            "HTTPCode5XXCount",
            "UnknownHostCount",
            "OtherCount",
        ),
        Whole(),
    )
)
_TELEMETRY = Members(
    {
        "Timestamp": Time(),
        "SegmentsReceivedCount": Whole(),
        "SegmentsSentCount": Whole(),
        "SegmentsSpilloverCount": Whole(),
        "SegmentsRejectedCount": Whole(),
        "BackendConnectionErrors": _BACKEND_ERRORS,
    },
    ("Timestamp",),
)
_NEXT = {"NextToken": _ANY}

INPUTS: dict[str, Members] = {
    # traces
    "PutTraceSegments": Members({"TraceSegmentDocuments": Items(_ANY)}, ("TraceSegmentDocuments",)),
    "GetTraceSummaries": Members(
        {
            **_RANGE,
            "TimeRangeType": Text(choices=("TraceId", "Event", "Service")),
            "Sampling": Flag(),
            "SamplingStrategy": Members({"Name": Text(choices=("PartialScan", "FixedRate")), "Value": Real()}),
            "FilterExpression": _ANY,
            **_NEXT,
        },
        ("StartTime", "EndTime"),
    ),
    "BatchGetTraces": Members({"TraceIds": Items(_TRACE_ID), **_NEXT}, ("TraceIds",)),
    # service graph
    "GetServiceGraph": Members({**_RANGE, **_GROUP, **_NEXT}, ("StartTime", "EndTime")),
    "GetTraceGraph": Members({"TraceIds": Items(_TRACE_ID), **_NEXT}, ("TraceIds",)),
    "GetTimeSeriesServiceStatistics": Members(
        {
            **_RANGE,
            **_GROUP,
            "EntitySelectorExpression": Text(1, 500),
            "Period": Whole(),
            "ForecastStatistics": Flag(),
            **_NEXT,
        },
        ("StartTime", "EndTime"),
    ),
    # sampling
    "GetSamplingRules": Members(_NEXT),
    "CreateSamplingRule": Members({"SamplingRule": RULE, "Tags": _TAGS}, ("SamplingRule",)),
    "UpdateSamplingRule": Members({"SamplingRuleUpdate": _RULE_UPDATE}, ("SamplingRuleUpdate",)),
    "DeleteSamplingRule": Members({"RuleName": _ANY, "RuleARN": _ANY}),
    "GetSamplingTargets": Members(
        {
            "SamplingStatisticsDocuments": Items(_STATISTICS, 0, 25),
            "SamplingBoostStatisticsDocuments": Items(_BOOST_STATISTICS, 0, 25),
        },
        ("SamplingStatisticsDocuments",),
    ),
    "GetSamplingStatisticSummaries": Members(_NEXT),
    # groups
    "CreateGroup": Members(
        {
            "GroupName": Text(1, 32),
            "FilterExpression": _ANY,
            "InsightsConfiguration": _INSIGHTS,
            "Tags": _TAGS,
        },
        ("GroupName",),
    ),
    "UpdateGroup": Members({**_GROUP, "FilterExpression": _ANY, "InsightsConfiguration": _INSIGHTS}),
    "DeleteGroup": Members(_GROUP),
    "GetGroup": Members(_GROUP),
    "GetGroups": Members({"NextToken": Text(1, 100)}),
    # insights
    "GetInsightSummaries": Members(
        {
            "States": Items(Text(choices=("ACTIVE", "CLOSED")), 0, 1),
            **_GROUP,
            **_RANGE,
            "MaxResults": Whole(1, 100),
            "NextToken": _TOKEN,
        },
        ("StartTime", "EndTime"),
    ),
    "GetInsight": Members({"InsightId": _INSIGHT_ID}, ("InsightId",)),
    "GetInsightEvents": Members(
        {"InsightId": _INSIGHT_ID, "MaxResults": Whole(1, 50), "NextToken": _TOKEN}, ("InsightId",)
    ),
    "GetInsightImpactGraph": Members(
        {"InsightId": _INSIGHT_ID, **_RANGE, "NextToken": _TOKEN}, ("InsightId", "StartTime", "EndTime")
    ),
    # encryption
    "GetEncryptionConfig": Members(),
    "PutEncryptionConfig": Members({"KeyId": Text(1, 3000), "Type": Text(choices=("NONE", "KMS"))}, ("Type",)),
    # resource policies
    "PutResourcePolicy": Members(
        {
            "PolicyName": _POLICY_NAME,
            "PolicyDocument": _ANY,
            "PolicyRevisionId": _ANY,
            "BypassPolicyLockoutCheck": Flag(),
        },
        ("PolicyName", "PolicyDocument"),
    ),
    "DeleteResourcePolicy": Members({"PolicyName": _POLICY_NAME, "PolicyRevisionId": _ANY}, ("PolicyName",)),
    "ListResourcePolicies": Members({"NextToken": Text(1, 100)}),
    # tags
    "TagResource": Members({"ResourceARN": _ARN, "Tags": _TAGS}, ("ResourceARN", "Tags")),
    "UntagResource": Members({"ResourceARN": _ARN, "TagKeys": Items(Text(1, 128), 0, 200)}, ("ResourceARN", "TagKeys")),
    "ListTagsForResource": Members({"ResourceARN": _ARN, **_NEXT}, ("ResourceARN",)),
    # indexing and destination
    "GetIndexingRules": Members(_NEXT),
    "UpdateIndexingRule": Members(
        {
            "Name": _ANY,
            "Rule": Members(
                {"Probabilistic": Members({"DesiredSamplingPercentage": Real()}, ("DesiredSamplingPercentage",))},
                union=True,
            ),
        },
        ("Name", "Rule"),
    ),
    "GetTraceSegmentDestination": Members(),
    "UpdateTraceSegmentDestination": Members(
        {
            "Destination": Text(choices=("XRay", "CloudWatchLogs")),
            "CloudWatchLogsConfiguration": Members({"SpansLogGroupKmsKeyId": Text(1, 256)}),
        }
    ),
    # retrieval
    "StartTraceRetrieval": Members(
        {"TraceIds": Items(_TRACE_ID, 0, 100), **_RANGE}, ("TraceIds", "StartTime", "EndTime")
    ),
    "ListRetrievedTraces": Members(
        {"RetrievalToken": _RETRIEVAL, "TraceFormat": Text(choices=("XRAY", "OTEL")), **_NEXT}, ("RetrievalToken",)
    ),
    "GetRetrievedTracesGraph": Members({"RetrievalToken": _RETRIEVAL, **_NEXT}, ("RetrievalToken",)),
    "CancelTraceRetrieval": Members({"RetrievalToken": _RETRIEVAL}, ("RetrievalToken",)),
    # telemetry
    "PutTelemetryRecords": Members(
        {
            "TelemetryRecords": Items(_TELEMETRY),
            "EC2InstanceId": Text(0, 20),
            "Hostname": Text(0, 255),
            "ResourceARN": Text(0, 500),
        },
        ("TelemetryRecords",),
    ),
}

# Where the path is not the operation's name.
_PATHS = {
    "BatchGetTraces": "Traces",
    "GetEncryptionConfig": "EncryptionConfig",
    "GetGroups": "Groups",
    "GetInsight": "Insight",
    "GetInsightEvents": "InsightEvents",
    "GetInsightImpactGraph": "InsightImpactGraph",
    "GetInsightSummaries": "InsightSummaries",
    "GetSamplingStatisticSummaries": "SamplingStatisticSummaries",
    "GetSamplingTargets": "SamplingTargets",
    "GetServiceGraph": "ServiceGraph",
    "GetTimeSeriesServiceStatistics": "TimeSeriesServiceStatistics",
    "GetTraceGraph": "TraceGraph",
    "GetTraceSummaries": "TraceSummaries",
    "PutTelemetryRecords": "TelemetryRecords",
    "PutTraceSegments": "TraceSegments",
}


def path(operation: str) -> str:
    """Where the operation is posted to."""
    return f"/{_PATHS.get(operation, operation)}"
