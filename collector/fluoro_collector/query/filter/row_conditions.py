"""Keywords as conditions on one row of `segments`."""

from __future__ import annotations

from . import tree
from .sql import Parameters, number_condition, text_condition, wanted

FLAGS = {
    "ok": "NOT (error OR throttle OR fault)",
    "error": "error",
    "throttle": "throttle",
    "fault": "fault",
    "partial": "in_progress",
    "remote": "namespace != ''",
}
_COLUMNS = {
    "http.url": "http_url",
    "http.method": "http_method",
    "http.useragent": "http_user_agent",
    "http.clientip": "http_client_ip",
    "user": "user",
}
# Keyword → text in the row itself ("" = none), and the attribute of its resource (the fifth field of the JSON).
_ELSEWHERE = {
    "account.id": ("JSONExtractString(aws, 'account_id')", "cloud.account.id"),
    "availabilityzone": ("", "cloud.availability_zone"),
    "instance.id": ("", "host.id"),
    "resource.arn": ("JSONExtractString(other, 'resource_arn')", "cloud.resource_id"),
}
# Keywords that ask for any row of a trace, not for its root.
ANY_ROW = frozenset(_ELSEWHERE)


def row_condition(comparison: tree.Comparison, parameters: Parameters) -> str:
    """What the row itself can tell; `STRUCTURAL` keywords of blocks are not among it."""
    keyword = comparison.keyword
    if keyword in FLAGS:
        return f"({FLAGS[keyword]})" if wanted(comparison) else f"(NOT ({FLAGS[keyword]}))"
    if keyword in ("responsetime", "duration"):
        # What has not finished has no duration yet.
        return number_condition("NOT in_progress", "duration / 1e9", comparison, parameters)
    if keyword == "http.status":
        return number_condition("http_status != 0", "http_status", comparison, parameters)
    if keyword in _ELSEWHERE:
        return elsewhere(comparison, parameters)
    return text_condition(_COLUMNS[keyword], comparison, parameters)


def elsewhere(comparison: tree.Comparison, parameters: Parameters) -> str:
    """What is said in the segment's own sections, or by its resource. A call's resource is the caller's, not the callee's."""
    own, attribute = _ELSEWHERE[comparison.keyword]
    found = f"JSONExtractString(resource, 5, '{attribute}')"
    test = text_condition(found, comparison, parameters)
    resources = f"SELECT id FROM resources WHERE {test}"  # noqa: S608 - constants and placeholders
    by_resource = f"NOT (subsegment AND namespace != '') AND resource_id IN ({resources})"
    if not own:
        return f"({by_resource})"
    return f"({text_condition(own, comparison, parameters)} OR ({by_resource}))"
