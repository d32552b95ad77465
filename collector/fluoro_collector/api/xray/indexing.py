"""Indexing rules and the destination of segments: kept and answered. Here every trace is indexed, and stored in one place."""

from __future__ import annotations

import re
from typing import Any

from .request import XRayError, invalid, no_token
from .shared import Body, Operation, Shared

_RULES = "indexing-rule"
_DEFAULT = "Default"  # the one rule there is
_DESTINATION = "destination"
_NAME = "segments"
_KEY_ARN = re.compile(r"arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+")


def get_indexing_rules(shared: Shared, body: Body) -> Body:
    no_token(body)
    kept = shared.configuration.get(_RULES, _DEFAULT) or {"desired": 100.0, "modified": 0.0}
    return {"IndexingRules": [_shown(kept)]}


def update_indexing_rule(shared: Shared, body: Body) -> Body:
    """DesiredSamplingPercentage has no effect: ActualSamplingPercentage stays 100."""
    if body["Name"] != _DEFAULT:
        message = f"there is no indexing rule with this Name; the only one is {_DEFAULT}"
        raise XRayError("ResourceNotFoundException", message, 404)
    desired = body["Rule"]["Probabilistic"]["DesiredSamplingPercentage"]
    if not 0 <= desired <= 100:
        raise invalid("Rule.Probabilistic.DesiredSamplingPercentage must be between 0 and 100")
    document = {"desired": float(desired), "modified": shared.now()}
    with shared.configuration.edit(_RULES) as edit:
        edit.put(_DEFAULT, document)
    return {"IndexingRule": _shown(document)}


def get_trace_segment_destination(shared: Shared, _: Body) -> Body:
    kept = shared.configuration.get(_DESTINATION, _NAME) or {"destination": "XRay"}
    return {"Destination": kept["destination"], "Status": "ACTIVE"}


def update_trace_segment_destination(shared: Shared, body: Body) -> Body:
    """Without Destination nothing changes. Segments stay in this collector's store whatever it is."""
    wanted = body.get("Destination")
    logs = body.get("CloudWatchLogsConfiguration")
    if logs is not None and wanted != "CloudWatchLogs":
        raise invalid("CloudWatchLogsConfiguration needs the Destination CloudWatchLogs")
    key = (logs or {}).get("SpansLogGroupKmsKeyId", "")
    if key and not _KEY_ARN.fullmatch(key):
        raise invalid("CloudWatchLogsConfiguration.SpansLogGroupKmsKeyId must be the ARN of a key")
    if wanted is not None:
        with shared.configuration.edit(_DESTINATION) as edit:
            edit.put(_NAME, {"destination": wanted, **({"key": key} if key else {})})
    return get_trace_segment_destination(shared, body)


def _shown(kept: dict[str, Any]) -> dict[str, Any]:
    return {
        "Name": _DEFAULT,
        "ModifiedAt": kept["modified"],
        "Rule": {"Probabilistic": {"DesiredSamplingPercentage": kept["desired"], "ActualSamplingPercentage": 100.0}},
    }


OPERATIONS: dict[str, Operation] = {
    "GetIndexingRules": get_indexing_rules,
    "UpdateIndexingRule": update_indexing_rule,
    "GetTraceSegmentDestination": get_trace_segment_destination,
    "UpdateTraceSegmentDestination": update_trace_segment_destination,
}
