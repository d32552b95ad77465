"""Operations on sampling: rules, targets, statistics. The algorithms are in `fluoro_collector.sampling`."""

from __future__ import annotations

from typing import Any

import msgspec

from fluoro_collector.sampling import rules
from fluoro_collector.sampling.rules import DEFAULT, KIND, MOST, Definition, Rule
from fluoro_collector.sampling.targets import Target

from .inputs import RULE
from .paging import page
from .request import XRayError, invalid, no_token
from .shapes import check
from .shared import Body, Operation, Shared
from .tags import tags_of

STATISTICS_PAGE = 500
_DEFAULTS_OWN = {"RuleName", "RuleARN", "FixedRate", "ReservoirSize"}  # what may stand in an update of Default


def get_sampling_rules(shared: Shared, body: Body) -> Body:
    """All on one page, since AWS's Python SDK reads no second one; in the order in which they are asked."""
    no_token(body)
    return {"SamplingRuleRecords": [_record(rule) for rule in shared.sampling.rules.all()]}


def create_sampling_rule(shared: Shared, body: Body) -> Body:
    asked = body["SamplingRule"]
    name = asked.get("RuleName")
    if name is None or "RuleARN" in asked:
        raise invalid("SamplingRule.RuleName is required, and RuleARN must be left out: it is made from the name")
    if not name.isprintable() or name != name.strip():
        raise invalid("SamplingRule.RuleName must be printable and have no space at its ends")
    if asked["Version"] != 1:
        raise invalid("SamplingRule.Version must be 1")
    definition = msgspec.convert({**asked, "RuleARN": rules.rule_arn(name)}, Definition, strict=False)
    now = shared.now()
    rule = Rule(definition=definition, tags=tags_of(body.get("Tags", ())), created=now, modified=now)
    with shared.configuration.edit(KIND) as edit:
        others = {each.name for each in rules.every(edit.documents.by_name)}
        if name in others:
            raise invalid(f"the sampling rule {name} exists already")
        if len(others - {DEFAULT}) >= MOST:
            raise XRayError("RuleLimitExceededException", f"there can be at most {MOST} sampling rules")
        edit.put(name, msgspec.to_builtins(rule))
    return {"SamplingRuleRecord": _record(rule)}


def update_sampling_rule(shared: Shared, body: Body) -> Body:
    """What is left out stays. Of Default only FixedRate and ReservoirSize change."""
    asked = body["SamplingRuleUpdate"]
    with shared.configuration.edit(KIND) as edit:
        rule = _asked(rules.every(edit.documents.by_name), asked, "SamplingRuleUpdate.")
        if rule.name == DEFAULT and asked.keys() - _DEFAULTS_OWN:
            raise invalid("SamplingRuleUpdate: of Default only FixedRate and ReservoirSize can be changed")
        wanted = {**msgspec.to_builtins(rule.definition), **asked}
        # The update's own shape has no bounds.
        bounds = {"Priority": 1} if rule.name == DEFAULT else {}
        check({**wanted, **bounds}, RULE, "SamplingRuleUpdate")
        rule = msgspec.structs.replace(
            rule, definition=msgspec.convert(wanted, Definition, strict=False), modified=shared.now()
        )
        edit.put(rule.name, msgspec.to_builtins(rule))
    return {"SamplingRuleRecord": _record(rule)}


def delete_sampling_rule(shared: Shared, body: Body) -> Body:
    with shared.configuration.edit(KIND) as edit:
        rule = _asked(rules.every(edit.documents.by_name), body)
        if rule.name == DEFAULT:
            raise invalid("the sampling rule Default cannot be deleted")
        edit.delete(rule.name)
    shared.sampling.forget(rule.name)
    return {"SamplingRuleRecord": _record(rule)}


def get_sampling_targets(shared: Shared, body: Body) -> Body:
    """One target for each report whose rule exists; the others are named in UnprocessedStatistics."""
    known = shared.sampling.rules.by_name()
    unboosted = []
    for report in body.get("SamplingBoostStatisticsDocuments", ()):
        rule = known.get(report["RuleName"])
        if rule is None or rule.definition.boost is None:
            why = "there is no such rule" if rule is None else "the rule has no SamplingRateBoost"
            unboosted.append(_unprocessed(report, why))
        else:
            counts = (report["AnomalyCount"], report["TotalCount"], report["SampledAnomalyCount"])
            shared.sampling.report_anomalies(rule, report["ServiceName"], *counts)
    targets = []
    unprocessed = []
    for report in body["SamplingStatisticsDocuments"]:
        rule = known.get(report["RuleName"])
        if rule is None:
            unprocessed.append(_unprocessed(report, "there is no such rule"))
        else:
            counts = (report["RequestCount"], report["SampledCount"], report.get("BorrowCount", 0))
            targets.append(
                _target(shared.sampling.report(rule, report["ClientID"], *counts), shared.sampling.interval_s)
            )
    return {
        "SamplingTargetDocuments": targets,
        # Always a number: clients read it unasked. Rounded up, as they compare it with whole seconds of their own.
        "LastRuleModification": float(-(-shared.sampling.rules.changed() // 1)),
        "UnprocessedStatistics": unprocessed,
        "UnprocessedBoostStatistics": unboosted,
    }


def get_sampling_statistic_summaries(shared: Shared, body: Body) -> Body:
    """The last hour, oldest first."""
    found, token = page(shared.sampling.summaries(), lambda each: f"{each.time:010d}{each.rule}", body, STATISTICS_PAGE)
    summaries = [
        {
            "RuleName": each.rule,
            "Timestamp": float(each.time),
            "RequestCount": each.requests,
            "SampledCount": each.sampled,
            "BorrowCount": each.borrowed,
        }
        for each in found
    ]
    return {"SamplingStatisticSummaries": summaries, **token}


def _asked(found: list[Rule], asked: Body, prefix: str = "") -> Rule:
    name, arn = asked.get("RuleName"), asked.get("RuleARN")
    if (name is None) == (arn is None):
        raise invalid(f"{prefix}RuleName or RuleARN is required, and not both")
    for rule in found:
        if rule.name == name or rule.arn == arn:
            return rule
    raise invalid("there is no sampling rule with this name or ARN")


def _target(target: Target, interval_s: int) -> dict[str, Any]:
    boost = target.boost
    return {
        "RuleName": target.rule.name,
        "FixedRate": target.rule.definition.fixed_rate,
        "ReservoirQuota": target.quota,
        "ReservoirQuotaTTL": target.until,
        "Interval": interval_s,
        **({"SamplingBoost": {"BoostRate": boost.rate, "BoostRateTTL": boost.until}} if boost else {}),
    }


def _unprocessed(report: Body, why: str) -> dict[str, str]:
    return {"RuleName": report["RuleName"], "ErrorCode": "400", "Message": why}


def _record(rule: Rule) -> dict[str, Any]:
    return {
        "SamplingRule": msgspec.to_builtins(rule.definition),
        "CreatedAt": rule.created,
        "ModifiedAt": rule.modified,
    }


OPERATIONS: dict[str, Operation] = {
    "GetSamplingRules": get_sampling_rules,
    "CreateSamplingRule": create_sampling_rule,
    "UpdateSamplingRule": update_sampling_rule,
    "DeleteSamplingRule": delete_sampling_rule,
    "GetSamplingTargets": get_sampling_targets,
    "GetSamplingStatisticSummaries": get_sampling_statistic_summaries,
}
